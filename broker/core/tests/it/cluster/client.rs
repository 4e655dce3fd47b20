//! A client that comes back wherever there is a node, with the cursors that it has.

use std::collections::BTreeMap;

use fanfare_core::SessionKey;
use fanfare_protocol::{
    Cursor, ErrorCode, Filter, Frame, OkBody, Position, Request, SubscribeOptions, Topic,
};

use super::followed::{Followed, State};
use super::redis::Truth;

#[derive(Default)]
pub(super) struct Client {
    pub(super) link: Option<Link>,
    pub(super) followed: BTreeMap<Filter, Followed>,
}

pub(super) struct Link {
    pub(super) node: usize,
    pub(super) worker: usize,
    pub(super) key: SessionKey,
    ids: u64,
    asked: BTreeMap<u64, Asked>,
}

enum Asked {
    /// The highest position that the node had answered to a publisher by then.
    Subscribe(Filter, Option<Position>),
    Unsubscribe(Filter),
    History(Topic, Option<Position>),
}

impl Link {
    pub(super) fn new(node: usize, worker: usize, key: SessionKey) -> Link {
        Link { node, worker, key, ids: 0, asked: BTreeMap::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }
}

impl Client {
    pub(super) fn cut(&mut self) -> Option<Link> {
        self.followed.values_mut().for_each(|followed| followed.state = State::Away);
        self.link.take()
    }

    /// The request for a filter from where it stands, unless it is asked for already.
    pub(super) fn subscribe(&mut self, filter: &Filter, acked: Option<Position>) -> Option<Request> {
        let is_asked = self.is_asked(filter);
        let (link, followed) = (self.link.as_mut()?, self.followed.get(filter)?);
        if followed.state != State::Away || is_asked {
            return None;
        }
        link.ids += 1;
        link.asked.insert(link.ids, Asked::Subscribe(filter.clone(), acked));
        let options = SubscribeOptions { after: followed.cursor.map(Cursor::from), ..Default::default() };
        Some(Request::Subscribe { id: link.ids, filter: filter.clone(), options })
    }

    /// True if an answer is awaited that concerns the filter.
    pub(super) fn is_asked(&self, filter: &Filter) -> bool {
        let Some(link) = &self.link else { return false };
        link.asked.values().any(|asked| match asked {
            Asked::Subscribe(other, _) | Asked::Unsubscribe(other) => other == filter,
            Asked::History(..) => false,
        })
    }

    pub(super) fn unsubscribe(&mut self, filter: &Filter) -> Option<Request> {
        let link = self.link.as_mut()?;
        let leaves = |asked: &Asked| matches!(asked, Asked::Unsubscribe(other) if other == filter);
        if link.asked.values().any(leaves) {
            return None;
        }
        self.followed.remove(filter)?;
        link.ids += 1;
        link.asked.insert(link.ids, Asked::Unsubscribe(filter.clone()));
        Some(Request::Unsubscribe { id: link.ids, filter: filter.clone() })
    }

    pub(super) fn history(&mut self, topic: &Topic, after: Option<Position>) -> Option<Request> {
        let link = self.link.as_mut()?;
        link.ids += 1;
        link.asked.insert(link.ids, Asked::History(topic.clone(), after));
        let after = after.map(Cursor::from);
        Some(Request::History { id: link.ids, topic: topic.clone(), after, limit: None })
    }

    /// Takes in a frame; what it is to answer.
    pub(super) fn receive(&mut self, truth: &Truth, frame: Frame) -> Option<Request> {
        match frame {
            Frame::Ping { cursor } => {
                let live = self.followed.values_mut().filter(|followed| followed.state == State::Live);
                live.for_each(|followed| followed.advance(truth, position(&cursor)));
                return Some(Request::Pong);
            }
            Frame::Message(message) => {
                let topic = message.topic.as_str();
                let live = self.followed.values_mut().filter(|followed| followed.state == State::Live);
                let wanted = live.filter(|followed| followed.filter.matches(topic));
                wanted.for_each(|followed| followed.message(truth, &message));
            }
            Frame::Gap(gap) => {
                let live = self.followed.values_mut().filter(|followed| followed.state == State::Live);
                let concerned = live.filter(|followed| {
                    gap.topic.as_ref().is_none_or(|topic| followed.filter.matches(topic.as_str()))
                });
                concerned.for_each(|followed| followed.gap(truth, &gap));
            }
            Frame::Replay { filter, frame } => {
                let followed = self.followed.get_mut(&filter)?;
                assert_eq!(followed.state, State::Replaying, "{filter} is replayed until it is live");
                followed.replayed(truth, *frame);
            }
            Frame::Live { filter: Some(filter), cursor } => {
                let followed = self.followed.get_mut(&filter)?;
                followed.advance(truth, position(&cursor));
                followed.state = State::Live;
            }
            Frame::Ok { id, body } => self.answered(truth, id, body),
            Frame::Error { id, code, reason, .. } => self.refused(id, code, &reason),
            Frame::Welcome { .. } | Frame::Goodbye { .. } => {}
            other @ (Frame::Live { .. } | Frame::Unsubscribed { .. }) => {
                panic!("{other:?} was not asked for")
            }
        }
        None
    }

    fn answered(&mut self, truth: &Truth, id: u64, body: OkBody) {
        let Some(asked) = self.link.as_mut().and_then(|link| link.asked.remove(&id)) else {
            panic!("{id} was not asked")
        };
        match asked {
            Asked::Subscribe(filter, acked) => {
                let Some(followed) = self.followed.get_mut(&filter) else { return };
                let cursor = position(&body.cursor.expect("a subscribe is told its cursor"));
                followed.state = if followed.cursor.is_some() { State::Replaying } else { State::Live };
                if followed.cursor.is_none()
                    && let Some(acked) = acked
                    && acked.epoch == cursor.epoch
                {
                    assert!(
                        cursor.seq >= acked.seq,
                        "{acked} was answered before {filter} begins at {cursor}"
                    );
                }
                followed.cursor.get_or_insert(cursor);
            }
            Asked::Unsubscribe(..) => {}
            Asked::History(topic, after) => {
                let mut read = Followed::new(Filter::from(&topic), after);
                for frame in body.frames.unwrap_or_default() {
                    read.replayed(truth, frame);
                }
                if after.is_some() && body.more != Some(true) {
                    read.advance(truth, position(&body.cursor.expect("a history has a cursor")));
                }
            }
        }
    }

    fn refused(&mut self, id: Option<u64>, code: ErrorCode, reason: &str) {
        let asked = id.and_then(|id| self.link.as_mut()?.asked.remove(&id));
        match (asked, code) {
            (Some(Asked::Subscribe(..) | Asked::History(..)), ErrorCode::Unavailable) => {}
            // It was left before it began.
            (Some(Asked::Subscribe(..)), ErrorCode::NotSubscribed) => {}
            // Its subscribe was refused just before.
            (Some(Asked::Unsubscribe(..)), ErrorCode::NotSubscribed) => {}
            (_, code) => panic!("refused as {code:?}: {reason}"),
        }
    }
}

pub(super) fn position(cursor: &Cursor) -> Position {
    cursor.in_partition(0).expect("there is one partition")
}
