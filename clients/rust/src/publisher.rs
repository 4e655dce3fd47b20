//! Publishing over HTTP, one message or many at a time.

mod batch;
mod connections;
mod single;

use std::sync::Arc;

use fanfare_protocol::{Position, Publication, Topic};
use hyper::StatusCode;
use serde::Deserialize;

use self::connections::Connections;
use crate::answer::{Problem, problem_detail};
use crate::endpoint::Endpoint;
use crate::outcome::{ConnectError, PublishError, Published, Refusal};

/// A publisher over HTTP; it keeps a few connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    connections: Arc<Connections>,
}

impl Publisher {
    /// A publisher to the broker at a URL such as `http://127.0.0.1:8900`; it connects when there is something to say.
    pub fn new(url: &str) -> Result<Publisher, ConnectError> {
        Publisher::with_token(url, None)
    }

    /// A publisher that sends a token as `Authorization: Bearer`.
    pub fn with_token(url: &str, token: Option<String>) -> Result<Publisher, ConnectError> {
        let connections = Connections::new(Endpoint::parse(url)?, token);
        Ok(Publisher { connections: Arc::new(connections) })
    }

    /// Publishes one message.
    pub async fn publish(&self, topic: &str, publication: Publication) -> Result<Published, PublishError> {
        let topic = Topic::parse(topic).map_err(|error| PublishError::BadTopic(topic.to_owned(), error))?;
        let Some(ask) = single::ask(&topic, &publication) else {
            let mut results = self.publish_batch(&[(topic, publication)]).await?;
            let result = results.pop().expect("one message has one result");
            return result.map_err(PublishError::Refused);
        };
        let (status, body) = self.connections.ask(ask).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &body));
        }
        single::published(&body)
    }

    /// Publishes many in order, each for itself: the result of each stands at its place. An error is one of all.
    pub async fn publish_batch(
        &self,
        items: &[(Topic, Publication)],
    ) -> Result<Vec<Result<Published, Refusal>>, PublishError> {
        let (status, body) = self.connections.ask(batch::ask(items)).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &body));
        }
        let results = batch::results(&body)?;
        if results.len() != items.len() {
            return Err(unclear(format!("{} messages have {} results", items.len(), results.len())));
        }
        Ok(results)
    }
}

/// What the broker says of one message that has its place.
#[derive(Debug, Deserialize)]
struct Placed {
    position: String,
    heard: bool,
    receivers: Option<u64>,
    #[serde(default)]
    repeated: bool,
}

impl Placed {
    fn published(self) -> Result<Published, PublishError> {
        let Placed { position, heard, receivers, repeated } = self;
        let position: Position =
            position.parse().map_err(|error| unclear(format!("position {position:?} {error}")))?;
        Ok(Published { position, heard, receivers, repeated })
    }
}

fn refused(status: StatusCode, body: &[u8]) -> PublishError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => PublishError::Refused(problem.into_refusal()),
        // A proxy that lost the broker on the way can't say whether it had the request.
        Err(_) if status.is_server_error() => unclear(problem_detail(status, body)),
        Err(_) => PublishError::Unreachable(format!("what answers is no Fanfare broker: HTTP {status}")),
    }
}

fn unclear(reason: String) -> PublishError {
    PublishError::Unclear(reason)
}
