//! What a session makes of each frame.

use fanfare_protocol::{CloseCode, Cursor, Filter, Frame, FrameError, Gap, Message, Request};

use super::followed::Stage;
use super::{Goodbye, Link, Output, Session};
use crate::event::Event;

impl Session {
    /// A whole message came: one frame.
    ///
    /// One that a later version has is skipped. One that can't be read ends the session: what it said is lost,
    /// and it would come again.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        let Link::Open(open) = &mut self.link else { return };
        open.heard_ms = now_ms;
        match Frame::decode(self.encoding, bytes) {
            Ok(frame) => self.handle(now_ms, frame),
            Err(FrameError::UnknownOp(_)) => {}
            Err(error @ FrameError::Malformed(_)) => {
                self.outputs.push_back(Output::Close(Some(CloseCode::ProtocolError)));
                self.end(CloseCode::ProtocolError.as_u16(), &format!("the broker's {error}"));
            }
        }
    }

    fn handle(&mut self, now_ms: u64, frame: Frame) {
        match frame {
            Frame::Welcome { welcome, .. } => {
                if let Link::Open(open) = &mut self.link {
                    open.welcomed_ms = Some(now_ms);
                }
                self.welcome = Some(welcome);
                self.send_publishes(now_ms);
            }
            Frame::Ok { id, body } => self.granted(id, body),
            Frame::Error { id, code, reason, retry_after_ms } => {
                if let Some(id) = id {
                    self.refused(now_ms, id, code, reason, retry_after_ms);
                }
            }
            Frame::Message(message) => self.message(message),
            Frame::Gap(gap) => self.gap(&gap),
            Frame::Replay { filter, frame } => {
                if let Frame::Message(message) = *frame {
                    self.bring_if_begun(&filter, Event::Message(message));
                } else if let Frame::Gap(gap) = *frame {
                    self.bring_if_begun(&filter, Event::Gap(gap));
                }
            }
            Frame::Live { filter: Some(filter), cursor } => {
                self.bring_if_begun(&filter, Event::Live(cursor));
            }
            // Only a stream of server-sent events has this one.
            Frame::Live { filter: None, .. } => {}
            Frame::Unsubscribed { filter, code, reason, retry_after_ms } => {
                if self.is_begun(&filter) {
                    self.unsubscribed(now_ms, &filter, code, reason, retry_after_ms);
                }
            }
            Frame::Ping { cursor } => self.ping(&cursor),
            Frame::Goodbye { code, reason, reconnect_after_ms } => {
                if let Link::Open(open) = &mut self.link {
                    open.goodbye = Some(Goodbye { code, reason, reconnect_after_ms });
                }
            }
        }
    }

    fn message(&mut self, message: Message) {
        for filter in self.live_filters(Some(message.topic.as_str())) {
            self.bring(&filter, Event::Message(message.clone()));
        }
    }

    fn gap(&mut self, gap: &Gap) {
        for filter in self.live_filters(gap.topic.as_ref().map(|topic| topic.as_str())) {
            self.bring(&filter, Event::Gap(gap.clone()));
        }
    }

    fn bring_if_begun(&mut self, filter: &Filter, event: Event) {
        if self.is_begun(filter) {
            self.bring(filter, event);
        }
    }

    fn ping(&mut self, cursor: &Cursor) {
        self.send(&Request::Pong);
        for filter in self.live_filters(None) {
            let followed = self.followed.get_mut(&filter).expect("it was just found");
            followed.cursor = Some(cursor.clone());
            self.outputs.push_back(Output::Moved { filter, cursor: cursor.clone() });
        }
    }

    /// Hands an event to a filter to which it belongs.
    pub(super) fn bring(&mut self, filter: &Filter, event: Event) {
        let followed = self.followed.get_mut(filter).expect("events are for what is followed");
        followed.take(&event);
        self.outputs.push_back(Output::Event { filter: filter.clone(), event });
    }

    /// True if the answer to the filter's `subscribe` has come: frames that name it are its own.
    fn is_begun(&self, filter: &Filter) -> bool {
        let stage = self.followed.get(filter).map(|followed| &followed.stage);
        matches!(stage, Some(Stage::Replaying | Stage::Live))
    }

    /// The live filters that match the topic; all of them if there is none.
    fn live_filters(&self, topic: Option<&str>) -> Vec<Filter> {
        let live = self.followed.iter().filter(|(filter, followed)| {
            followed.stage == Stage::Live && topic.is_none_or(|topic| filter.matches(topic))
        });
        live.map(|(filter, _)| filter.clone()).collect()
    }
}
