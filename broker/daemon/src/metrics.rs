//! Figures for operators: counted here, rendered in `render` under Prometheus' conventions.

mod render;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_core::{LATENCY_BOUNDS_US, Latencies, WorkerStats};
use hyper::StatusCode;

/// The counters of one broker.
pub(crate) struct Metrics {
    /// What each worker has counted; locked once a pass by its worker, and by who asks.
    workers: Box<[Mutex<WorkerStats>]>,
    published: AtomicU64,
    refused: AtomicU64,
    publish: AtomicLatencies,
    /// By the first digit of the status, from 1.
    answers: [AtomicU64; 5],
    accept_errors: AtomicU64,
}

/// What waits in the outboxes of a worker, and how many sessions there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fill {
    /// All of them.
    pub(crate) sessions: usize,
    /// Those that are streams of events.
    pub(crate) streams: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) outbox_items: usize,
}

/// Latencies that many threads count.
#[derive(Default)]
pub(crate) struct AtomicLatencies {
    buckets: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Metrics {
    /// Counters that stand at zero.
    pub(crate) fn new(workers: usize) -> Metrics {
        Metrics {
            workers: (0..workers).map(|_| Mutex::default()).collect(),
            published: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            publish: AtomicLatencies::default(),
            answers: Default::default(),
            accept_errors: AtomicU64::new(0),
        }
    }

    /// Adds what a worker counted in a pass.
    pub(crate) fn count(&self, worker: usize, stats: &WorkerStats) {
        lock(&self.workers[worker]).absorb(stats);
    }

    /// Counts a publish by HTTP and how long it took to answer.
    pub(crate) fn published(&self, ok: bool, took: Duration) {
        let counter = if ok { &self.published } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        self.publish.add(took.as_micros() as u64);
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.answers[class - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that could not be accepted.
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    fn of_workers(&self) -> WorkerStats {
        let mut all = WorkerStats::default();
        for worker in &self.workers {
            all.absorb(&lock(worker));
        }
        all
    }
}

impl AtomicLatencies {
    pub(crate) fn add(&self, us: u64) {
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> Latencies {
        let buckets = self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        Latencies { buckets, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

fn lock(stats: &Mutex<WorkerStats>) -> MutexGuard<'_, WorkerStats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}
