//! A client as an SDK is: it keeps a cursor for each filter, reads frames, and resumes after every cut.

use std::collections::BTreeMap;

use fanfare_protocol::{Cursor, Encoding, ErrorCode, Filter, Frame, Message, OkBody, Position, Topic};

use super::followed::{Followed, State};
use super::link::{Asked, Link};
use super::model::{Model, NOBODY};

pub(super) struct Client {
    pub(super) encoding: Encoding,
    pub(super) link: Option<Link>,
    pub(super) followed: BTreeMap<Filter, Followed>,
    /// Filters whose unsubscribe is not answered.
    pub(super) leaving: BTreeMap<Filter, Followed>,
}

/// What a frame means for others than the client's filters.
pub(super) enum Told {
    Nothing,
    Ping,
    Published { tag: usize, result: Result<OkBody, ErrorCode> },
}

impl Client {
    pub(super) fn new(encoding: Encoding) -> Client {
        Client { encoding, link: None, followed: BTreeMap::new(), leaving: BTreeMap::new() }
    }

    /// The connection is gone.
    pub(super) fn cut(&mut self, model: &Model, now_ms: u64) -> Option<Link> {
        for followed in self.followed.values_mut().chain(self.leaving.values_mut()) {
            followed.cut(model, now_ms);
        }
        self.leaving.clear();
        self.link.take()
    }

    /// Filters that the session does not follow yet.
    pub(super) fn away(&self) -> Vec<Filter> {
        let Some(link) = &self.link else { return Vec::new() };
        let away = self.followed.values().filter(|followed| followed.state == State::Away);
        away.map(|followed| followed.filters[0].clone())
            .filter(|filter| !link.subscribed.contains(filter))
            .collect()
    }

    pub(super) fn receive(&mut self, model: &Model, now_ms: u64, frame: Frame) -> Told {
        let link = self.link.as_mut().expect("frames come by a connection");
        match frame {
            Frame::Welcome { id: None, .. } | Frame::Goodbye { .. } => {}
            Frame::Ok { id, body } => {
                let asked = link.asked.remove(&id).expect("an answer is to something asked");
                return self.answered(model, now_ms, asked, body);
            }
            Frame::Error { id, code, reason, .. } => {
                let asked = id.and_then(|id| link.asked.remove(&id)).expect("an error is to something asked");
                if let Asked::Publish(tag) = asked {
                    return Told::Published { tag, result: Err(code) };
                }
                let is_expected = matches!(asked, Asked::Refused(expected) if expected == code);
                assert!(is_expected, "{asked:?} was refused: {reason}");
            }
            Frame::Message(message) => self.message(model, now_ms, &message),
            Frame::Gap(gap) => {
                let all = self.followed.values_mut().chain(self.leaving.values_mut());
                for followed in all.filter(|followed| followed.state == State::Live) {
                    followed.dropped(model, &gap, now_ms);
                }
            }
            Frame::Replay { filter, frame } => {
                let who = link.who;
                let followed = self.of(&filter);
                if let Frame::Message(message) = &*frame {
                    check_message(model, message);
                    followed.replayed_message(model, who, message, now_ms);
                } else if let Frame::Gap(gap) = &*frame {
                    assert_eq!(followed.state, State::Replaying, "a replayed gap comes before live");
                    followed.gap(model, gap, now_ms);
                }
            }
            Frame::Live { filter, cursor } => {
                let filter = filter.expect("a filter goes live");
                self.of(&filter).live(model, single(&cursor), now_ms);
            }
            Frame::Ping { cursor } => {
                let all = self.followed.values_mut().chain(self.leaving.values_mut());
                for followed in all.filter(|followed| followed.state == State::Live) {
                    followed.ping(model, single(&cursor), now_ms);
                }
                return Told::Ping;
            }
            Frame::Welcome { id: Some(_), .. } | Frame::Unsubscribed { .. } => {
                panic!("{frame:?} is unexpected")
            }
        }
        Told::Nothing
    }

    fn answered(&mut self, model: &Model, now_ms: u64, asked: Asked, body: OkBody) -> Told {
        match asked {
            Asked::Subscribe { filter, cursor, resumed } => {
                let told = body.cursor.as_ref().map(single);
                assert_eq!(told, Some(cursor), "{filter} begins where it was asked to, else at the top");
                assert_eq!(
                    body.resumed, resumed,
                    "{filter} after {cursor} is told truly whether all is there"
                );
                let who = self.link.as_ref().expect("answers come by a connection").who;
                self.of(&filter).begins(model, who, cursor);
                Told::Nothing
            }
            Asked::Unsubscribe(filter) => {
                self.leaving.remove(&filter).expect("what is unsubscribed was followed");
                Told::Nothing
            }
            Asked::Publish(tag) => Told::Published { tag, result: Ok(body) },
            Asked::History { topic, after } => {
                check_history(model, now_ms, &topic, after, body);
                Told::Nothing
            }
            Asked::Refused(code) => panic!("what must be refused with {code:?} succeeded"),
        }
    }

    fn message(&mut self, model: &Model, now_ms: u64, message: &Message) {
        check_message(model, message);
        let who = self.link.as_ref().map(|link| link.who);
        let own = model.record_at(message.position).is_some_and(|record| record.origin == who);
        let (mut wanted, mut meant) = (false, false);
        for followed in self.followed.values_mut().chain(self.leaving.values_mut()) {
            if followed.state == State::Live && followed.filters.matches(message.topic.as_str()) {
                meant = true;
                wanted |= followed.echo || !own;
                followed.message(model, message, now_ms);
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

/// A page of history is checked as a replay is.
fn check_history(model: &Model, now_ms: u64, topic: &Topic, after: Position, body: OkBody) {
    let mut page = Followed::new(Filter::from(topic).into(), Some(after), 0, true);
    page.begins(model, NOBODY, after);
    for frame in body.frames.expect("history has frames") {
        if let Frame::Message(message) = &frame {
            check_message(model, message);
            page.message(model, message, now_ms);
        } else if let Frame::Gap(gap) = &frame {
            page.gap(model, gap, now_ms);
        }
    }
    page.ping(model, single(&body.cursor.expect("history has a cursor")), now_ms);
}

/// The position names one message, and this is it.
fn check_message(model: &Model, message: &Message) {
    let record = model.record_at(message.position).expect("what is delivered was published");
    let draft = &model.drafts[record.tag];
    assert_eq!(message.topic, draft.topic, "a position names one message");
    assert_eq!(message.payload, draft.publication.payload, "a position names one message");
    assert_eq!(
        message.media_type, draft.publication.media_type,
        "a message is delivered as it was published"
    );
}

/// The only part of a cursor.
pub(super) fn single(cursor: &Cursor) -> Position {
    let [position] = cursor.positions() else { panic!("{cursor} has one part") };
    *position
}
