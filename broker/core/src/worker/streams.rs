//! Streams of server-sent events: sessions that ask once, when they open, and follow all their filters as one.

use fanfare_protocol::{CloseCode, Cursor, ErrorCode, Frame, OnSlow, Position};

use super::awaiting::AskedStream;
use super::{Backlog, SessionKey, Worker};
use crate::backplane::{Held, Pass};
use crate::clock::Now;
use crate::edge::Edge;
use crate::event;
use crate::filters::Filters;
use crate::partition::Refusal;
use crate::session::{Session, State, Subscription};

/// What a stream asks for.
#[derive(Debug)]
pub struct Stream {
    /// What it follows.
    pub filters: Filters,
    /// Replay what is above this cursor, as its client wrote it.
    pub after: Option<String>,
    /// Replay the newest so many kept of each matching topic first.
    pub last: Option<u32>,
    /// In the place of its topics' rules.
    pub on_slow: Option<OnSlow>,
    /// How long its client is to wait before it comes back after a cut.
    pub retry_ms: u64,
}

impl Worker {
    /// Opens a session that is a stream. What is wrong with its cursor is told in the stream, since a browser does not
    /// come back after a refusal: an unreadable one by an error, after which the stream goes on as without one.
    pub fn open_stream(&mut self, now: Now, stream: Stream) -> SessionKey {
        let id = self.broker.name_session();
        let key = self.sessions.insert(Session::new(id, Edge::Events, now.ms()));
        self.heartbeats.push_back((now.ms() + self.limits().heartbeat_ms, key));
        self.queue(key, |outbox| outbox.push_control(event::retry(stream.retry_ms)));
        let Stream { filters, after, last, on_slow, .. } = stream;
        let after = after.and_then(|after| match self.read_cursor(&after) {
            Ok(position) => Some(position),
            Err(reason) => {
                let code = ErrorCode::BadCursor;
                self.reply(key, &Frame::Error { id: None, code, reason, retry_after_ms: None });
                None
            }
        });
        let last = last.unwrap_or(0) as usize;
        self.begin_stream(Pass::default(), now, key, AskedStream { filters, after, last, on_slow });
        self.mark_dirty(key);
        key
    }

    /// Follows what a stream asks for, or waits for what that needs.
    pub(super) fn begin_stream(&mut self, pass: Pass, now: Now, key: SessionKey, asked: AskedStream) {
        let door = self.door(now, key, pass);
        let AskedStream { ref filters, after, last, on_slow } = asked;
        let held = if after.is_some() || last > 0 {
            match self.broker.begin_replay(filters, after, last, None, door) {
                Ok((replay, _, _)) => {
                    self.add_all(key, filters, on_slow, || State::Replaying(None));
                    let Some(session) = self.sessions.get_mut(key) else { return };
                    let first = session.subscriptions.get_mut(&filters[0]).expect("it was added above");
                    first.state = State::Replaying(Some(Box::new(replay)));
                    session.replaying.push_back(filters[0].clone());
                    return;
                }
                Err(held) => held,
            }
        } else {
            match self.broker.follow(self.index, filters, door, &mut Backlog(&mut self.backlog)) {
                Ok(top) => {
                    self.add_all(key, filters, on_slow, || State::Replaying(None));
                    return self.join(key, filters, top);
                }
                Err(held) => held,
            }
        };
        match held {
            Held::Waits(ticket) => {
                self.add_all(key, filters, on_slow, || State::Awaiting(ticket));
                self.await_stream(key, asked, ticket);
            }
            // A browser does not come back after a refusal, but after a cut.
            Held::Refused(refusal) => self.end_stream(key, &refusal),
        }
    }

    /// A stream can't be served: its client comes back.
    pub(super) fn end_stream(&mut self, key: SessionKey, refusal: &Refusal) {
        self.close_after(key, CloseCode::TryAgainLater, &refusal.to_string(), refusal.retry_after_ms());
    }

    fn add_all(
        &mut self,
        key: SessionKey,
        filters: &Filters,
        on_slow: Option<OnSlow>,
        state: impl Fn() -> State,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for filter in filters.iter() {
            let subscription = Subscription { state: state(), echo: true, on_slow };
            session.subscriptions.insert(filter.clone(), subscription);
        }
    }

    fn read_cursor(&self, after: &str) -> Result<Position, String> {
        let shown: String = after.chars().take(64).collect();
        let cursor: Cursor = after.parse().map_err(|error| format!("cursor {shown:?} {error}"))?;
        self.broker.own_part(&cursor).map_err(|error| error.to_string())
    }
}
