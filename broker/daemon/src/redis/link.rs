//! The link: connects, serves a connection until it breaks, and connects again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fanfare_core::Told;
use tokio::sync::{Notify, mpsc};

use super::calls::Bounds;
use super::connect::connect;
use super::fault::Fault;
use super::health::Health;
use super::lives::Lives;
use super::seen::Seen;
use super::session::Session;
use super::{Core, Question, Setup};

/// The pause before the first new attempt; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// The longest time between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);
/// The shortest.
const TICK_MIN: Duration = Duration::from_millis(5);
/// What a message costs here, against its bytes on Redis: as published and in both encodings.
const COPIES: usize = 3;

/// What the link's thread owns.
pub(super) struct Link<C> {
    pub(super) setup: Setup,
    pub(super) core: Arc<C>,
    /// Notified when the core has something to ask.
    pub(super) wake: Arc<Notify>,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) health: Arc<Health>,
}

impl<C: Core> Link<C> {
    /// Runs until the broker ends, with which nobody asks any more.
    pub(super) async fn run(self) {
        let core = self.core.clone();
        tokio::select! {
            () = self.link() => {}
            () = keep_time(&*core) => {}
        }
    }

    async fn link(mut self) {
        let (mut pause, lives, seen) = (PAUSE_MIN, Lives::default(), Seen::default());
        loop {
            let began = Instant::now();
            let fault = self.connect_and_serve(&seen).await;
            let Some(fault) = fault else { return };
            let is_incompatible = matches!(fault, Fault::Incompatible(_));
            let reason = fault.to_string();
            self.health.down(&reason, is_incompatible);
            self.core.told(Told::Down(reason.clone()));
            pause = if began.elapsed() >= GOOD { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            // Between half of it and all of it, so that nodes do not come back in step.
            let part = 500 + lives.number() % 500;
            let until = tokio::time::Instant::now() + pause.mul_f64(part as f64 / 1_000.0);
            while let Ok(question) = tokio::time::timeout_at(until, self.questions.recv()).await {
                let Some(question) = question else { return };
                // Who asked may be gone.
                _ = question.answer.send(Err(reason.clone()));
            }
        }
    }

    /// Why the connection broke; none if the broker has ended.
    async fn connect_and_serve(&mut self, seen: &Seen) -> Option<Fault> {
        let Setup { address, tls, prefix, node, topics, idempotency_ms, numbering_ttl_ms, history_bytes } =
            &self.setup;
        let bounds = Bounds {
            topics: *topics,
            idempotency_ms: *idempotency_ms,
            numbering_ttl_ms: *numbering_ttl_ms,
            read_bytes: history_bytes / COPIES,
        };
        let connected = match connect(address, tls.as_ref(), prefix, *node, bounds, seen.clone()).await {
            Ok(connected) => connected,
            Err(fault) => return Some(fault),
        };
        // What was asked of the connection before is not answered any more.
        drop(self.core.take_asks());
        self.health.figures.connects.fetch_add(1, Ordering::Relaxed);
        self.core.told(Told::Up(connected.record.clone()));
        self.health.up(connected.danger.clone());
        Session::new(connected, self).serve().await
    }
}

/// Has the core do what is due, as long as it is there.
async fn keep_time(core: &impl Core) {
    loop {
        let latest = Instant::now() + TICK;
        let due = core.tick().map_or(latest, |due| due.clamp(Instant::now() + TICK_MIN, latest));
        tokio::time::sleep_until(due.into()).await;
    }
}
