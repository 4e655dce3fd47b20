//! The channels that a node's filters want, which of them it follows, and above which seq it knows all of each.
//!
//! Nothing is followed beneath a prefix that is followed. What is known of a channel outlives the link that brought it,
//! as long as some link covers it without a break.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use fanfare_protocol::Topic;

use super::{Channel, PREFIX_SEGMENTS_MAX};

/// All channels that somebody wants, or wanted a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    topics: BTreeMap<Topic, Slot>,
    prefixes: BTreeMap<Box<str>, Slot>,
    /// Those that nobody holds, by since when.
    idle: BTreeSet<(u64, Channel)>,
    /// Those to be left once what is wanted beneath them is followed by itself.
    pub(crate) leaving: BTreeSet<Channel>,
}

/// What is known of one channel.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    holds: u32,
    idle_ms: u64,
    pub(crate) is_leaving: bool,
    pub(crate) link: Link,
    /// All of its topics above this seq is in the log, or trimmed; none: nothing is known.
    pub(crate) complete_above: Option<u64>,
    pub(crate) reading: Option<Reading>,
}

/// How far the following of a channel has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// It is not followed by itself.
    #[default]
    None,
    /// It was asked for.
    Asked,
    /// What is published comes; from which seq on, this probe will say.
    Confirmed(u64),
    /// What is published comes.
    Joined,
}

/// A read that is not answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) read: u64,
    pub(crate) above: u64,
    /// Somebody came who needs more.
    pub(crate) lower: Option<u64>,
    /// A topic was cleared meanwhile, and the answer may not know.
    pub(crate) is_outdated: bool,
    /// An answer before it could not be used.
    pub(crate) is_second: bool,
}

impl Channels {
    pub(crate) fn slot(&self, channel: &Channel) -> Option<&Slot> {
        match channel {
            Channel::Topic(topic) => self.topics.get(topic),
            Channel::Prefix(prefix) => self.prefixes.get(prefix),
        }
    }

    pub(crate) fn slot_mut(&mut self, channel: &Channel) -> Option<&mut Slot> {
        match channel {
            Channel::Topic(topic) => self.topics.get_mut(topic),
            Channel::Prefix(prefix) => self.prefixes.get_mut(prefix),
        }
    }

    pub(crate) fn remove(&mut self, channel: &Channel) -> Option<Slot> {
        self.leaving.remove(channel);
        match channel {
            Channel::Topic(topic) => self.topics.remove(topic),
            Channel::Prefix(prefix) => self.prefixes.remove(prefix),
        }
    }

    /// Somebody wants a channel; true if it was about to be left.
    pub(crate) fn hold(&mut self, channel: &Channel) -> bool {
        let slot = match channel {
            Channel::Topic(topic) => self.topics.entry(topic.clone()).or_default(),
            Channel::Prefix(prefix) => self.prefixes.entry(prefix.clone()).or_default(),
        };
        slot.holds += 1;
        if slot.holds > 1 {
            return false;
        }
        let idle_ms = slot.idle_ms;
        let was_leaving = std::mem::take(&mut slot.is_leaving);
        if was_leaving {
            self.leaving.remove(channel);
        }
        self.idle.remove(&(idle_ms, channel.clone()));
        was_leaving
    }

    /// Who wanted a channel wants it no more.
    pub(crate) fn release(&mut self, channel: &Channel, now_ms: u64) {
        let slot = self.slot_mut(channel).expect("what is held has a slot");
        slot.holds -= 1;
        if slot.holds == 0 {
            slot.idle_ms = now_ms;
            self.idle.insert((now_ms, channel.clone()));
        }
    }

    /// A channel that nobody wants since `since_ms` or longer; it is to be left.
    pub(crate) fn next_idle(&mut self, since_ms: u64) -> Option<Channel> {
        let (at, _) = self.idle.first()?;
        if *at > since_ms {
            return None;
        }
        let (_, channel) = self.idle.pop_first()?;
        self.slot_mut(&channel).expect("an idle channel has a slot").is_leaving = true;
        self.leaving.insert(channel.clone());
        Some(channel)
    }

    /// Since when the longest idle channel is.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        self.idle.first().map(|(at, _)| *at)
    }

    /// Above which seq all of a channel is known; none: not even what comes.
    pub(crate) fn known_above(&self, channel: &Channel) -> Option<u64> {
        match channel {
            Channel::Topic(topic) => self.topic_known_above(topic.as_str()),
            Channel::Prefix(_) => {
                let own = self.slot(channel).and_then(|slot| slot.complete_above);
                self.prefixes_above(channel).filter_map(|slot| slot.complete_above).chain(own).min()
            }
        }
    }

    /// As [`Channels::known_above`], of one topic.
    pub(crate) fn topic_known_above(&self, topic: &str) -> Option<u64> {
        let own = self.topics.get(topic).and_then(|slot| slot.complete_above);
        let above = prefixes_of(topic, true).filter_map(|prefix| self.prefixes.get(prefix));
        above.filter_map(|slot| slot.complete_above).chain(own).min()
    }

    /// The channel by which another is followed: the widest that is wanted, or itself.
    pub(crate) fn cover(&self, channel: &Channel) -> Channel {
        let (name, is_topic) = name_of(channel);
        let wanted = |prefix: &&str| self.prefixes.get(*prefix).is_some_and(|slot| !slot.is_leaving);
        match prefixes_of(name, is_topic).find(wanted) {
            Some(prefix) => Channel::Prefix(prefix.into()),
            None => channel.clone(),
        }
    }

    /// The channels beneath a prefix.
    pub(crate) fn beneath(&self, channel: &Channel) -> Vec<Channel> {
        let Channel::Prefix(prefix) = channel else { return Vec::new() };
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let range = (Bound::Included(start.as_str()), Bound::Unbounded);
        let topics = self.topics.range::<str, _>(range).map(|(topic, _)| Channel::Topic(topic.clone()));
        let prefixes = self.prefixes.range::<str, _>(range).map(|(other, _)| Channel::Prefix(other.clone()));
        let is_beneath = |other: &Channel| name_of(other).0.starts_with(&start);
        let prefixes = prefixes.take_while(is_beneath).filter(|other| other != channel);
        topics.take_while(is_beneath).chain(prefixes).collect()
    }

    /// The prefixes above a channel that are to be left.
    pub(crate) fn leaving_above(&self, channel: &Channel) -> Vec<Channel> {
        let (name, is_topic) = name_of(channel);
        let above = prefixes_of(name, is_topic).map(|prefix| Channel::Prefix(prefix.into()));
        above.filter(|above| self.leaving.contains(above)).collect()
    }

    /// All channels of which something is known, but those beneath another of them.
    pub(crate) fn known(&self) -> Vec<Channel> {
        let is_known = |slot: &&Slot| slot.complete_above.is_some();
        let mut known: Vec<Channel> = self
            .all()
            .filter(|(_, slot)| slot.complete_above.is_some())
            .map(|(channel, _)| channel)
            .collect();
        known.retain(|channel| !self.prefixes_above(channel).any(|slot| is_known(&slot)));
        known
    }

    /// All channels.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Channel, &Slot)> {
        let topics = self.topics.iter().map(|(topic, slot)| (Channel::Topic(topic.clone()), slot));
        topics.chain(self.prefixes.iter().map(|(prefix, slot)| (Channel::Prefix(prefix.clone()), slot)))
    }

    /// All slots.
    pub(crate) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.topics.values_mut().chain(self.prefixes.values_mut())
    }

    fn prefixes_above(&self, channel: &Channel) -> impl Iterator<Item = &Slot> {
        let (name, is_topic) = name_of(channel);
        prefixes_of(name, is_topic).filter_map(|prefix| self.prefixes.get(prefix))
    }
}

/// A channel's topic or prefix, and which of the two it is.
fn name_of(channel: &Channel) -> (&str, bool) {
    match channel {
        Channel::Topic(topic) => (topic.as_str(), true),
        Channel::Prefix(prefix) => (prefix, false),
    }
}

/// The prefixes beneath which a topic or a prefix lies, the widest first.
fn prefixes_of(name: &str, is_topic: bool) -> impl Iterator<Item = &str> {
    let all = (is_topic || !name.is_empty()).then_some("");
    let dots = name.match_indices('.').take(PREFIX_SEGMENTS_MAX);
    all.into_iter().chain(dots.map(move |(at, _)| &name[..at]))
}
