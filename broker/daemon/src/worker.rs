//! One worker thread: its event loop, its sessions' sockets, and the passes that move messages to them.
//!
//! A pass moves what waits in the inbox to the outboxes and writes each that changed with one vectored write, straight
//! to its socket. Only what a socket does not take waits for it. Nothing here decides: the core's worker does.

mod drain;
mod sockets;
mod streams;

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_core::Worker;
use fanfare_protocol::CloseCode;
use futures_util::future::OptionFuture;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

pub(crate) use sockets::{CLOSE_MS, Sockets};
pub(crate) use streams::Streams;

use crate::http;
use crate::metrics::Fill;
use crate::node::{Command, Node};
use crate::redis::LocalLink;

/// A pass gives way to the other tasks of its thread after this.
const PASS: Duration = Duration::from_micros(500);
/// So much later if many messages are on their way: else publishers would get on faster than what they publish.
const BUSY_PASS: Duration = Duration::from_millis(2);
/// How many messages on their way are many.
const BUSY: usize = 32;
/// How many sessions are written to between two looks at the clock and at the inbox.
const WRITES_PER_LOOK: usize = 16;
/// The size of the read buffer that a worker's sessions share.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// The most that one write to a stream of events takes.
const WRITE_BYTES: usize = 64 * 1024;
/// The longest that the worker sleeps between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);

/// What the tasks of one worker share.
pub(crate) struct Local {
    pub(crate) node: Arc<Node>,
    pub(crate) worker: RefCell<Worker>,
    pub(crate) sockets: RefCell<Sockets>,
    pub(crate) streams: RefCell<Streams>,
    /// Lent to the session that is being read.
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    /// Lent to the stream that is being written to.
    write_buffer: RefCell<Vec<u8>>,
    pub(crate) router: axum::Router,
    /// Told when something waits to be moved or written.
    work: Arc<Notify>,
    /// Told when a session that was not read may be read again.
    pub(crate) resumed: Notify,
    /// Told when a session is gone.
    pub(crate) closed: Notify,
}

/// Runs the worker of this index until its door is closed, and beside it the link to the backplane, if it is given one.
pub(crate) fn run(
    node: Arc<Node>,
    index: usize,
    work: Arc<Notify>,
    commands: mpsc::Receiver<Command>,
    link: Option<LocalLink>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a worker has the descriptors for its event loop");
    let worker = RefCell::new(Worker::new(index, node.broker.clone()));
    let sockets = RefCell::new(Sockets::default());
    let streams = RefCell::new(Streams::default());
    let read_buffer = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
    let write_buffer = RefCell::new(Vec::with_capacity(WRITE_BYTES));
    let router = http::router(node.clone());
    let (resumed, closed) = (Notify::new(), Notify::new());
    let local =
        Local { node, worker, sockets, streams, read_buffer, write_buffer, router, work, resumed, closed };
    let local = Rc::new(local);
    LocalSet::new().block_on(&runtime, async move {
        let deliver = tokio::task::spawn_local(local.clone().deliver());
        let keep_time = tokio::task::spawn_local(local.clone().keep_time());
        let linked = OptionFuture::from(link.map(|link| tokio::task::spawn_local(link())));
        tokio::select! {
            () = local.obey(commands) => {}
            Err(error) = deliver => broken(&error),
            Err(error) = keep_time => broken(&error),
            Some(Err(error)) = linked => broken(&error),
        }
    });
}

/// A worker that delivers no more would leave its sessions open and silent: better that all of them come back.
fn broken(error: &tokio::task::JoinError) {
    tracing::error!(%error, "a worker is broken: the broker ends");
    std::process::abort();
}

impl Local {
    /// Tells the worker that something waits.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Writes to one session at once, and has the rest of what came of it done soon.
    pub(crate) fn settle(self: &Rc<Local>, key: fanfare_core::SessionKey) {
        self.write(key);
        if self.worker.borrow().has_work() {
            self.wake();
        }
    }

    async fn obey(self: Rc<Local>, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Serve(stream, address, place) => {
                    tokio::task::spawn_local(http::serve(self.clone(), stream, address, place));
                }
                Command::Sessions(reply) => {
                    let infos = self.worker.borrow().session_infos(self.node.clock.now());
                    // Who asked may be gone.
                    _ = reply.send(infos);
                }
                Command::Fill(reply) => _ = reply.send(self.fill()),
                Command::Drain(spread, done) => {
                    tokio::task::spawn_local(self.clone().drain(spread, done));
                }
                Command::Disconnect(id, reply) => {
                    let key = self.worker.borrow().find(id);
                    if let Some(key) = key {
                        let reason = "disconnected by an operator";
                        self.worker.borrow_mut().close(key, CloseCode::Disconnected, reason);
                        self.settle(key);
                    }
                    _ = reply.send(key.is_some());
                }
            }
        }
    }

    async fn deliver(self: Rc<Local>) -> Infallible {
        loop {
            self.work.notified().await;
            while self.pass() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Moves and writes for about [`PASS`]; true if more is left.
    fn pass(self: &Rc<Local>) -> bool {
        let started = Instant::now();
        loop {
            let waited = self.worker.borrow_mut().deliver(self.node.clock.now());
            if !waited && !self.worker.borrow().has_dirty() {
                self.count();
                return false;
            }
            for _ in 0..WRITES_PER_LOOK {
                let Some(key) = self.worker.borrow_mut().next_dirty() else {
                    // What was moved to streams in this round is pulled before more is moved.
                    if self.streams.borrow_mut().take_woken() {
                        self.count();
                        return true;
                    }
                    break;
                };
                if self.write(key) {
                    break;
                }
            }
            let most = if self.worker.borrow().unwritten() < BUSY { PASS } else { BUSY_PASS };
            if started.elapsed() > most {
                self.count();
                return true;
            }
        }
    }

    async fn keep_time(self: Rc<Local>) -> Infallible {
        loop {
            let soon = Instant::now() + TICK;
            let due = self.worker.borrow().next_timeout().map(|at| self.node.clock.instant(at));
            tokio::time::sleep_until(due.map_or(soon, |due| due.min(soon)).into()).await;
            let now = self.node.clock.now();
            self.worker.borrow_mut().tick(now);
            self.end_overdue(now.ms());
            self.end_overdue_streams(now.ms());
            self.resumed.notify_waiters();
            self.wake();
        }
    }

    fn fill(&self) -> Fill {
        let worker = self.worker.borrow();
        let (outbox_bytes, outbox_items) = worker.outbox_fill();
        let (sessions, streams) = (worker.sessions(), worker.streams());
        Fill { sessions, streams, outbox_bytes, outbox_items }
    }

    /// The end of a pass: what it moved is written, what it counted is added up.
    fn count(&self) {
        let mut worker = self.worker.borrow_mut();
        self.node.metrics.count(worker.index(), &worker.take_stats());
        drop(worker);
        self.resumed.notify_waiters();
    }
}
