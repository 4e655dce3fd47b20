//! The broker with its workers, the clients at the other ends, and the truth beside them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_core::{Broker, Now, PollKey, Published, Publishing, Refusal, SessionKey, Ticket, Wake, Worker};
use fanfare_protocol::{
    Encoding, ErrorCode, Filter, Frame, Payload, Position, Request, Topic, decode_request,
};

use super::chance::Chance;
use super::client::{Client, Told};
use super::followed::Followed;
use super::link::{Link, Read};
use super::model::Model;
use super::settings::{Settings, TOPICS};

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
    /// Readers of topics' histories, page by page.
    pub(super) readers: Vec<Followed>,
    pub(super) polls: Vec<Poll>,
    witness: Option<Link>,
    waits: Vec<Wait>,
    completions: Arc<Mutex<Vec<(usize, Result<Published, Refusal>)>>>,
    /// What is known to be numbered in this step.
    numbered: Vec<(Position, usize)>,
    answers: Vec<(usize, Result<Position, ErrorCode>)>,
    pub(super) traced: bool,
}

/// A long poll that found nothing.
pub(super) struct Poll {
    pub(super) worker: usize,
    pub(super) key: PollKey,
    pub(super) filter: Filter,
    pub(super) is_ready: Rc<Cell<bool>>,
    pub(super) from: u64,
}

/// A publish by HTTP that waits for room.
struct Wait {
    tag: usize,
    ticket: Ticket,
    until_ms: u64,
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
        Now { us: self.now_ms * 1_000, unix_ms: 1_700_000_000_000 + self.now_ms }
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

    /// Publishes as an HTTP request does.
    pub(super) fn publish(&mut self, tag: usize) {
        let draft = &self.model.drafts[tag];
        let (topic, publication) = (draft.topic.clone(), draft.publication.clone());
        let expected = self.followers(&topic);
        let key = publication.idempotency_key.clone().map(|key| (topic.clone(), key));
        let known =
            key.and_then(|key| self.model.keys.get(&key)).filter(|known| known.until_ms > self.now_ms);
        let known = known.map(|known| (known.tag, known.position));
        let completions = self.completions.clone();
        let completion = || -> fanfare_core::Completion {
            Box::new(move |_, result| completions.lock().unwrap().push((tag, result)))
        };
        let is_full = self.model.is_full_for(&topic);
        let draft = fanfare_core::Draft { topic, publication, origin: None, deaf: 0 };
        let before = self.broker.stats();
        let publishing = self.broker.publish(self.now(), draft, completion);
        self.trace(|| format!("publish of {tag} by HTTP: {publishing:?}"));
        match (publishing, known) {
            (Publishing::Done(Ok(published)), Some((first, position))) => {
                assert!(published.repeated && first == tag, "a known key is no new message");
                assert_eq!(published.position, position, "a repeat has its first position");
            }
            (Publishing::Done(Ok(published)), None) => {
                assert!(!published.repeated, "an unknown key is no repeat");
                assert_eq!((published.heard, published.receivers), expected, "it is known who hears");
                assert!(!is_full, "there is no topic over the limit");
                self.numbered.push((published.position, tag));
            }
            (Publishing::Done(Err(refusal)), known) => {
                match refusal {
                    Refusal::TooManyTopics { .. } => assert!(is_full, "another topic can be had"),
                    Refusal::IdempotencyMismatch => assert!(known.is_some_and(|(first, _)| first != tag)),
                    Refusal::TooManyKeys { keys_max } => assert!(self.keys() >= keys_max, "a key has place"),
                    Refusal::Overloaded { .. } => {
                        assert_eq!(before.waiting_publishes, self.settings.limits.waiting_publishes, "more may wait");
                    }
                }
                self.answers.push((tag, Err(refusal.code())));
            }
            (Publishing::Waits(_), Some(_)) => panic!("a known key needs no room"),
            (Publishing::Waits(ticket), None) => {
                assert!(before.waiting_publishes + before.inbox_bytes > 0, "there is room, and nobody waits for it");
                let until_ms = self.now_ms + self.settings.limits.publish_wait_ms;
                self.model.waiting.push(tag);
                self.waits.push(Wait { tag, ticket, until_ms });
            }
        }
    }

    /// What HTTP publishes have waited for too long is refused.
    pub(super) fn give_up(&mut self) {
        let now_ms = self.now_ms;
        for wait in self.waits.extract_if(.., |wait| wait.until_ms <= now_ms) {
            if self.broker.cancel(wait.ticket) {
                self.model.waiting.retain(|tag| *tag != wait.tag);
                self.answers.push((wait.tag, Err(ErrorCode::Overloaded)));
            }
        }
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
        if link.is_blocked || link.is_dead {
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
            let was_blocked = link.is_blocked;
            let read = link.read();
            let (worker, key) = (link.worker, link.key);
            let was_blocked = was_blocked && !link.is_blocked;
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

    /// How many follow a topic: whether anyone does, and how many where one filter at most matches.
    fn followers(&self, topic: &Topic) -> (bool, Option<u64>) {
        let waiting = self.polls.iter().filter(|poll| !poll.is_ready.get()).map(|poll| &poll.filter);
        let followed = self.links().flat_map(|link| &link.subscribed).chain(waiting);
        let matching: Vec<&Filter> = followed.filter(|filter| filter.matches(topic.as_str())).collect();
        let is_counted = matching.iter().collect::<BTreeSet<_>>().len() <= 1;
        (!matching.is_empty(), is_counted.then_some(matching.len() as u64))
    }

    fn keys(&self) -> usize {
        self.model.keys.values().filter(|known| known.until_ms > self.now_ms).count()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        links.chain(&self.abandoned).chain(&self.witness)
    }

    /// Brings the truth up to date after a step, and compares.
    pub(super) fn settle(&mut self) {
        self.ask_witness();
        for (tag, result) in self.completions.lock().unwrap().drain(..) {
            match result {
                Ok(published) => self.numbered.push((published.position, tag)),
                Err(_) => self.model.waiting.retain(|waiting| *waiting != tag),
            }
            self.answers
                .push((tag, result.map(|published| published.position).map_err(|refusal| refusal.code())));
        }
        let new = self.broker.stats().seq;
        self.numbered.retain(|(position, _)| position.seq > self.model.seq());
        self.numbered.sort_unstable();
        self.numbered.dedup();
        for (position, tag) in std::mem::take(&mut self.numbered) {
            self.trace(|| format!("{tag} is {position}, to {}", self.model.drafts[tag].topic));
            self.model.publish(position, tag, self.now_ms);
        }
        assert_eq!(self.model.seq(), new, "all that is numbered is known");
        for (tag, result) in std::mem::take(&mut self.answers) {
            self.check_answer(tag, result);
        }
        self.note_closed();
        self.check_stats();
    }

    /// A publish of a session that was numbered at once.
    pub(super) fn note_numbered(&mut self, tag: usize) {
        if self.witness.is_none() && self.broker.stats().seq > self.model.seq() {
            let position = Position { seq: self.model.seq() + 1, ..self.model.top() };
            self.numbered.push((position, tag));
        }
    }

    fn ask_witness(&mut self) {
        let now = self.now();
        let Some(link) = &mut self.witness else { return };
        let worker = &mut self.workers[WORKERS];
        while self.woken[WORKERS].swap(false, Ordering::Relaxed) || worker.has_work() {
            let moved = worker.deliver(now);
            self.woken[WORKERS].fetch_or(moved, Ordering::Relaxed);
            while worker.next_dirty().is_some() {}
            link.write(worker);
            while let Some(Read::Frame(frame)) = link.read() {
                match frame {
                    Frame::Message(message) => {
                        let tag = tag_of(&message.payload);
                        self.numbered.push((message.position, tag));
                    }
                    Frame::Ping { .. } => worker.handle(now, link.key, Request::Pong),
                    Frame::Welcome { .. } | Frame::Ok { .. } => {}
                    other => panic!("the witness reads {other:?}"),
                }
            }
        }
    }

    fn check_answer(&mut self, tag: usize, result: Result<Position, ErrorCode>) {
        match result {
            Ok(position) => {
                let record = self.model.record_at(position).expect("what was answered is published");
                assert_eq!(record.tag, tag, "a publish is at the position answered");
            }
            Err(_) => {
                let draft = &mut self.model.drafts[tag];
                assert!(draft.position.is_none() || draft.is_retried, "{tag} is published and refused");
                draft.is_refused |= !draft.is_retried;
            }
        }
    }

    /// Sessions that the broker closes follow nothing, and what they wait to publish never is.
    fn note_closed(&mut self) {
        let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
        for link in links.chain(&mut self.abandoned) {
            let session = self.workers[link.worker].session(link.key);
            if session.is_none_or(|session| session.closing().is_some()) {
                link.subscribed.clear();
                for tag in link.published.drain(..) {
                    self.model.drafts[tag].ended();
                }
            }
        }
    }

    /// The broker keeps and counts what the rules say.
    fn check_stats(&self) {
        let stats = self.broker.stats();
        let polls = self.polls.iter().filter(|poll| !poll.is_ready.get()).count();
        let subscriptions: usize = self.links().map(|link| link.subscribed.len()).sum();
        assert_eq!(stats.subscriptions, subscriptions + polls, "subscriptions are counted");
        let most = self.settings.limits.inbox_bytes.saturating_add(self.settings.payload_bytes * 3 + 700);
        assert!(stats.inbox_bytes <= most.saturating_mul(WORKERS), "{} bytes wait for workers", stats.inbox_bytes);
        assert_eq!(stats.kept, self.model.kept(), "what the rules keep is kept");
        assert_eq!(stats.history_bytes, self.model.kept_bytes(), "what is kept is counted in bytes");
        for link in self.links() {
            let Some(session) = self.workers[link.worker].session(link.key) else { continue };
            let (outbox, limits) = (session.outbox(), &self.settings.limits);
            // Gaps are told whole, however few items fit.
            assert!(outbox.items() <= limits.outbox_items + TOPICS.len(), "{} items wait", outbox.items());
            let most = limits.outbox_bytes + self.settings.payload_bytes + 400;
            assert!(outbox.bytes() <= most, "{} bytes wait", outbox.bytes());
        }
    }
}

/// The tag that a payload begins with.
fn tag_of(payload: &Payload) -> usize {
    let text = std::str::from_utf8(payload.bytes()).unwrap();
    text.split(' ').next().and_then(|tag| tag.parse().ok()).expect("a payload begins with its tag")
}
