//! A broker and its workers, driven as a daemon does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_core::{Broker, Now, Wake, Worker};
use fanfare_protocol::{Encoding, Request, decode_request};

use super::client::Link;
use super::pipe::{Pipe, Read};

pub(super) struct Driven {
    /// The name of the node, or the life of a broker that is alone.
    name: u64,
    pub(super) broker: Arc<Broker>,
    pub(super) workers: Vec<Worker>,
    /// Whether each worker's event loop was told that something waits.
    pub(super) woken: Vec<Arc<AtomicBool>>,
}

/// A flag, and what raises it.
pub(super) fn flag() -> (Arc<AtomicBool>, Wake) {
    let flag: Arc<AtomicBool> = Arc::default();
    let raised = flag.clone();
    (flag, Box::new(move || raised.store(true, Ordering::Relaxed)))
}

impl Driven {
    pub(super) fn new(name: u64, workers: usize, broker: impl FnOnce(Vec<Wake>) -> Broker) -> Driven {
        let (woken, wakes) = (0..workers).map(|_| flag()).unzip();
        let broker = Arc::new(broker(wakes));
        let workers = (0..workers).map(|index| Worker::new(index, broker.clone())).collect();
        Driven { name, broker, workers, woken }
    }

    /// Opens a session on a worker of this node, which has an index among the others.
    pub(super) fn open(
        &mut self,
        now: Now,
        node: usize,
        worker: usize,
        encoding: Encoding,
        pipe_bytes: usize,
    ) -> Link {
        let key = self.workers[worker].open(now, encoding);
        let id = self.workers[worker].session(key).expect("it was opened above").id();
        Link::new(node, worker, key, (self.name, id), Pipe::new(encoding, pipe_bytes))
    }

    /// True if the session at the other end takes requests.
    pub(super) fn is_open(&self, link: &Link) -> bool {
        let session = self.workers[link.worker].session(link.key);
        session.is_some_and(|session| session.closing().is_none() && !session.is_paused(self.broker.limits()))
    }

    /// Hands a request to a session, by way of its encoding.
    pub(super) fn send(&mut self, now: Now, link: &Link, encoding: Encoding, request: &Request) {
        let mut bytes = Vec::new();
        request.encode(encoding, &mut bytes);
        let request = decode_request(encoding, &bytes).expect("a client writes what can be read");
        self.workers[link.worker].handle(now, link.key, request);
    }

    /// Moves a part of what waits, if the worker's event loop would do so; true if more may wait.
    pub(super) fn deliver(&mut self, now: Now, worker: usize) -> bool {
        let woken = &self.woken[worker];
        if !woken.swap(false, Ordering::Relaxed) && !self.workers[worker].has_work() {
            return false;
        }
        let moved = self.workers[worker].deliver(now);
        self.woken[worker].fetch_or(moved, Ordering::Relaxed);
        self.woken[worker].load(Ordering::Relaxed)
    }

    /// Writes to the sessions that the worker names, at most so many; true if there are more.
    pub(super) fn write_dirty<'a>(
        &mut self,
        now: Now,
        worker: usize,
        most: usize,
        links: impl Iterator<Item = &'a mut Link>,
    ) -> bool {
        let mut links: Vec<&mut Link> = links.filter(|link| link.worker == worker).collect();
        for _ in 0..most {
            let Some(key) = self.workers[worker].next_dirty() else { return false };
            if let Some(link) = links.iter_mut().find(|link| link.key == key) {
                self.write(now, link);
            }
        }
        self.workers[worker].has_dirty()
    }

    /// Writes what a connection takes.
    fn write(&mut self, now: Now, link: &mut Link) {
        if link.pipe.is_blocked {
            return;
        }
        let worker = &mut self.workers[link.worker];
        link.pipe.write(worker, link.key);
        if worker.is_replaying(link.key) {
            worker.pull(now, link.key);
        }
    }

    /// The next frame that a client reads, if one has arrived; whether the connection has room again, and was written to.
    pub(super) fn read(&mut self, now: Now, link: &mut Link) -> (Option<Read>, bool) {
        let was_blocked = link.pipe.is_blocked;
        let read = link.pipe.read();
        let has_room = was_blocked && !link.pipe.is_blocked;
        if has_room {
            self.write(now, link);
        }
        (read, has_room)
    }

    pub(super) fn remove(&mut self, link: &Link) {
        self.workers[link.worker].remove(link.key);
    }
}
