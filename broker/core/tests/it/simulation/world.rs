//! The broker with its workers, the clients at the other ends, and the truth beside them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_core::{Broker, Filters, Now, PollKey, Published, Refusal, SessionKey, Ticket, Wake, Worker};
use fanfare_protocol::{Encoding, ErrorCode, Filter, Frame, Position, Request, decode_request};

use super::client::{Client, Told};
use super::followed::Followed;
use super::link::Link;
use super::model::Model;
use super::settings::Settings;
use crate::it::chance::{Chance, wall_ms};
use crate::it::pipe::Read;

/// The workers that clients connect to; the witness has the one after them.
pub(super) const WORKERS: usize = 2;

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) settings: Settings,
    pub(super) now_ms: u64,
    pub(super) model: Model,
    pub(super) broker: Arc<Broker>,
    pub(super) workers: Vec<Worker>,
    /// Whether each worker's event loop was told that something waits.
    pub(super) woken: Vec<Arc<AtomicBool>>,
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
        let broker = Broker::new(0, settings.rules.clone(), settings.limits.clone(), vec![Box::new(|| ())]);
        let mut world = World {
            chance,
            settings,
            now_ms: 10_000,
            model,
            broker: Arc::new(broker),
            workers: Vec::new(),
            woken: Vec::new(),
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
            self.clients[index].cut(&self.model, self.now_ms);
        }
        self.abandoned.clear();
        self.polls.clear();
        self.waits.clear();
        let life = 1 + self.chance.below(1 << 30) as u64;
        self.model.begin_life(life);
        let Settings { limits, rules, has_witness, .. } = &self.settings;
        self.woken = (0..=WORKERS).map(|_| Arc::default()).collect();
        let wake =
            |woken: Arc<AtomicBool>| -> Wake { Box::new(move || woken.store(true, Ordering::Relaxed)) };
        let wakes = self.woken.iter().cloned().map(wake).collect();
        self.broker = Arc::new(Broker::new(life, rules.clone(), limits.clone(), wakes));
        self.workers = (0..=WORKERS).map(|index| Worker::new(index, self.broker.clone())).collect();
        self.witness = None;
        self.witness = has_witness.then(|| {
            let mut link = self.open(WORKERS, Encoding::MessagePack, usize::MAX);
            let id = link.next_id();
            let filter = Filter::parse(">").unwrap();
            let subscribe = Request::Subscribe { id, filter: filter.clone(), options: Default::default() };
            link.subscribed.insert(filter);
            let now = self.now();
            self.workers[WORKERS].handle(now, link.key, subscribe);
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

    pub(super) fn open(&mut self, worker: usize, encoding: Encoding, pipe_bytes: usize) -> Link {
        let now = self.now();
        let key = self.workers[worker].open(now, encoding);
        let id = self.workers[worker].session(key).expect("it was opened above").id();
        Link::new(worker, key, (self.model.epoch().life, id), encoding, pipe_bytes)
    }

    /// Hands a request of a client to its session, by way of its encoding.
    pub(super) fn send(&mut self, client: usize, request: &Request) {
        let Some(link) = &self.clients[client].link else { return };
        let (worker, key, mut bytes) = (link.worker, link.key, Vec::new());
        self.trace(|| format!("client {client} asks {request:?}"));
        request.encode(link.encoding, &mut bytes);
        let request = decode_request(link.encoding, &bytes).expect("a client writes what can be read");
        let now = self.now();
        self.workers[worker].handle(now, key, request);
    }

    /// True if the client has a session that takes requests.
    pub(super) fn is_open(&self, client: usize) -> bool {
        let Some(link) = &self.clients[client].link else { return false };
        let session = self.workers[link.worker].session(link.key);
        session.is_some_and(|session| session.closing().is_none() && !session.is_paused(self.broker.limits()))
    }

    /// Moves a part of what waits, if the worker's event loop would do so; true if more may wait.
    pub(super) fn deliver(&mut self, worker: usize) -> bool {
        let woken = self.woken[worker].swap(false, Ordering::Relaxed);
        if !woken && !self.workers[worker].has_work() {
            return false;
        }
        let now = self.now();
        let moved = self.workers[worker].deliver(now);
        self.woken[worker].fetch_or(moved, Ordering::Relaxed);
        self.woken[worker].load(Ordering::Relaxed)
    }

    /// Writes to the sessions that the worker names, at most so many, as the daemon does.
    pub(super) fn write_dirty(&mut self, worker: usize, most: usize) -> bool {
        for _ in 0..most {
            let Some(key) = self.workers[worker].next_dirty() else { return false };
            self.write(worker, key);
        }
        self.workers[worker].has_dirty()
    }

    pub(super) fn write(&mut self, worker: usize, key: SessionKey) {
        let now = self.now();
        let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
        let mut links = links.chain(&mut self.abandoned).chain(&mut self.witness);
        let Some(link) = links.find(|link| link.worker == worker && link.key == key) else { return };
        if link.pipe.is_blocked || link.is_dead {
            return;
        }
        let worker = &mut self.workers[worker];
        link.write(worker);
        if worker.is_replaying(key) {
            worker.pull(now, key);
        }
    }

    /// The client reads at most so many frames; false if there were fewer.
    pub(super) fn read(&mut self, client: usize, most: usize) -> bool {
        for _ in 0..most {
            let Some(link) = self.clients[client].link.as_mut() else { return false };
            let was_blocked = link.pipe.is_blocked;
            let read = link.read();
            let (worker, key) = (link.worker, link.key);
            let was_blocked = was_blocked && !link.pipe.is_blocked;
            if was_blocked {
                self.write(worker, key);
            }
            match read {
                None => return was_blocked,
                Some(Read::Closed) => {
                    self.trace(|| format!("client {client} is closed"));
                    let link = self.clients[client].cut(&self.model, self.now_ms);
                    self.workers[link.expect("it was read from").worker].remove(key);
                    return true;
                }
                Some(Read::Frame(frame)) => self.received(client, frame),
            }
        }
        true
    }

    fn received(&mut self, client: usize, frame: Frame) {
        self.trace(|| format!("client {client} reads {frame:?}"));
        match self.clients[client].receive(&self.model, self.now_ms, frame) {
            Told::Nothing => {}
            Told::Ping => self.send(client, &Request::Pong),
            Told::Published { tag, result } => {
                let result = result.map(|body| body.position.expect("a publish is told its position"));
                self.answers.push((tag, result));
            }
        }
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        links.chain(&self.abandoned).chain(&self.witness)
    }
}
