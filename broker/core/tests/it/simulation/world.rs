//! The broker with its workers, the clients at the other ends, and the truth beside them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use fanfare_core::{Broker, Filters, Now, PollKey, Published, Refusal, Ticket};
use fanfare_protocol::{Encoding, ErrorCode, Filter, Frame, Position, Request};

use super::model::Model;
use super::settings::Settings;
use crate::it::chance::{Chance, wall_ms};
use crate::it::client::{Asked, Begins, Client, Heard, Link};
use crate::it::driven::Driven;
use crate::it::followed::Followed;
use crate::it::pipe::Read;

/// The workers that clients connect to; the witness has the one after them.
pub(super) const WORKERS: usize = 2;

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) settings: Settings,
    pub(super) now_ms: u64,
    pub(super) model: Model,
    pub(super) driven: Driven,
    pub(super) clients: Vec<Client>,
    /// Connections that broke off and of which the broker does not know yet.
    pub(super) abandoned: Vec<Link>,
    /// Readers of the history of some topics, page by page.
    pub(super) readers: Vec<Followed>,
    pub(super) polls: Vec<Poll>,
    pub(super) witness: Option<Link>,
    pub(super) waits: Vec<Wait>,
    pub(super) completions: Completions,
    /// What is known to be numbered in this step.
    pub(super) numbered: Vec<(Position, usize)>,
    pub(super) answers: Vec<(usize, Result<Position, ErrorCode>)>,
    pub(super) traced: bool,
}

/// Outcomes of publishes that waited, by tag.
pub(super) type Completions = Arc<Mutex<Vec<(usize, Result<Published, Refusal>)>>>;

/// A long poll that found nothing.
pub(super) struct Poll {
    pub(super) worker: usize,
    pub(super) key: PollKey,
    pub(super) filters: Filters,
    pub(super) is_ready: Rc<Cell<bool>>,
    pub(super) from: u64,
}

/// A publish by HTTP that waits for room.
pub(super) struct Wait {
    pub(super) tag: usize,
    pub(super) ticket: Ticket,
    pub(super) until_ms: u64,
}

impl World {
    pub(super) fn new(mut chance: Chance, settings: Settings) -> World {
        let model = Model::new(settings.limits.clone(), settings.rules.clone());
        let encoding = |_| chance.pick(&Encoding::ALL);
        let clients = (0..settings.clients).map(encoding).map(Client::new).collect();
        let driven = start(0, &settings);
        let mut world = World {
            chance,
            settings,
            now_ms: 10_000,
            model,
            driven,
            clients,
            abandoned: Vec::new(),
            readers: Vec::new(),
            polls: Vec::new(),
            witness: None,
            waits: Vec::new(),
            completions: Arc::default(),
            numbered: Vec::new(),
            answers: Vec::new(),
            traced: false,
        };
        world.begin_life();
        world
    }

    /// The broker starts with an empty memory; all connections are gone.
    pub(super) fn begin_life(&mut self) {
        for index in 0..self.clients.len() {
            self.clients[index].cut();
        }
        self.abandoned.clear();
        self.polls.clear();
        self.waits.clear();
        let life = 1 + self.chance.below(1 << 30) as u64;
        self.model.begin_life(life);
        self.driven = start(life, &self.settings);
        self.witness = None;
        self.witness = self.settings.has_witness.then(|| {
            let now = self.now();
            let mut link = self.driven.open(now, 0, WORKERS, Encoding::MessagePack, usize::MAX);
            let filter = Filter::parse(">").unwrap();
            let begins = Begins::AtOrAbove(None);
            let id = link.ask(Asked::Subscribe { filter: filter.clone(), begins });
            link.subscribed.insert(filter.clone());
            let subscribe = Request::Subscribe { id, filter, options: Default::default() };
            self.driven.workers[WORKERS].handle(now, link.key, subscribe);
            link
        });
        self.settle();
    }

    pub(super) fn now(&self) -> Now {
        Now { us: self.now_ms * 1_000, unix_ms: wall_ms(self.now_ms) }
    }

    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("  {} ms, top {}: {}", self.now_ms, self.model.top(), line());
        }
    }

    pub(super) fn send(&mut self, client: usize, request: &Request) {
        let now = self.now();
        let Client { link: Some(link), encoding, .. } = &self.clients[client] else { return };
        self.trace(|| format!("client {client} asks {request:?}"));
        self.driven.send(now, link, *encoding, request);
    }

    /// True if the client has a session that takes requests.
    pub(super) fn is_open(&self, client: usize) -> bool {
        self.clients[client].link.as_ref().is_some_and(|link| self.driven.is_open(link))
    }

    /// Writes to the sessions that the worker names, at most so many, as the daemon does.
    pub(super) fn write_dirty(&mut self, worker: usize, most: usize) -> bool {
        let now = self.now();
        let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
        self.driven.write_dirty(now, worker, most, links)
    }

    /// The client reads at most so many frames; false if there were fewer.
    pub(super) fn read(&mut self, client: usize, most: usize) -> bool {
        for _ in 0..most {
            let now = self.now();
            let Some(link) = self.clients[client].link.as_mut() else { return false };
            match self.driven.read(now, link) {
                (None, has_room) => return has_room,
                (Some(Read::Closed), _) => {
                    self.trace(|| format!("client {client} is closed"));
                    let link = self.clients[client].cut();
                    self.driven.remove(&link.expect("it was read from"));
                    return true;
                }
                (Some(Read::Frame(frame)), _) => self.received(client, frame),
            }
        }
        true
    }

    fn received(&mut self, client: usize, frame: Frame) {
        self.trace(|| format!("client {client} reads {frame:?}"));
        self.check(client, &frame);
        match self.clients[client].receive(&self.model.facts, self.now_ms, frame) {
            Heard::Nothing | Heard::Read(_) => {}
            Heard::Ping => self.send(client, &Request::Pong),
            Heard::Published { tag, result } => self.answers.push((tag, result)),
        }
    }

    /// What a broker that is alone can be held to.
    fn check(&mut self, client: usize, frame: &Frame) {
        let (model, client) = (&self.model, &mut self.clients[client]);
        if let Frame::Gap(gap) = frame {
            client.concerned(gap).for_each(|followed| model.check_dropped(followed, gap));
        } else if let Frame::Replay { filter, frame } = frame
            && let Frame::Gap(gap) = &**frame
        {
            model.check_gap(client.of(filter), gap);
        } else if let Frame::Ok { id, body } = frame
            && let Some(Asked::History { topic, after }) =
                client.link.as_ref().and_then(|link| link.asked.get(id))
        {
            model.check_page(topic, *after, body.frames.as_deref().unwrap_or_default());
        } else {
            let is_away = matches!(frame, Frame::Error { code: ErrorCode::Unavailable, .. });
            assert!(!is_away && !matches!(frame, Frame::Unsubscribed { .. }), "{frame:?} is unexpected");
        }
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        links.chain(&self.abandoned).chain(&self.witness)
    }
}

/// A broker and its workers, that of the witness too.
fn start(life: u64, settings: &Settings) -> Driven {
    let Settings { rules, limits, .. } = settings;
    Driven::new(life, WORKERS + 1, |wakes| Broker::new(life, rules.clone(), limits.clone(), wakes))
}
