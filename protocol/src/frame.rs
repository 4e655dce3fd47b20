//! Every frame of the subprotocol, as the two sides hold it.

use crate::code::ErrorCode;
use crate::payload::{Headers, Payload, Publication};
use crate::position::{Cursor, Position};
use crate::topic::{Filter, Topic};

/// The largest id of a request (2^53 - 1); the smallest is 1.
pub const ID_MAX: u64 = (1 << 53) - 1;

/// One frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Says who connects.
    Connect {
        /// The request's id.
        id: u64,
        /// A JWT.
        token: Option<String>,
        /// What an earlier `welcome` gave for coming back.
        resume: Option<String>,
    },
    /// Follows a filter.
    Subscribe {
        /// The request's id.
        id: u64,
        /// What to follow.
        filter: Filter,
        /// How.
        options: SubscribeOptions,
    },
    /// Stops following a filter.
    Unsubscribe {
        /// The request's id.
        id: u64,
        /// What was followed.
        filter: Filter,
    },
    /// Publishes to a topic.
    Publish {
        /// The request's id.
        id: u64,
        /// Where to.
        topic: Topic,
        /// What.
        publication: Publication,
    },
    /// Reads a topic's history.
    History {
        /// The request's id.
        id: u64,
        /// Of which topic.
        topic: Topic,
        /// Only what is above.
        after: Option<Cursor>,
        /// At most so many frames.
        limit: Option<u32>,
    },
    /// Asks who is there.
    Presence {
        /// The request's id.
        id: u64,
        /// In which topic.
        topic: Topic,
    },
    /// Brings a fresh JWT.
    Token {
        /// The request's id.
        id: u64,
        /// The JWT.
        token: String,
    },
    /// Answers `ping`.
    Pong,
}

impl Request {
    /// The id that its answer carries; `pong` has none.
    pub fn id(&self) -> Option<u64> {
        match self {
            Request::Connect { id, .. }
            | Request::Subscribe { id, .. }
            | Request::Unsubscribe { id, .. }
            | Request::Publish { id, .. }
            | Request::History { id, .. }
            | Request::Presence { id, .. }
            | Request::Token { id, .. } => Some(*id),
            Request::Pong => None,
        }
    }
}

/// The trailing map of `subscribe`.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribeOptions {
    /// Replay what is above.
    pub after: Option<Cursor>,
    /// Replay the newest so many kept of each matching topic first.
    pub last: Option<u32>,
    /// What happens to a subscriber that is too slow.
    pub on_slow: Option<OnSlow>,
    /// Take part in the topic's presence.
    pub presence: bool,
    /// False: what this session publishes is not sent back to it.
    pub echo: bool,
}

impl Default for SubscribeOptions {
    fn default() -> SubscribeOptions {
        SubscribeOptions { after: None, last: None, on_slow: None, presence: false, echo: true }
    }
}

/// What happens when a subscriber's outbox is at its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnSlow {
    /// It is closed with 4500, comes back and resumes.
    Disconnect,
    /// The oldest waiting messages go, and a gap says so.
    Drop,
    /// The waiting message of the same topic goes: only the newest matters.
    Latest,
}

impl OnSlow {
    /// Every policy, the strictest first.
    pub const ALL: [OnSlow; 3] = [OnSlow::Disconnect, OnSlow::Drop, OnSlow::Latest];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OnSlow::Disconnect => "disconnect",
            OnSlow::Drop => "drop",
            OnSlow::Latest => "latest",
        }
    }

    /// The policy of a word.
    pub fn parse(word: &str) -> Option<OnSlow> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// One frame from the broker, as a client holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// The session is open.
    Welcome {
        /// The id of the `connect` it answers.
        id: Option<u64>,
        /// What it says.
        welcome: Welcome,
    },
    /// A request succeeded.
    Ok {
        /// The request's id.
        id: u64,
        /// What it says.
        body: OkBody,
    },
    /// A request failed, or, without an id, a frame was unreadable.
    Error {
        /// The request's id.
        id: Option<u64>,
        /// The stable word.
        code: ErrorCode,
        /// For a person: the field, the value, the limit.
        reason: String,
        /// How long to wait before trying again; there iff that helps.
        retry_after_ms: Option<u64>,
    },
    /// What was published.
    Message(Message),
    /// Something is missing.
    Gap(Gap),
    /// A message or gap from the past, for this filter alone.
    Replay {
        /// The filter that it belongs to.
        filter: Filter,
        /// The wrapped frame: [`Frame::Message`] or [`Frame::Gap`].
        frame: Box<Frame>,
    },
    /// Caught up.
    Live {
        /// The filter; none on a stream of server-sent events.
        filter: Option<Filter>,
        /// Where it stands.
        cursor: Cursor,
    },
    /// A subscription ended by the broker.
    Unsubscribed {
        /// The filter.
        filter: Filter,
        /// The stable word.
        code: ErrorCode,
        /// For a person.
        reason: String,
        /// How long to wait before subscribing again.
        retry_after_ms: Option<u64>,
    },
    /// The heartbeat; the client answers `pong`.
    Ping {
        /// Up to where all that matches was sent before.
        cursor: Cursor,
    },
    /// Stands just before a close.
    Goodbye {
        /// The close code.
        code: u16,
        /// For a person.
        reason: String,
        /// How long to wait before coming back; absent: stay away, or as the code says.
        reconnect_after_ms: Option<u64>,
    },
}

/// What `welcome` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Welcome {
    /// The session's name, for operators.
    pub session: String,
    /// What `connect` may bring back to keep this identity over a cut.
    pub resume: Option<String>,
    /// Who the client is.
    pub user: Option<String>,
    /// The heartbeat's interval.
    pub heartbeat_ms: u64,
    /// The limits that a client can meet, by name.
    pub limits: std::collections::BTreeMap<String, u64>,
}

/// What `ok` says: what concerns the request is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OkBody {
    /// `subscribe`, `history`: where what follows begins.
    pub cursor: Option<Cursor>,
    /// `subscribe` with `after`: nothing was missing.
    pub resumed: Option<bool>,
    /// `publish`: the message's place.
    pub position: Option<Position>,
    /// `publish`: some session gets it.
    pub heard: Option<bool>,
    /// `publish`: how many sessions get it, where that is known.
    pub receivers: Option<u64>,
    /// `publish`: the first answer to this idempotency key, once more.
    pub repeated: Option<bool>,
    /// `history`: message and gap frames, in order.
    pub frames: Option<Vec<Frame>>,
    /// `history`: there is more above the cursor.
    pub more: Option<bool>,
}

/// A message as a subscriber holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it was published.
    pub topic: Topic,
    /// Its place.
    pub position: Position,
    /// The data.
    pub payload: Payload,
    /// The media type of text or binary data.
    pub media_type: Option<Box<str>>,
    /// When it was numbered, in milliseconds since 1970.
    pub time: Option<u64>,
    /// Who published it.
    pub user: Option<Box<str>>,
    /// The publisher's own headers.
    pub headers: Option<Box<Headers>>,
}

/// A hole: with a topic, all of it in `(from, to]` is missing; without, all that matches may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The topic; none: all that the filter matches.
    pub topic: Option<Topic>,
    /// The hole begins after this.
    pub from: Position,
    /// The hole's end, in the current epoch; in the same partition.
    pub to: Position,
    /// How many messages are missing, where that is known.
    pub count: Option<u64>,
}
