//! A client as an SDK is: it keeps a cursor for each filter, reads frames, and resumes on any node after every cut.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::SessionKey;
use fanfare_protocol::{Cursor, Encoding, ErrorCode, Filter, Frame, Message, OkBody, Position, Topic};

use super::followed::{Followed, State};
use super::truth::{Truth, Who, tag_of};
use crate::it::pipe::Pipe;

pub(super) struct Client {
    pub(super) encoding: Encoding,
    pub(super) link: Option<Link>,
    pub(super) followed: BTreeMap<Filter, Followed>,
    /// Filters whose unsubscribe is not answered.
    pub(super) leaving: BTreeMap<Filter, Followed>,
}

/// A connection and the session at its other end.
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) worker: usize,
    pub(super) key: SessionKey,
    pub(super) who: Who,
    pub(super) pipe: Pipe,
    pub(super) asked: BTreeMap<u64, Asked>,
    /// What the session follows, as far as the client knows.
    pub(super) subscribed: BTreeSet<Filter>,
    ids: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum Asked {
    Subscribe {
        filter: Filter,
        /// What this node had acknowledged before.
        acknowledged: Option<Position>,
    },
    Unsubscribe(Filter),
    History {
        topic: Topic,
        after: Option<Position>,
    },
    Publish(usize),
}

/// What a frame means for others than the client's filters.
pub(super) enum Heard {
    Nothing,
    Ping,
    Published {
        tag: usize,
        result: Result<OkBody, ErrorCode>,
    },
    /// A history was read up to here.
    Read(usize),
}

impl Link {
    pub(super) fn new(node: usize, worker: usize, key: SessionKey, who: Who, pipe: Pipe) -> Link {
        Link { node, worker, key, who, pipe, asked: BTreeMap::new(), subscribed: BTreeSet::new(), ids: 0 }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

impl Client {
    pub(super) fn new(encoding: Encoding) -> Client {
        Client { encoding, link: None, followed: BTreeMap::new(), leaving: BTreeMap::new() }
    }

    /// The connection is gone.
    pub(super) fn cut(&mut self) -> Option<Link> {
        self.followed.values_mut().for_each(|followed| followed.state = State::Away);
        self.leaving.clear();
        self.link.take()
    }

    /// Filters that the session does not follow and was not asked to.
    pub(super) fn away(&self) -> Vec<Filter> {
        let Some(link) = &self.link else { return Vec::new() };
        let away = self.followed.values().filter(|followed| followed.state == State::Away);
        away.map(|followed| followed.filter.clone())
            .filter(|filter| !link.subscribed.contains(filter) && !self.leaving.contains_key(filter))
            .collect()
    }

    pub(super) fn receive(&mut self, truth: &Truth, now_ms: u64, frame: Frame) -> Heard {
        let link = self.link.as_mut().expect("frames come by a connection");
        match frame {
            Frame::Welcome { id: None, .. } | Frame::Goodbye { .. } => {}
            Frame::Ok { id, body } => {
                let asked = link.asked.remove(&id).expect("an answer is to something asked");
                return self.answered(truth, now_ms, asked, body);
            }
            Frame::Error { id, code, reason, .. } => {
                let asked = id.and_then(|id| link.asked.remove(&id)).expect("an error is to something asked");
                return self.refused(asked, code, &reason);
            }
            Frame::Message(message) => self.message(truth, now_ms, &message),
            Frame::Gap(gap) => {
                for followed in self.live() {
                    if gap.topic.as_ref().is_none_or(|topic| followed.filter.matches(topic.as_str())) {
                        followed.gap(truth, &gap, now_ms);
                    }
                }
            }
            Frame::Replay { filter, frame } => {
                let who = link.who;
                let followed = self.of(&filter);
                if let Frame::Message(message) = &*frame {
                    check_message(truth, message);
                    followed.replayed(truth, who, message, now_ms);
                } else if let Frame::Gap(gap) = &*frame {
                    assert_eq!(followed.state, State::Replaying, "a replayed gap comes before live");
                    followed.gap(truth, gap, now_ms);
                }
            }
            Frame::Live { filter, cursor } => {
                let filter = filter.expect("a filter goes live");
                self.of(&filter).live(truth, single(&cursor), now_ms);
            }
            Frame::Ping { cursor } => {
                self.live().for_each(|followed| followed.move_up(truth, single(&cursor), now_ms));
                return Heard::Ping;
            }
            Frame::Unsubscribed { filter, retry_after_ms, .. } => {
                assert!(retry_after_ms.is_some(), "{filter} may be asked for again");
                link.subscribed.remove(&filter);
                self.of(&filter).state = State::Away;
            }
            Frame::Welcome { id: Some(_), .. } => panic!("{frame:?} is unexpected"),
        }
        Heard::Nothing
    }

    fn live(&mut self) -> impl Iterator<Item = &mut Followed> {
        let all = self.followed.values_mut().chain(self.leaving.values_mut());
        all.filter(|followed| followed.state == State::Live)
    }

    fn answered(&mut self, truth: &Truth, now_ms: u64, asked: Asked, body: OkBody) -> Heard {
        match asked {
            Asked::Subscribe { filter, acknowledged } => {
                let cursor = single(&body.cursor.expect("`ok` of a subscribe has a cursor"));
                let who = self.link.as_ref().expect("answers come by a connection").who;
                let followed = self.of(&filter);
                let is_fresh = followed.ask().0.is_none();
                assert_eq!(body.resumed.is_none(), is_fresh, "`resumed` stands with `after` alone");
                if let Some(before) =
                    acknowledged.filter(|before| is_fresh && truth.leads_to(*before, cursor.epoch))
                {
                    assert!(before.seq <= cursor.seq, "{filter}: {before} was acknowledged before {cursor}");
                }
                followed.begins(truth, who, cursor);
                Heard::Nothing
            }
            Asked::Unsubscribe(filter) => {
                self.leaving.remove(&filter).expect("what is unsubscribed was followed");
                Heard::Nothing
            }
            Asked::Publish(tag) => Heard::Published { tag, result: Ok(body) },
            Asked::History { topic, after } => Heard::Read(check_history(truth, now_ms, &topic, after, body)),
        }
    }

    fn refused(&mut self, asked: Asked, code: ErrorCode, reason: &str) -> Heard {
        if let Asked::Publish(tag) = asked {
            return Heard::Published { tag, result: Err(code) };
        }
        let is_left = match &asked {
            Asked::Subscribe { filter, .. } => self.leaving.contains_key(filter),
            Asked::Unsubscribe(filter) => self.leaving[filter].state == State::Away,
            Asked::History { .. } | Asked::Publish(_) => false,
        };
        let is_expected = code == ErrorCode::Unavailable || is_left && code == ErrorCode::NotSubscribed;
        assert!(is_expected, "{asked:?} was refused: {reason}");
        match asked {
            Asked::Subscribe { filter, .. } => {
                let link = self.link.as_mut().expect("answers come by a connection");
                if !self.leaving.contains_key(&filter) {
                    link.subscribed.remove(&filter);
                }
            }
            Asked::Unsubscribe(filter) => {
                self.leaving.remove(&filter);
            }
            Asked::History { .. } | Asked::Publish(_) => {}
        }
        Heard::Nothing
    }

    fn message(&mut self, truth: &Truth, now_ms: u64, message: &Message) {
        check_message(truth, message);
        let who = self.link.as_ref().map(|link| link.who);
        let own = truth.fact(message.position).is_some_and(|fact| fact.origin == who);
        let (mut wanted, mut meant) = (false, false);
        for followed in self.live() {
            if followed.filter.matches(message.topic.as_str()) {
                meant = true;
                wanted |= followed.echo || !own;
                followed.message(truth, message, now_ms);
            }
        }
        assert!(meant, "no live filter matches {}", message.topic);
        assert!(wanted, "a session that is deaf to itself gets none of its own");
    }

    /// The filter that a frame is for: what is being left comes before what is followed anew.
    fn of(&mut self, filter: &Filter) -> &mut Followed {
        let found = self.leaving.get_mut(filter).or_else(|| self.followed.get_mut(filter));
        found.expect("frames are for filters that are followed")
    }
}

/// A page of history is checked as a replay is; how many messages it has.
fn check_history(truth: &Truth, now_ms: u64, topic: &Topic, after: Option<Position>, body: OkBody) -> usize {
    let end = single(&body.cursor.expect("history has a cursor"));
    let frames = body.frames.expect("history has frames");
    // The newest are whole from the oldest of them on.
    let after = after.unwrap_or_else(|| match frames.first() {
        Some(Frame::Message(Message { position, .. })) => Position { seq: position.seq - 1, ..*position },
        Some(frame) => panic!("{frame:?} is not of the newest"),
        None => end,
    });
    let mut page = Followed::new(Filter::from(topic), Some(after), 0, true);
    page.begins(truth, (0, fanfare_core::SessionId(0)), after);
    let mut messages = 0;
    for frame in frames {
        if let Frame::Message(message) = &frame {
            check_message(truth, message);
            page.message(truth, message, now_ms);
            messages += 1;
        } else if let Frame::Gap(gap) = &frame {
            page.gap(truth, gap, now_ms);
        }
    }
    page.move_up(truth, end, now_ms);
    messages
}

/// The position names one message, and this is it.
fn check_message(truth: &Truth, message: &Message) {
    let fact = truth.fact(message.position);
    let fact = fact.unwrap_or_else(|| panic!("{message:?} is delivered and was never numbered"));
    assert_eq!(message.topic, fact.topic, "a position names one message");
    assert_eq!(tag_of(&message.payload), fact.tag, "a position names one message");
}

/// The only part of a cursor.
pub(super) fn single(cursor: &Cursor) -> Position {
    let [position] = cursor.positions() else { panic!("{cursor} has one part") };
    *position
}
