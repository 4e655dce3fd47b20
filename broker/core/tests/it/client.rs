//! A client as an SDK is: it keeps a cursor for each filter, reads frames, and resumes after every cut.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::SessionKey;
use fanfare_protocol::{Cursor, Encoding, ErrorCode, Filter, Frame, Gap, Message, OkBody, Position, Topic};

use super::facts::{Facts, NOBODY, Who};
use super::followed::{Followed, State};
use super::pipe::Pipe;

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
    /// What the session follows, as far as is known.
    pub(super) subscribed: BTreeSet<Filter>,
    ids: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum Asked {
    Subscribe {
        filter: Filter,
        begins: Begins,
    },
    Unsubscribe(Filter),
    History {
        topic: Topic,
        after: Option<Position>,
    },
    Publish(usize),
    /// It must be refused with this code.
    Refused(ErrorCode),
}

/// What must be true of the `ok` of a subscribe.
#[derive(Debug)]
pub(super) enum Begins {
    /// Its cursor, and its `resumed`.
    At(Position, Option<bool>),
    /// What the node had acknowledged before lies at or below a fresh cursor of the same past.
    AtOrAbove(Option<Position>),
}

/// What a frame means for others than the client's filters.
pub(super) enum Heard {
    Nothing,
    Ping,
    Published {
        tag: usize,
        result: Result<Position, ErrorCode>,
    },
    /// So many messages of a history were read.
    Read(usize),
}

impl Link {
    pub(super) fn new(node: usize, worker: usize, key: SessionKey, who: Who, pipe: Pipe) -> Link {
        Link { node, worker, key, who, pipe, asked: BTreeMap::new(), subscribed: BTreeSet::new(), ids: 0 }
    }

    /// Notes what is asked for; its id.
    pub(super) fn ask(&mut self, asked: Asked) -> u64 {
        self.ids += 1;
        self.asked.insert(self.ids, asked);
        self.ids
    }

    /// Tags of publishes that are not answered.
    pub(super) fn publishes(&self) -> impl Iterator<Item = usize> {
        let tag = |asked: &Asked| if let Asked::Publish(tag) = asked { Some(*tag) } else { None };
        self.asked.values().filter_map(tag)
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
        let away = self.followed.iter().filter(|(_, followed)| followed.state == State::Away);
        let away = away.map(|(filter, _)| filter).filter(|filter| !link.subscribed.contains(*filter));
        away.cloned().collect()
    }

    pub(super) fn receive(&mut self, facts: &Facts, now_ms: u64, frame: Frame) -> Heard {
        let link = self.link.as_mut().expect("frames come by a connection");
        match frame {
            Frame::Welcome { id: None, .. } | Frame::Goodbye { .. } => {}
            Frame::Ok { id, body } => {
                let asked = link.asked.remove(&id).expect("an answer is to something asked");
                return self.answered(facts, now_ms, asked, body);
            }
            Frame::Error { id, code, reason, .. } => {
                let asked = id.and_then(|id| link.asked.remove(&id)).expect("an error is to something asked");
                return self.refused(asked, code, &reason);
            }
            Frame::Message(message) => self.message(facts, now_ms, &message),
            Frame::Gap(gap) => self.concerned(&gap).for_each(|followed| followed.gap(facts, &gap, now_ms)),
            Frame::Replay { filter, frame } => {
                let who = link.who;
                let followed = self.of(&filter);
                if let Frame::Message(message) = &*frame {
                    facts.check(message);
                    followed.replayed(facts, who, message, now_ms);
                } else if let Frame::Gap(gap) = &*frame {
                    assert_eq!(followed.state, State::Replaying, "a replayed gap comes before live");
                    followed.gap(facts, gap, now_ms);
                }
            }
            Frame::Live { filter, cursor } => {
                let filter = filter.expect("a filter goes live");
                self.of(&filter).live(facts, single(&cursor), now_ms);
            }
            Frame::Ping { cursor } => {
                self.live().for_each(|followed| followed.move_up(facts, single(&cursor), now_ms));
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

    /// The live filters that a gap is for.
    pub(super) fn concerned(&mut self, gap: &Gap) -> impl Iterator<Item = &mut Followed> {
        let topic = gap.topic.as_ref();
        self.live().filter(move |followed| topic.is_none_or(|topic| followed.filters.matches(topic.as_str())))
    }

    fn live(&mut self) -> impl Iterator<Item = &mut Followed> {
        let all = self.followed.values_mut().chain(self.leaving.values_mut());
        all.filter(|followed| followed.state == State::Live)
    }

    fn answered(&mut self, facts: &Facts, now_ms: u64, asked: Asked, body: OkBody) -> Heard {
        match asked {
            Asked::Subscribe { filter, begins } => {
                let cursor = single(&body.cursor.expect("`ok` of a subscribe has a cursor"));
                let who = self.link.as_ref().expect("answers come by a connection").who;
                let followed = self.of(&filter);
                let is_fresh = followed.ask().0.is_none();
                assert_eq!(body.resumed.is_none(), is_fresh, "`resumed` stands with `after` alone");
                begins.check(facts, is_fresh, cursor, body.resumed);
                followed.begins(facts, who, cursor);
            }
            Asked::Unsubscribe(filter) => {
                self.leaving.remove(&filter).expect("what is unsubscribed was followed");
            }
            Asked::Publish(tag) => {
                let result = Ok(body.position.expect("a publish is told its position"));
                return Heard::Published { tag, result };
            }
            Asked::History { topic, after } => {
                return Heard::Read(check_history(facts, now_ms, &topic, after, body));
            }
            Asked::Refused(code) => panic!("what must be refused with {code:?} succeeded"),
        }
        Heard::Nothing
    }

    fn refused(&mut self, asked: Asked, code: ErrorCode, reason: &str) -> Heard {
        if let Asked::Publish(tag) = asked {
            return Heard::Published { tag, result: Err(code) };
        }
        let is_expected = match &asked {
            Asked::Refused(expected) => code == *expected,
            _ if code == ErrorCode::Unavailable => true,
            Asked::Subscribe { filter, .. } => {
                code == ErrorCode::NotSubscribed && self.leaving.contains_key(filter)
            }
            Asked::Unsubscribe(filter) => {
                code == ErrorCode::NotSubscribed && self.leaving[filter].state == State::Away
            }
            Asked::History { .. } | Asked::Publish(_) => false,
        };
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
            Asked::History { .. } | Asked::Publish(_) | Asked::Refused(_) => {}
        }
        Heard::Nothing
    }

    fn message(&mut self, facts: &Facts, now_ms: u64, message: &Message) {
        facts.check(message);
        let who = self.link.as_ref().map(|link| link.who);
        let own = facts.fact(message.position).is_some_and(|fact| fact.origin == who);
        let (mut wanted, mut meant) = (false, false);
        for followed in self.live() {
            if followed.filters.matches(message.topic.as_str()) {
                meant = true;
                wanted |= followed.echo || !own;
                followed.message(facts, message, now_ms);
            }
        }
        assert!(meant, "no live filter matches {}", message.topic);
        assert!(wanted, "a session that is deaf to itself gets none of its own");
    }

    /// The filter that a frame is for: what is being left comes before what is followed anew.
    pub(super) fn of(&mut self, filter: &Filter) -> &mut Followed {
        let found = self.leaving.get_mut(filter).or_else(|| self.followed.get_mut(filter));
        found.expect("frames are for filters that are followed")
    }
}

impl Begins {
    fn check(&self, facts: &Facts, is_fresh: bool, cursor: Position, resumed: Option<bool>) {
        match self {
            Begins::At(expected, whole) => {
                assert_eq!(cursor, *expected, "it begins where it was asked to, else at the top");
                assert_eq!(resumed, *whole, "after {cursor} it is told truly whether all is there");
            }
            Begins::AtOrAbove(Some(before)) if is_fresh && facts.leads_to(*before, cursor.epoch) => {
                assert!(before.seq <= cursor.seq, "{before} was acknowledged before {cursor}");
            }
            Begins::AtOrAbove(_) => {}
        }
    }
}

/// A page of history is checked as a replay is; how many messages it has.
fn check_history(facts: &Facts, now_ms: u64, topic: &Topic, after: Option<Position>, body: OkBody) -> usize {
    let end = single(&body.cursor.expect("history has a cursor"));
    let frames = body.frames.expect("history has frames");
    // The newest are whole from the oldest of them on.
    let start = after.unwrap_or_else(|| match frames.first() {
        Some(Frame::Message(Message { position, .. })) => Position { seq: position.seq - 1, ..*position },
        Some(frame) => panic!("{frame:?} is not of the newest"),
        None => end,
    });
    let mut page = Followed::new(Filter::from(topic).into(), Some(start), 0, true);
    page.begins(facts, NOBODY, start);
    let mut messages = 0;
    for frame in frames {
        if let Frame::Message(message) = &frame {
            facts.check(message);
            page.message(facts, message, now_ms);
            messages += 1;
        } else if let Frame::Gap(gap) = &frame {
            assert!(after.is_some(), "{gap:?} is not of the newest");
            page.gap(facts, gap, now_ms);
        }
    }
    page.move_up(facts, end, now_ms);
    messages
}

/// The only part of a cursor.
pub(super) fn single(cursor: &Cursor) -> Position {
    let [position] = cursor.positions() else { panic!("{cursor} has one part") };
    *position
}
