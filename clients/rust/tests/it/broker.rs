//! A small broker of one partition, written to be read: what the protocol says of replays, gaps and holes.

use std::collections::{BTreeMap, VecDeque};

use fanfare_client::session::Session;
use fanfare_client::{Cursor, Encoding, Filter, Gap, Message, Payload, Position, Topic};
use fanfare_protocol::{Frame, OkBody, Request, decode_request};

/// Topics with more holes than this are told by one gap.
const HOLES_MAX: usize = 2;
/// A replay goes on only while so little waits.
const WAITING_MAX: usize = 6;

/// What was published and what of it is kept.
#[derive(Default)]
pub(super) struct Log {
    pub(super) all: Vec<(u64, String)>,
    topics: BTreeMap<String, Kept>,
    floor: u64,
}

/// The newest messages of a topic, each with the topic's one before.
#[derive(Default)]
struct Kept {
    messages: VecDeque<(u64, u64)>,
    last: u64,
}

/// One session as the broker holds it.
#[derive(Default)]
pub(super) struct Connection {
    requests: VecDeque<Request>,
    following: BTreeMap<Filter, Following>,
    frames: VecDeque<Frame>,
}

struct Following {
    is_live: bool,
    cursor: u64,
    /// Up to where the holes of a topic were told.
    told: BTreeMap<String, u64>,
}

pub(super) fn position(seq: u64) -> Position {
    Position { epoch: "0.k".parse().unwrap(), seq }
}

fn message(seq: u64, topic: &str) -> Frame {
    Frame::Message(Message {
        topic: Topic::parse(topic).unwrap(),
        position: position(seq),
        payload: Payload::Json(seq.to_string().into()),
        media_type: None,
        time: None,
        user: None,
        headers: None,
    })
}

fn gap(topic: Option<&str>, from: u64, to: u64) -> Frame {
    let topic = topic.map(|topic| Topic::parse(topic).unwrap());
    Frame::Gap(Gap { topic, from: position(from), to: position(to), count: None })
}

fn seq(cursor: &Cursor) -> u64 {
    cursor.in_partition(0).unwrap().seq
}

impl Log {
    pub(super) fn newest(&self) -> u64 {
        self.all.len() as u64
    }

    pub(super) fn publish(&mut self, topic: &str, keep: usize) -> u64 {
        let seq = self.newest() + 1;
        let kept = self.topics.entry(topic.to_owned()).or_default();
        kept.messages.push_back((seq, kept.last));
        kept.last = seq;
        while kept.messages.len() > keep {
            kept.messages.pop_front();
        }
        self.all.push((seq, topic.to_owned()));
        seq
    }

    /// Forgets a topic of which nothing is kept.
    pub(super) fn forget(&mut self, topic: &str) {
        if self.topics.get(topic).is_some_and(|kept| kept.messages.is_empty()) {
            let kept = self.topics.remove(topic).unwrap();
            self.floor = self.floor.max(kept.last);
        }
    }

    fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (&'a str, &'a Kept)> {
        let all = self.topics.iter().map(|(topic, kept)| (topic.as_str(), kept));
        all.filter(|(topic, _)| filter.matches(topic))
    }

    /// The newest so many of each topic, in order.
    fn last(&self, filter: &Filter, last: usize, at_most: u64) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for (topic, kept) in self.matching(filter) {
            let below = kept.messages.iter().rev().filter(|(seq, _)| *seq <= at_most).take(last);
            found.extend(below.map(|(seq, _)| (*seq, topic.to_owned())));
        }
        found.sort_unstable();
        found
    }

    /// The next frame of a replay, or none if it has caught up.
    fn next(&self, filter: &Filter, following: &Following) -> Option<Frame> {
        let cursor = following.cursor;
        if cursor < self.floor && !(filter.is_topic() && self.topics.contains_key(filter.as_str())) {
            return Some(gap(None, cursor, self.floor));
        }
        let (mut oldest, mut holes): (Option<(u64, &str)>, Vec<Frame>) = (None, Vec::new());
        for (topic, kept) in self.matching(filter).filter(|(_, kept)| kept.last > cursor) {
            let first = kept.messages.iter().find(|(seq, _)| *seq > cursor);
            let hole_end = first.map_or(kept.last, |(_, before)| *before);
            if hole_end > cursor.max(following.told.get(topic).copied().unwrap_or(0)) {
                holes.push(gap(Some(topic), cursor, hole_end));
            }
            if let Some((seq, _)) = first
                && oldest.is_none_or(|(oldest, _)| *seq < oldest)
            {
                oldest = Some((*seq, topic));
            }
        }
        if holes.len() > HOLES_MAX {
            return Some(gap(None, cursor, self.newest()));
        }
        holes.into_iter().next().or_else(|| oldest.map(|(seq, topic)| message(seq, topic)))
    }
}

impl Connection {
    /// Takes a frame of the client, to be looked at later.
    pub(super) fn take(&mut self, frame: &[u8]) {
        self.requests.push_back(decode_request(Encoding::Json, frame).unwrap());
    }

    /// Answers the next request.
    pub(super) fn answer(&mut self, log: &Log) {
        match self.requests.pop_front() {
            Some(Request::Subscribe { id, filter, options }) => {
                let start = options.after.as_ref().map_or(log.newest(), seq);
                assert!(!self.following.contains_key(&filter), "{filter} is followed twice");
                let cursor = Some(position(start).into());
                self.frames.push_back(Frame::Ok { id, body: OkBody { cursor, ..OkBody::default() } });
                for (seq, topic) in log.last(&filter, options.last.unwrap_or(0) as usize, start) {
                    let frame = Box::new(message(seq, &topic));
                    self.frames.push_back(Frame::Replay { filter: filter.clone(), frame });
                }
                let is_live = options.after.is_none() && options.last.is_none();
                self.following.insert(filter, Following { is_live, cursor: start, told: BTreeMap::new() });
            }
            Some(Request::Unsubscribe { id, filter }) => {
                assert!(self.following.remove(&filter).is_some(), "{filter} is not followed");
                self.frames.push_back(Frame::Ok { id, body: OkBody::default() });
            }
            Some(Request::Pong) | None => {}
            Some(other) => panic!("{other:?} is not asked"),
        }
    }

    pub(super) fn published(&mut self, seq: u64, topic: &str) {
        let mut all = self.following.iter();
        if all.any(|(filter, following)| following.is_live && filter.matches(topic)) {
            self.frames.push_back(message(seq, topic));
        }
    }

    /// Goes on with the replay of a filter.
    pub(super) fn replay(&mut self, log: &Log, filter: &Filter) {
        let Some(following) = self.following.get_mut(filter) else { return };
        if following.is_live || self.frames.len() > WAITING_MAX {
            return;
        }
        let filter = filter.clone();
        let Some(frame) = log.next(&filter, following) else {
            following.is_live = true;
            let cursor = position(log.newest()).into();
            return self.frames.push_back(Frame::Live { filter: Some(filter), cursor });
        };
        if let Frame::Message(message) = &frame {
            following.cursor = message.position.seq;
        } else if let Frame::Gap(Gap { topic: Some(topic), to, .. }) = &frame {
            following.told.insert(topic.as_str().to_owned(), to.seq);
        } else if let Frame::Gap(Gap { topic: None, to, .. }) = &frame {
            following.cursor = to.seq;
        }
        self.frames.push_back(Frame::Replay { filter, frame: Box::new(frame) });
    }

    pub(super) fn ping(&mut self, log: &Log) {
        self.frames.push_back(Frame::Ping { cursor: position(log.newest()).into() });
    }

    /// Drops the oldest live messages that wait: a gap stands for them.
    pub(super) fn drop_oldest(&mut self, at_most: usize) {
        let mut dropped = None;
        for _ in 0..at_most {
            let Some(Frame::Message(message)) = self.frames.front() else { break };
            let seq = message.position.seq;
            dropped = Some((dropped.map_or(seq, |(first, _)| first), seq));
            self.frames.pop_front();
        }
        if let Some((first, last)) = dropped {
            self.frames.push_front(gap(None, first - 1, last));
        }
    }

    /// Sends the next frame; false if there is none.
    pub(super) fn send(&mut self, now_ms: u64, session: &mut Session) -> bool {
        let Some(frame) = self.frames.pop_front() else { return false };
        let mut bytes = Vec::new();
        frame.encode(Encoding::Json, &mut bytes);
        session.receive(now_ms, &bytes);
        true
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.requests.is_empty() && self.frames.is_empty()
    }
}
