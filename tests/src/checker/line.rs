//! The format of a history: one event a line.
//!
//! `{"at":1532,"event":{"message":{"session":3,"topic":"a.b","position":"0.k3f9a:7","data":"p1-4"}}}`
//!
//! What a session's client sends and receives stands in that order. A `publish` stands where it ended, one line an
//! attempt, and may stand behind what it caused. `data` names a message: it is published under one key or once.

use fanfare_protocol::{Cursor, Epoch, Position};
use serde::{Deserialize, Serialize};

use super::text;

/// One event and when it was seen, in microseconds on one clock that all who write share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When.
    pub at: u64,
    /// What.
    pub event: Event,
}

/// What became of an attempt to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered with a position.
    Ok,
    /// It was answered with a refusal that promises that nothing was published.
    Refused,
    /// Anything else: no answer, a late one, or one that promises nothing.
    Unknown,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The first line: what runs.
    Run {
        /// What the run is called.
        name: String,
        /// What its chance came from.
        seed: u64,
        /// True if the broker was told to keep more than the run publishes, so that nothing is trimmed.
        keeps_all: bool,
    },
    /// A node serves, or was seen to have ended.
    Node {
        /// Its name.
        node: String,
        /// True if it serves.
        up: bool,
        /// The life of numbering that it showed.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "text::option")]
        epoch: Option<Epoch>,
    },
    /// A fault begins or is healed.
    Fault {
        /// What it is.
        name: String,
        /// Whom it meets; absent: all nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// False when it is healed.
        begins: bool,
        /// True if the node can't deliver what is published elsewhere while it lasts.
        severs: bool,
    },
    /// A fault shows: the node says that it is not ready, or has made a stuck subscription anew and hears again.
    Noticed {
        /// What it is.
        name: String,
    },
    /// A figure of a node, at the end of the run.
    Figure {
        /// The node.
        node: String,
        /// Its name among the node's metrics.
        name: String,
        /// What it is.
        value: u64,
    },
    /// What a node answered when it was asked whether it is ready.
    Ready {
        /// The node.
        node: String,
        /// True if it said so.
        ready: bool,
    },
    /// An attempt to publish has ended.
    Publish {
        /// Who.
        client: String,
        /// At which node.
        node: String,
        /// Where to.
        topic: String,
        /// What.
        data: String,
        /// Its idempotency key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// When it was about to be sent.
        start: u64,
        /// When its outcome was known.
        end: u64,
        /// Its outcome.
        outcome: Outcome,
        /// The answered position.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "text::option")]
        position: Option<Position>,
        /// True if the answer says that it repeats an earlier one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
        /// The status and the code of a failure, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A client was welcomed.
    Open {
        /// A number that no other session of the history has.
        session: u64,
        /// Who.
        client: String,
        /// At which node.
        node: String,
    },
    /// A subscribe is about to be sent.
    Subscribe {
        /// By which session.
        session: u64,
        /// To what.
        filter: String,
        /// The cursor given, which may be garbage.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// How many of each topic are asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<u64>,
        /// True if only the newest of each topic is due to one who is slow, by its wish or by a rule.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        latest: bool,
    },
    /// The answer to a subscribe.
    Ok {
        /// The session.
        session: u64,
        /// The filter.
        filter: String,
        /// Where what follows begins.
        #[serde(with = "text")]
        cursor: Cursor,
        /// Whether nothing is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumed: Option<bool>,
    },
    /// A subscribe was answered with an error.
    Refused {
        /// The session.
        session: u64,
        /// The filter.
        filter: String,
        /// The code.
        code: String,
    },
    /// A message was received.
    Message {
        /// By which session.
        session: u64,
        /// Its topic.
        topic: String,
        /// Its position.
        #[serde(with = "text")]
        position: Position,
        /// Its data.
        data: String,
        /// The filter of the replay in which it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replay: Option<String>,
    },
    /// A gap was received.
    Gap {
        /// By which session.
        session: u64,
        /// Of which topic; absent: of any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        /// Behind where.
        #[serde(with = "text")]
        from: Position,
        /// Up to and with what.
        #[serde(with = "text")]
        to: Position,
        /// The filter of the replay in which it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replay: Option<String>,
    },
    /// The end of a replay.
    Live {
        /// The session.
        session: u64,
        /// The filter.
        filter: String,
        /// Up to where it was replayed.
        #[serde(with = "text")]
        cursor: Cursor,
    },
    /// A heartbeat.
    Ping {
        /// The session.
        session: u64,
        /// Up to where all was sent.
        #[serde(with = "text")]
        cursor: Cursor,
    },
    /// An unsubscribe is about to be sent.
    Unsubscribe {
        /// The session.
        session: u64,
        /// The filter.
        filter: String,
    },
    /// A filter is not followed any more: an unsubscribe was answered, or the broker ended it.
    Unsubscribed {
        /// The session.
        session: u64,
        /// The filter.
        filter: String,
    },
    /// A session has ended.
    Close {
        /// The session.
        session: u64,
        /// The code; absent: it was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
    },
    /// All faults are healed, all publishers are done, and everybody had time to come to the end.
    Quiet {},
    /// What is kept of a topic is read, from the oldest.
    Read {
        /// A number that no other read of the history has.
        read: u64,
        /// At which node.
        node: String,
        /// Of which topic.
        topic: String,
        /// Above which position.
        #[serde(with = "text")]
        after: Position,
    },
    /// A message of a read.
    Kept {
        /// The read.
        read: u64,
        /// Its topic.
        topic: String,
        /// Its position.
        #[serde(with = "text")]
        position: Position,
        /// Its data.
        data: String,
    },
    /// A gap of a read.
    Hole {
        /// The read.
        read: u64,
        /// Of which topic; absent: of any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        /// Behind where.
        #[serde(with = "text")]
        from: Position,
        /// Up to and with what.
        #[serde(with = "text")]
        to: Position,
    },
    /// A read is done.
    ReadEnd {
        /// The read.
        read: u64,
        /// Up to where it went.
        #[serde(with = "text")]
        cursor: Position,
    },
}
