//! The names of everything that a broker keeps and says on Redis.
//!
//! All of a partition carries one hash tag, so that on a cluster it lies in one slot and one script can reach it.

use fanfare_core::{Channel, PREFIX_SEGMENTS_MAX};
use fanfare_protocol::Topic;

/// The names of one partition's keys and channels.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tag: Box<str>,
}

impl Keys {
    /// The names beneath `prefix`, which holds no brace.
    pub(super) fn new(prefix: &str, partition: u16) -> Keys {
        Keys { tag: format!("{{{prefix}:{partition}}}").into() }
    }

    /// The hash that holds the numbering.
    pub(super) fn record(&self) -> String {
        format!("{}/record", self.tag)
    }

    /// The sorted set of topics by the seq of their newest message.
    pub(super) fn directory(&self) -> String {
        format!("{}/topics", self.tag)
    }

    /// The sorted set that tells which seq it was when.
    pub(super) fn clock(&self) -> String {
        format!("{}/clock", self.tag)
    }

    /// The list of what is kept of a topic.
    pub(super) fn list(&self, topic: &str) -> String {
        format!("{}/m/{topic}", self.tag)
    }

    /// The first position of a publish that may be repeated; no topic holds a space.
    pub(super) fn repeated(&self, topic: &str, key: &str) -> String {
        format!("{}/k/{topic} {key}", self.tag)
    }

    /// How far a node's calls that publish together have come.
    pub(super) fn run(&self, node: u64) -> String {
        format!("{}/r/{node:x}", self.tag)
    }

    /// The channel of one node's probes.
    pub(super) fn node(&self, node: u64) -> String {
        format!("{}/n/{node:x}", self.tag)
    }

    /// The name of a channel.
    pub(super) fn channel(&self, channel: &Channel) -> String {
        match channel {
            Channel::Topic(topic) => format!("{}/t/{}", self.tag, topic.as_str()),
            Channel::Prefix(prefix) => format!("{}/p/{prefix}", self.tag),
        }
    }

    /// The channel of a name; none for a node's.
    pub(super) fn parse(&self, name: &str) -> Option<Channel> {
        let rest = name.strip_prefix(&*self.tag)?;
        match rest.split_at_checked(3)? {
            ("/t/", topic) => Topic::parse(topic).ok().map(Channel::Topic),
            ("/p/", prefix) => Some(Channel::Prefix(prefix.into())),
            _ => None,
        }
    }

    /// Every channel on which a topic's messages come: its own, those of its prefixes, and that of all topics.
    pub(super) fn channels(&self, topic: &str) -> impl Iterator<Item = String> {
        let own = format!("{}/t/{topic}", self.tag);
        let prefixes = topic.match_indices('.').take(PREFIX_SEGMENTS_MAX).map(|(end, _)| &topic[..end]);
        let all = std::iter::once("").chain(prefixes);
        std::iter::once(own).chain(all.map(|prefix| format!("{}/p/{prefix}", self.tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_on_its_topics_channel_and_on_those_of_its_first_prefixes() {
        let keys = Keys::new("fanfare", 0);
        let channels = |topic: &str| {
            let names = keys.channels(topic);
            names.map(|name| name.strip_prefix("{fanfare:0}/").unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(channels("a"), ["t/a", "p/"]);
        assert_eq!(channels("a.b"), ["t/a.b", "p/", "p/a"]);
        assert_eq!(channels("a.b.c.d.e.f"), ["t/a.b.c.d.e.f", "p/", "p/a", "p/a.b", "p/a.b.c", "p/a.b.c.d"]);
    }

    #[test]
    fn channels_are_read_as_they_are_written() {
        let keys = Keys::new("a/t/b", 3);
        for channel in [
            Channel::Topic(Topic::parse("x/y.z").unwrap()),
            Channel::Prefix("x/y".into()),
            Channel::Prefix("".into()),
        ] {
            assert_eq!(keys.parse(&keys.channel(&channel)), Some(channel));
        }
        assert_eq!(keys.parse(&keys.node(7)), None);
        assert_eq!(keys.parse("{other:3}/t/a"), None);
        assert_eq!(keys.parse(""), None);
    }
}
