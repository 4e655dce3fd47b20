//! The broker as pure state: it knows no clock, no socket, no async and no log.
//!
//! [`Broker`] is what a node's workers share: the partition's log behind one short lock, and an inbox for each worker.
//! [`Worker`] is one worker's sessions. Time comes in as [`Now`], bytes and sockets stay outside: a worker fills
//! outboxes and names the sessions to write to.

mod backplane;
mod broker;
mod clock;
mod edge;
mod encoded;
mod entry;
mod event;
mod filters;
mod idempotency;
mod inbox;
mod interest;
mod limits;
mod lives;
mod log;
mod outbox;
mod partition;
mod replay;
mod session;
mod spare;
mod stats;
mod subscriptions;
mod trie;
mod waiting;
mod worker;

pub use backplane::{
    Admitted, Ask, Channel, ClearCompletion, Numbered, PREFIX_SEGMENTS_MAX, Pass, Record, Told, TopicRead,
    Unnumbered,
};
pub use broker::{
    BadCursor, Broker, BrokerStats, Clearing, History, HistoryError, Preparing, Publishing, Wake,
};
pub use clock::Now;
pub use edge::Edge;
pub use encoded::Encoded;
pub use entry::{Entry, SessionId};
pub use event::goodbye_event;
pub use filters::Filters;
pub use interest::WORKERS_MAX;
pub use limits::{HistoryRule, Limits, TopicRule, TopicRules};
pub use outbox::Outbox;
pub use partition::{Draft, Published, Refusal, TopicInfo};
pub use replay::ReplayEvent;
pub use session::{Session, SessionInfo};
pub use stats::{DoubtCause, Doubts, Gaps, LATENCY_BOUNDS_US, Latencies, WorkerStats, Written};
pub use trie::Trie;
pub use waiting::{Completion, Ticket};
pub use worker::{PollKey, Ready, SessionKey, Stream, Worker};
