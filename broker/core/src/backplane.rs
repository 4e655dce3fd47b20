//! What a node asks of its backplane and what it is told: plain data between the core, which decides, and the daemon,
//! which talks to Redis; and the state with which the core decides.

mod admission;
mod applying;
mod behind;
mod channels;
mod doubt;
mod joined;
mod leaving;

use fanfare_protocol::{Epoch, Filter, Message, Position, Publication, Topic};

use crate::entry::SessionId;
use crate::limits::HistoryRule;
use crate::partition::{Published, Refusal};
use crate::waiting::Ticket;

pub use admission::{Admitted, Pass};
pub(crate) use admission::{Held, Need};
pub use joined::ClearCompletion;
pub(crate) use joined::{Joined, Mirror};

/// The most literal segments of a prefix that has a channel of its own.
pub const PREFIX_SEGMENTS_MAX: usize = 4;

/// What a node follows on its backplane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// One topic.
    Topic(Topic),
    /// All topics below these literal segments, joined by dots; empty: all topics.
    Prefix(Box<str>),
}

/// What a partition's record on the backplane says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The life of numbering that goes on.
    pub epoch: Epoch,
    /// The seq at which it began.
    pub began: u64,
    /// The newest seq.
    pub seq: u64,
    /// Topics up to this seq may have been forgotten.
    pub floor: u64,
    /// Earlier lives, the newest last, with the seq at which each ended.
    pub ended: Vec<(Epoch, u64)>,
}

/// A message as the backplane numbered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// What subscribers get.
    pub message: Message,
    /// The seq of the topic's previous message; 0: none.
    pub prev: u64,
    /// How long ago it was numbered, in milliseconds on the backplane's clock; 0 for what comes as it happens.
    pub age_ms: u64,
    /// For how many seconds from its numbering it is worth replaying.
    pub ttl_s: Option<u32>,
    /// The node and the session that published it, if a session did.
    pub origin: Option<(u64, SessionId)>,
}

/// What is kept of one topic above the seq that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicRead {
    /// Its name.
    pub name: Topic,
    /// The seq of its newest message, kept or not.
    pub last: u64,
    /// What is kept, seqs rising.
    pub kept: Vec<Numbered>,
}

/// A message that the backplane is to number.
#[derive(Debug, Clone)]
pub struct Unnumbered {
    /// Names the publish.
    pub ticket: Ticket,
    /// Where to.
    pub topic: Topic,
    /// What.
    pub publication: Publication,
    /// The session that publishes, if one does.
    pub origin: Option<SessionId>,
    /// What is kept of the topic.
    pub rule: HistoryRule,
}

/// One thing that a node asks of its backplane.
#[derive(Debug)]
pub enum Ask {
    /// To number, keep and spread a message, or those of a batch in their order and none behind one whose refusal
    /// [ends the batch](Refusal::ends_batch); each is answered by a [`Told::Published`], in that order.
    Publish(Vec<Unnumbered>),
    /// To be sent what is published on these channels; each is answered by [`Told::Confirmed`].
    Follow(Vec<Channel>),
    /// To be sent no more of them.
    Leave(Vec<Channel>),
    /// To be told the record behind all that was numbered before; answered by [`Told::Probed`].
    Probe {
        /// Names the probe.
        probe: u64,
    },
    /// To be told what is kept; answered by [`Told::Read`].
    Read {
        /// Names the read.
        read: u64,
        /// Which topics.
        channels: Vec<Channel>,
        /// Only what has a higher seq.
        above: u64,
    },
    /// To trim all of a topic on every node; answered by [`Told::ClearDone`], and by [`Told::Cleared`] where it is followed.
    Clear {
        /// Names the request.
        ticket: Ticket,
        /// The topic.
        topic: Topic,
    },
    /// To drop its connections and find the primary anew, for this reason; answered by [`Told::Down`], then [`Told::Up`].
    Reconnect(String),
}

/// One thing that a node is told by its backplane.
#[derive(Debug)]
pub enum Told {
    /// It can be reached; nothing is followed yet.
    Up(Record),
    /// It can't be reached, in an operator's words; nothing is followed any more and no open request will be answered.
    Down(String),
    /// These channels are followed: what is published from here on comes.
    Confirmed(Vec<Channel>),
    /// A probe is back, and with it everything numbered before.
    Probed {
        /// Which.
        probe: u64,
        /// The record at that moment.
        record: Record,
    },
    /// A message of a followed channel.
    Message(Numbered),
    /// A followed topic was trimmed up to this position.
    Cleared {
        /// The topic.
        topic: Topic,
        /// The position, of the life in which it was trimmed.
        to: Position,
    },
    /// What was read.
    Read {
        /// Which.
        read: u64,
        /// The record at that moment, and what is kept.
        result: Result<(Record, Vec<TopicRead>), String>,
    },
    /// The end of a publish.
    Published {
        /// Which.
        ticket: Ticket,
        /// What became of it.
        result: Result<Published, Refusal>,
    },
    /// The end of a request to clear: how many messages went.
    ClearDone {
        /// Which.
        ticket: Ticket,
        /// What became of it.
        result: Result<usize, Refusal>,
    },
}

impl Channel {
    /// The channel on which everything comes that a filter matches.
    pub fn of(filter: &Filter) -> Channel {
        if filter.is_topic() {
            return Channel::Topic(
                Topic::parse(filter.as_str()).expect("a filter without wildcards is a topic"),
            );
        }
        let literal = filter.literal_prefix().trim_end_matches('.');
        let end = literal.match_indices('.').nth(PREFIX_SEGMENTS_MAX - 1).map_or(literal.len(), |(at, _)| at);
        Channel::Prefix(literal[..end].into())
    }

    /// True if the messages of a topic come on it.
    pub fn covers(&self, topic: &str) -> bool {
        match self {
            Channel::Topic(own) => own.as_str() == topic,
            Channel::Prefix(prefix) => {
                prefix.is_empty() || topic.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_followed_by_the_channel_of_its_longest_literal_prefix() {
        let prefix = |text: &str| Channel::Prefix(text.into());
        for (filter, channel) in [
            ("a.b", Channel::Topic(Topic::parse("a.b").unwrap())),
            ("a.b.*", prefix("a.b")),
            ("a.*.c", prefix("a")),
            ("*.a", prefix("")),
            (">", prefix("")),
            ("a.b.c.d.>", prefix("a.b.c.d")),
            ("a.b.c.d.e.>", prefix("a.b.c.d")),
        ] {
            assert_eq!(Channel::of(&Filter::parse(filter).unwrap()), channel, "{filter}");
        }
    }

    #[test]
    fn a_prefix_covers_what_is_below_it() {
        let below = Channel::Prefix("a.b".into());
        assert!(below.covers("a.b.c") && below.covers("a.b.c.d"));
        assert!(!below.covers("a.b") && !below.covers("a.bc.d") && !below.covers("a"));
        assert!(Channel::Prefix("".into()).covers("anything"));
    }
}
