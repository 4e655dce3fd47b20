//! What publishing and connecting come to.

use std::io;

use fanfare_protocol::{ErrorCode, NameError, Position};
use thiserror::Error;

/// What the broker says of a message that has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its place.
    pub position: Position,
    /// True if some session gets it.
    pub heard: bool,
    /// How many sessions get it, where the broker knows.
    pub receivers: Option<u64>,
    /// True if this is the first answer to its idempotency key, once more.
    pub repeated: bool,
}

/// Why the broker refused something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail} ({})", code.as_str())]
pub struct Refusal {
    /// The stable word.
    pub code: ErrorCode,
    /// For a person: the field, the value, the limit.
    pub detail: String,
    /// How long to wait before trying again; there iff that helps.
    pub retry_after_ms: Option<u64>,
}

/// Why a message was not published, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublishError {
    /// What was given as a topic is none.
    #[error("topic {0:?} {1}")]
    BadTopic(String, NameError),
    /// The broker refused it: it was not published.
    #[error("the broker refused it: {0}")]
    Refused(Refusal),
    /// No broker was reached: it was not published.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody knows: only with an idempotency key is it safe to try again.
    #[error("it may have been published or not: {0}")]
    Unclear(String),
    /// The client is closed: it was not published, unless it was sent before and not answered.
    #[error("the client is closed: {reason} ({code})")]
    Closed {
        /// The close code.
        code: u16,
        /// For a person.
        reason: String,
    },
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What was given as a URL is none that this client can use.
    #[error("URL {url:?} {why}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody answered there.
    #[error("no broker answers at {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody answered and refused.
    #[error("{address} refused the connection: {detail}")]
    Refused {
        /// Host and port.
        address: String,
        /// The status of the answer.
        status: u16,
        /// For a person.
        detail: String,
    },
    /// Who answered is no Fanfare broker.
    #[error("what answers at {address} is no Fanfare broker: {detail}")]
    NotABroker {
        /// Host and port.
        address: String,
        /// What it said.
        detail: String,
    },
}

/// Why a filter can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubscribeError {
    /// What was given as a filter is none.
    #[error("filter {0:?} {1}")]
    BadFilter(String, NameError),
    /// This client follows it already.
    #[error("filter {0:?} is followed by this client already")]
    AlreadyFollowed(String),
    /// The client is closed.
    #[error("the client is closed: {reason} ({code})")]
    Closed {
        /// The close code.
        code: u16,
        /// For a person.
        reason: String,
    },
}

impl ConnectError {
    /// True if a client that was connected before tries again: what stands between it and the broker may answer
    /// anything while the broker is away.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ConnectError::Unreachable { .. } | ConnectError::NotABroker { .. } => true,
            ConnectError::Refused { status, .. } => !matches!(status, 400 | 401 | 403),
            ConnectError::BadUrl { .. } => false,
        }
    }
}
