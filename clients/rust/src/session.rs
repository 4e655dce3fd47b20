//! The client's side of the protocol without a socket, a clock or chance: frames go in, and what to do about
//! them comes out.

mod answers;
mod backoff;
mod followed;
mod frames;
mod publishes;

use std::collections::{BTreeMap, VecDeque};

use fanfare_protocol::{CloseCode, Cursor, Encoding, Filter, Request, SubscribeOptions, Topic, Welcome};

use self::backoff::Backoff;
use self::followed::{Followed, Stage};
use self::publishes::Publishes;
use crate::event::Event;
use crate::outcome::{PublishError, Published};

/// The heartbeat's interval until a broker has said its own.
const HEARTBEAT_MS: u64 = 25_000;

/// One client: the filters that it follows with their cursors, over any number of connections.
///
/// It is told what happens with the time in milliseconds from any beginning, and [`Session::poll`] says what to do.
#[derive(Debug)]
pub struct Session {
    encoding: Encoding,
    link: Link,
    backoff: Backoff,
    welcome: Option<Welcome>,
    next_id: u64,
    followed: BTreeMap<Filter, Followed>,
    publishes: Publishes,
    outputs: VecDeque<Output>,
}

/// What the owner of a [`Session`] has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Open a connection, then say [`Session::opened`] or [`Session::closed`].
    Connect,
    /// Send a frame.
    Send(Vec<u8>),
    /// Hand an event to whoever follows the filter.
    Event {
        /// The filter.
        filter: Filter,
        /// The event, which moves its cursor as [`Event::advance`] says.
        event: Event,
    },
    /// Tell whoever follows the filter that it stands elsewhere although nothing came.
    Moved {
        /// The filter.
        filter: Filter,
        /// Where it stands.
        cursor: Cursor,
    },
    /// Tell whoever published.
    Published {
        /// What [`Session::publish`] gave.
        id: u64,
        /// The outcome.
        result: Result<Published, PublishError>,
    },
    /// Close the connection with this code and forget it; without a code just drop it.
    Close(Option<CloseCode>),
}

/// Where a [`Session`] stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// A connection is being made.
    Connecting,
    /// Frames can be sent.
    Connected,
    /// There was a cut; it comes back at this time.
    Waiting {
        /// When.
        until_ms: u64,
        /// What cut it off, for a person.
        reason: String,
    },
    /// It stays away for good.
    Closed {
        /// The close code.
        code: u16,
        /// For a person.
        reason: String,
    },
}

#[derive(Debug)]
enum Link {
    Connecting,
    Open(Open),
    Waiting { until_ms: u64, reason: String },
    Closed { code: u16, reason: String },
}

#[derive(Debug)]
struct Open {
    /// When the welcome came.
    welcomed_ms: Option<u64>,
    heard_ms: u64,
    goodbye: Option<Goodbye>,
}

#[derive(Debug)]
struct Goodbye {
    code: u16,
    reason: String,
    reconnect_after_ms: Option<u64>,
}

impl Session {
    /// A session that connects at once.
    pub fn new(encoding: Encoding) -> Session {
        Session {
            encoding,
            link: Link::Connecting,
            backoff: Backoff::default(),
            welcome: None,
            next_id: 1,
            followed: BTreeMap::new(),
            publishes: Publishes::default(),
            outputs: VecDeque::from([Output::Connect]),
        }
    }

    /// The connection that was asked for stands: everything is asked for again in one go.
    pub fn opened(&mut self, now_ms: u64) {
        if !matches!(self.link, Link::Connecting) {
            return;
        }
        self.link = Link::Open(Open { welcomed_ms: None, heard_ms: now_ms, goodbye: None });
        if let Some(resume) = self.welcome.take().and_then(|welcome| welcome.resume) {
            let id = self.take_id();
            self.send(&Request::Connect { id, token: None, resume: Some(resume) });
        }
        for filter in self.filters_in(|stage| *stage == Stage::Away) {
            self.ask(&filter);
        }
    }

    /// The connection is gone, or could not be made; 1006 if it said no code. `chance` is from 0 to below 1.
    pub fn closed(&mut self, now_ms: u64, code: u16, reason: &str, chance: f64) {
        let open = match &mut self.link {
            Link::Connecting => None,
            Link::Open(open) => Some(open),
            Link::Waiting { .. } | Link::Closed { .. } => return,
        };
        let goodbye = open.and_then(|open| {
            if let Some(welcomed_ms) = open.welcomed_ms {
                self.backoff.welcomed_for(now_ms - welcomed_ms);
            }
            open.goodbye.take()
        });
        let (code, reason, after_ms) = match goodbye {
            Some(goodbye) => (goodbye.code, goodbye.reason, goodbye.reconnect_after_ms),
            None => (code, reason.to_owned(), None),
        };
        if after_ms.is_none() && !CloseCode::comes_back(code) {
            return self.end(code, &reason);
        }
        let backoff_ms = self.backoff.next_ms(chance);
        self.link = Link::Waiting { until_ms: now_ms + after_ms.unwrap_or(backoff_ms), reason };
        self.followed.values_mut().for_each(Followed::cut);
        self.outputs.extend(self.publishes.cut());
    }

    /// Closes it from this side.
    pub fn close(&mut self) {
        if matches!(self.link, Link::Open(_) | Link::Connecting) {
            self.outputs.push_back(Output::Close(Some(CloseCode::Normal)));
        }
        self.end(CloseCode::Normal.as_u16(), "closed by this side");
    }

    /// Ends it for good; whoever follows or awaits an answer is told.
    pub fn end(&mut self, code: u16, reason: &str) {
        if matches!(self.link, Link::Closed { .. }) {
            return;
        }
        self.outputs.retain(|output| !matches!(output, Output::Connect));
        self.link = Link::Closed { code, reason: reason.to_owned() };
        for filter in std::mem::take(&mut self.followed).into_keys() {
            let event = Event::Closed { code, reason: reason.to_owned() };
            self.outputs.push_back(Output::Event { filter, event });
        }
        self.outputs.extend(self.publishes.end(code, reason));
    }

    /// What to do next; to be asked until there is nothing.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Follows a filter; false if it is followed already or the session is closed.
    pub fn subscribe(&mut self, filter: Filter, options: SubscribeOptions) -> bool {
        if self.followed.contains_key(&filter) || matches!(self.link, Link::Closed { .. }) {
            return false;
        }
        self.followed.insert(filter.clone(), Followed::new(options));
        self.ask(&filter);
        true
    }

    /// Stops following a filter; nothing more is said of it.
    pub fn unsubscribe(&mut self, filter: &Filter) {
        if self.followed.remove(filter).is_some_and(|followed| followed.is_known_to_the_broker()) {
            self.leave(filter);
        }
    }

    /// Leaves a filter for whose events there is no room; its cursor is kept.
    pub fn hold(&mut self, filter: &Filter) {
        let Some(followed) = self.followed.get_mut(filter) else { return };
        let is_known = followed.is_known_to_the_broker();
        followed.stage = Stage::Held;
        if is_known {
            self.leave(filter);
        }
    }

    /// Follows a held filter again, from its cursor.
    pub fn release(&mut self, filter: &Filter) {
        let Some(followed) = self.followed.get_mut(filter) else { return };
        if followed.stage == Stage::Held {
            followed.stage = Stage::Away;
            self.ask(filter);
        }
    }

    /// Publishes; the id comes back with the outcome.
    ///
    /// What was sent and not answered before a cut is sent again only if it has an idempotency key.
    pub fn publish(&mut self, now_ms: u64, topic: Topic, publication: fanfare_protocol::Publication) -> u64 {
        let id = self.take_id();
        self.publishes.insert(id, topic, publication);
        if let Link::Closed { code, reason } = &self.link {
            self.outputs.extend(self.publishes.end(*code, reason));
        }
        self.send_publishes(now_ms);
        id
    }

    /// True if another publish may wait for its answer.
    pub fn has_room_to_publish(&self) -> bool {
        self.publishes.have_room()
    }

    /// Something came that is no frame of the protocol, such as a ping of WebSocket.
    pub fn heard(&mut self, now_ms: u64) {
        if let Link::Open(open) = &mut self.link {
            open.heard_ms = now_ms;
        }
    }

    /// Does what is due; to be called at [`Session::timeout_ms`]. `chance` is from 0 to below 1.
    pub fn tick(&mut self, now_ms: u64, chance: f64) {
        match &self.link {
            Link::Waiting { until_ms, .. } if now_ms >= *until_ms => {
                self.link = Link::Connecting;
                self.outputs.push_back(Output::Connect);
            }
            Link::Open(open) if now_ms >= open.heard_ms + self.silence_ms() => {
                self.outputs.push_back(Output::Close(None));
                let reason = format!("nothing was heard for {} ms", now_ms - open.heard_ms);
                self.closed(now_ms, 1006, &reason, chance);
            }
            Link::Connecting | Link::Open(_) | Link::Waiting { .. } | Link::Closed { .. } => {}
        }
        for filter in
            self.filters_in(|stage| matches!(stage, Stage::Waiting { until_ms } if now_ms >= *until_ms))
        {
            self.followed.get_mut(&filter).expect("it was just found").stage = Stage::Away;
            self.ask(&filter);
        }
    }

    /// When [`Session::tick`] has something to do.
    pub fn timeout_ms(&self) -> Option<u64> {
        let link = match &self.link {
            Link::Waiting { until_ms, .. } => Some(*until_ms),
            Link::Open(open) => Some(open.heard_ms + self.silence_ms()),
            Link::Connecting | Link::Closed { .. } => None,
        };
        let retries = self.followed.values().filter_map(|followed| match followed.stage {
            Stage::Waiting { until_ms } => Some(until_ms),
            Stage::Away | Stage::Asked { .. } | Stage::Replaying | Stage::Live | Stage::Held => None,
        });
        retries.chain(link).min()
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.link {
            Link::Connecting => Status::Connecting,
            Link::Open(_) => Status::Connected,
            Link::Waiting { until_ms, reason } => {
                Status::Waiting { until_ms: *until_ms, reason: reason.clone() }
            }
            Link::Closed { code, reason } => Status::Closed { code: *code, reason: reason.clone() },
        }
    }

    /// Where a filter stands: what to give as `after` to go on.
    pub fn cursor(&self, filter: &Filter) -> Option<&Cursor> {
        self.followed.get(filter)?.cursor.as_ref()
    }

    /// The newest `welcome` of this connection.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    fn silence_ms(&self) -> u64 {
        let told = self.welcome.as_ref().map(|welcome| welcome.heartbeat_ms).filter(|ms| *ms > 0);
        2 * told.unwrap_or(HEARTBEAT_MS)
    }

    fn filters_in(&self, is_meant: impl Fn(&Stage) -> bool) -> Vec<Filter> {
        let meant = self.followed.iter().filter(|(_, followed)| is_meant(&followed.stage));
        meant.map(|(filter, _)| filter.clone()).collect()
    }

    /// Sends the `subscribe` of a filter, if there is a connection.
    fn ask(&mut self, filter: &Filter) {
        if !matches!(self.link, Link::Open(_)) {
            return;
        }
        let id = self.take_id();
        let followed = self.followed.get_mut(filter).expect("only what is followed is asked for");
        let options = followed.ask(id);
        self.send(&Request::Subscribe { id, filter: filter.clone(), options });
    }

    fn leave(&mut self, filter: &Filter) {
        let id = self.take_id();
        self.send(&Request::Unsubscribe { id, filter: filter.clone() });
    }

    fn send_publishes(&mut self, now_ms: u64) {
        let (Link::Open(_), Some(welcome)) = (&self.link, &self.welcome) else { return };
        self.outputs.extend(self.publishes.send(now_ms, self.encoding, welcome));
    }

    fn send(&mut self, request: &Request) {
        let mut frame = Vec::new();
        request.encode(self.encoding, &mut frame);
        self.outputs.push_back(Output::Send(frame));
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}
