//! The client: a handle to the task that keeps a connection and the session on it.

mod driver;
mod queue;
mod subscription;

use std::sync::Arc;

use fanfare_protocol::{Encoding, Filter, Publication, SubscribeOptions, Topic};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::driver::{Command, Driver, Publish, Subscribe};
pub use self::subscription::Subscription;
use crate::endpoint::Endpoint;
use crate::outcome::{ConnectError, PublishError, Published, SubscribeError};
use crate::session::Status;
use crate::websocket::Dial;

/// Commands and publishes that wait for the driver; at the limit whoever brings another waits.
const COMMANDS_MAX: usize = 64;

/// A client of one broker: it follows filters, publishes, and comes back by itself after every cut.
///
/// Cheap to clone. The connection is closed when the last clone and the last [`Subscription`] are dropped.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    publishes: mpsc::Sender<Publish>,
    attention: Arc<Notify>,
    status: watch::Receiver<Status>,
    queue_events_max: usize,
}

/// How a client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The encoding of frames [default: JSON].
    pub encoding: Encoding,
    /// What is sent as `Authorization: Bearer` [default: nothing].
    pub token: Option<String>,
    /// Events that wait in each subscription [default: 1024].
    ///
    /// At the limit the broker is told to send no more of it; what was missed follows from the cursor once there is
    /// room, and what the broker does not keep any more is told as a gap.
    pub queue_events_max: usize,
    /// The longest message of the WebSocket that is read [default: 16 MiB].
    pub message_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { encoding: Encoding::Json, token: None, queue_events_max: 1024, message_bytes_max: 16 << 20 }
    }
}

impl Client {
    /// Connects to the broker at a URL such as `http://127.0.0.1:8900`; only this first attempt can fail.
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Client::connect_with(url, Options::default()).await
    }

    /// Connects with options.
    pub async fn connect_with(url: &str, options: Options) -> Result<Client, ConnectError> {
        let Options { encoding, token, queue_events_max, message_bytes_max } = options;
        let endpoint = Endpoint::parse(url)?;
        let dial = Dial { endpoint, encoding, token, message_bytes_max };
        let socket = dial.clone().open().await?;
        let (command_sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (publish_sender, publishes) = mpsc::channel(COMMANDS_MAX);
        let attention = Arc::new(Notify::new());
        let (status_sender, status) = watch::channel(Status::Connected);
        let driver = Driver::new(dial, socket, commands, publishes, attention.clone(), status_sender);
        tokio::spawn(driver.run());
        Ok(Client {
            commands: command_sender,
            publishes: publish_sender,
            attention,
            status,
            queue_events_max: queue_events_max.max(1),
        })
    }

    /// Follows a filter.
    ///
    /// It returns before the broker has answered; should the broker refuse, the subscription brings
    /// [`crate::Event::Unsubscribed`].
    pub async fn subscribe(
        &self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Result<Subscription, SubscribeError> {
        let filter =
            Filter::parse(filter).map_err(|error| SubscribeError::BadFilter(filter.to_owned(), error))?;
        let (sender, receiver) = queue::new(self.queue_events_max, self.attention.clone());
        let (answer, answered) = oneshot::channel();
        let cursor = options.after.clone();
        let subscribe = Subscribe { filter: filter.clone(), options, sender, answer };
        if self.commands.send(Command::Subscribe(Box::new(subscribe))).await.is_err() {
            return Err(self.closed_to_subscribers());
        }
        match answered.await {
            Ok(true) => Ok(Subscription::new(filter, cursor, receiver, self.commands.clone())),
            Ok(false) if !matches!(*self.status.borrow(), Status::Closed { .. }) => {
                Err(SubscribeError::AlreadyFollowed(filter.as_str().to_owned()))
            }
            Ok(false) | Err(_) => Err(self.closed_to_subscribers()),
        }
    }

    /// Publishes over the connection and waits for the answer.
    ///
    /// While the connection is away it waits for the next one. What was sent and not answered before a cut is sent
    /// again if it has an idempotency key, and is [`PublishError::Unclear`] if not.
    pub async fn publish(&self, topic: &str, publication: Publication) -> Result<Published, PublishError> {
        let topic = Topic::parse(topic).map_err(|error| PublishError::BadTopic(topic.to_owned(), error))?;
        let (answer, answered) = oneshot::channel();
        if self.publishes.send(Publish { topic, publication, answer }).await.is_err() {
            return Err(self.closed_to_publishers());
        }
        answered.await.unwrap_or_else(|_| Err(self.closed_to_publishers()))
    }

    /// Closes the connection for good and waits until it is; subscriptions end with [`crate::Event::Closed`].
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // Its end is as good as its word.
            drop(closed.await);
        }
    }

    /// Where the connection stands, to be looked at or awaited; times in it count from the client's beginning.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    fn closed(&self) -> (u16, String) {
        match &*self.status.borrow() {
            Status::Closed { code, reason } => (*code, reason.clone()),
            Status::Connecting | Status::Connected | Status::Waiting { .. } => {
                (1006, "the client's task was ended".to_owned())
            }
        }
    }

    fn closed_to_subscribers(&self) -> SubscribeError {
        let (code, reason) = self.closed();
        SubscribeError::Closed { code, reason }
    }

    fn closed_to_publishers(&self) -> PublishError {
        let (code, reason) = self.closed();
        PublishError::Closed { code, reason }
    }
}
