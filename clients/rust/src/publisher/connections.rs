//! Connections of HTTP/1.1 that are kept and used again.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::answer::read_body;
use crate::endpoint::{Endpoint, within};
use crate::outcome::{ConnectError, PublishError};

/// Connections that are kept although nothing is asked.
const IDLE_MAX: usize = 8;
/// How long an answer may take; a broker lets a publish wait for one second.
const ANSWER_MAX: Duration = Duration::from_secs(15);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The connections to one broker.
#[derive(Debug)]
pub(super) struct Connections {
    endpoint: Endpoint,
    token: Option<String>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

/// One request: a POST.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) path: String,
    pub(super) content_type: HeaderValue,
    pub(super) idempotency_key: Option<HeaderValue>,
    pub(super) body: Bytes,
}

impl Connections {
    pub(super) fn new(endpoint: Endpoint, token: Option<String>) -> Connections {
        Connections { endpoint, token, idle: Mutex::new(Vec::new()) }
    }

    /// The status and body of the answer.
    pub(super) async fn ask(&self, ask: Ask) -> Result<(StatusCode, Bytes), PublishError> {
        let mut request = self.request(ask)?;
        loop {
            let (mut sender, is_new) = match self.take_idle().await {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            let work = async { Ok(sender.try_send_request(request).await) };
            let sent =
                within(ANSWER_MAX, work).await.map_err(|error| PublishError::Unclear(error.to_string()))?;
            let mut answer = match sent {
                Ok(answer) => answer,
                Err(mut error) => match error.take_message() {
                    // A kept connection was closed meanwhile, and the request was not sent.
                    Some(unsent) if !is_new => {
                        request = unsent;
                        continue;
                    }
                    Some(_) => return Err(self.unreachable(io::Error::other(error.into_error()))),
                    None => return Err(PublishError::Unclear(error.into_error().to_string())),
                },
            };
            let status = answer.status();
            let body = within(ANSWER_MAX, async { Ok(read_body(answer.body_mut()).await) }).await;
            let body = body.map_err(|error| PublishError::Unclear(error.to_string()))?;
            let body = body.map_err(PublishError::Unclear)?;
            self.keep(sender);
            return Ok((status, body));
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, PublishError> {
        let unreachable = |error: ConnectError| PublishError::Unreachable(error.to_string());
        let stream = self.endpoint.connect().await.map_err(unreachable)?;
        let opened = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| self.unreachable(io::Error::other(error)))?;
        // How it fails, the request tells.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, ask: Ask) -> Result<Request<Full<Bytes>>, PublishError> {
        let mut request = Request::post(self.endpoint.path(&ask.path))
            .header(HOST, &self.endpoint.authority)
            .header(CONTENT_TYPE, ask.content_type);
        if let Some(key) = ask.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = Full::new(ask.body);
        request
            .body(body)
            .map_err(|error| PublishError::Unreachable(format!("the request can't be written: {error}")))
    }

    fn unreachable(&self, error: io::Error) -> PublishError {
        PublishError::Unreachable(self.endpoint.unreachable(error).to_string())
    }

    async fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            let mut sender = self.idle.lock().expect("nobody panics with the lock").pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().expect("nobody panics with the lock");
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }
}
