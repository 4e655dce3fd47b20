//! Redis as the backplane: what the core asks is carried out, and what Redis says is told to the core.
//!
//! Nothing is decided here about topics, cursors or gaps. Numbering, keeping and spreading are one script each
//! ([`scripts`]); a link ([`link`]) keeps the two connections, and gives up whatever lets a deadline pass. Where there
//! is one worker, the link runs on its thread, so that nothing is handed from thread to thread; beside several it has
//! one of its own.

mod address;
mod calls;
mod connect;
mod envelope;
mod fault;
mod health;
mod keys;
mod link;
mod lives;
mod scripts;
mod seen;
mod session;
mod tls;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use fanfare_core::{Ask, Limits, Told, Unnumbered};
use fanfare_protocol::Topic;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::address::Address;
pub(crate) use self::health::Health;
pub(crate) use self::lives::Lives;
pub(crate) use self::tls::Tls;
pub use self::tls::TlsFiles;

/// The most questions of operators that wait.
const QUESTIONS_MAX: usize = 64;

/// Where the backplane is and what it is told of the broker's bounds.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) address: Address,
    /// How TLS is spoken there, if it is.
    pub(crate) tls: Option<Tls>,
    pub(crate) prefix: String,
    /// This node's own number.
    pub(crate) node: u64,
    pub(crate) topics: usize,
    pub(crate) idempotency_ms: u64,
    pub(crate) numbering_ttl_ms: u64,
    pub(crate) history_bytes: usize,
}

impl Setup {
    /// What the bounds of a node mean for its backplane.
    pub(crate) fn new(
        address: Address,
        tls: Option<Tls>,
        prefix: String,
        node: u64,
        limits: &Limits,
    ) -> Setup {
        Setup {
            address,
            tls,
            prefix,
            node,
            topics: limits.topics,
            idempotency_ms: limits.idempotency_ms,
            numbering_ttl_ms: limits.numbering_ttl_ms,
            history_bytes: limits.history_bytes,
        }
    }
}

/// Who decides: the core, as the link sees it.
pub(crate) trait Core: Send + Sync + 'static {
    /// What is to be done, in order.
    fn take_asks(&self) -> Vec<Ask>;
    /// Tells it something.
    fn told(&self, told: Told);
    /// Leaves only those publishes whose outcome somebody still waits for.
    fn retain_awaited(&self, publishes: &mut Vec<Unnumbered>);
    /// Has it do what is due; when something is due next.
    fn tick(&self) -> Option<Instant>;
}

/// A topic as Redis knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicFound {
    pub(crate) name: Topic,
    /// The life that goes on.
    pub(crate) life: u64,
    /// The seq of its newest message.
    pub(crate) last: u64,
    /// Messages kept.
    pub(crate) kept: usize,
    /// When the newest kept one was numbered, in milliseconds since 1970.
    pub(crate) time: Option<u64>,
}

/// A page of topics, by name.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) topics: Vec<TopicFound>,
    pub(crate) more: bool,
}

/// What an operator asks.
pub(crate) struct Question {
    pub(crate) filter: fanfare_protocol::Filter,
    /// Only topics behind this name.
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
    pub(crate) answer: oneshot::Sender<Result<Page, String>>,
}

/// A link that is to run on the thread that calls this, for as long as the future is polled.
pub(crate) type LocalLink = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A link to the backplane.
pub(crate) struct Backplane {
    pub(crate) health: Arc<Health>,
    questions: mpsc::Sender<Question>,
}

impl Backplane {
    /// A link and the way to ask it; `wake` is notified when the core has something to ask.
    pub(crate) fn new(setup: Setup, core: impl Core, wake: Arc<Notify>) -> (Backplane, LocalLink) {
        let health = Arc::new(Health::default());
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let link = link::Link { setup, core: Arc::new(core), wake, questions: asked, health: health.clone() };
        (Backplane { health, questions }, Box::new(move || link.run().boxed_local()))
    }

    /// The topics that match a filter, by name, behind `after`.
    pub(crate) async fn topics(
        &self,
        filter: fanfare_protocol::Filter,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page, String> {
        let (answer, answered) = oneshot::channel();
        let question = Question { filter, after, limit, answer };
        if self.questions.try_send(question).is_err() {
            return Err("too many questions wait for the backplane already".to_owned());
        }
        answered.await.unwrap_or_else(|_| Err(self.health.reason()))
    }
}

/// Runs a link on a thread of its own.
pub(crate) fn start_thread(link: LocalLink) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || runtime.block_on(link());
    thread::Builder::new()
        .name("backplane".to_owned())
        .spawn(run)
        .map(drop)
        .context("the backplane's thread can't be started")
}

#[cfg(test)]
mod tests;
