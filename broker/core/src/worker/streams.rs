//! Streams of server-sent events: sessions that ask once, when they open, and follow all their filters as one.

use fanfare_protocol::{Cursor, ErrorCode, Frame, OnSlow, Position};

use super::{Backlog, SessionKey, Worker};
use crate::clock::Now;
use crate::edge::Edge;
use crate::event;
use crate::filters::Filters;
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
        let is_replayed = after.is_some() || last > 0;
        let Some(session) = self.sessions.get_mut(key) else { return key };
        for filter in filters.iter() {
            let state = State::Replaying(None);
            session.subscriptions.insert(filter.clone(), Subscription { state, echo: true, on_slow });
        }
        if is_replayed {
            let (replay, _, _) = self.broker.begin_replay(&filters, after, last, None, now);
            let first = session.subscriptions.get_mut(&filters[0]).expect("it was added above");
            first.state = State::Replaying(Some(Box::new(replay)));
            session.replaying.push_back(filters[0].clone());
        } else {
            let top = self.broker.follow(self.index, &filters, &mut Backlog(&mut self.backlog));
            self.join(key, &filters, top);
        }
        self.mark_dirty(key);
        key
    }

    fn read_cursor(&self, after: &str) -> Result<Position, String> {
        let shown: String = after.chars().take(64).collect();
        let cursor: Cursor = after.parse().map_err(|error| format!("cursor {shown:?} {error}"))?;
        self.broker.own_part(&cursor).map_err(|error| error.to_string())
    }
}
