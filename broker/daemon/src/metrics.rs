//! Figures for operators, counted a pass at a time, in Prometheus' names.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fanfare_core::WorkerStats;
use hyper::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::node::Node;
use crate::process;

/// The counters of one broker.
#[derive(Default)]
pub(crate) struct Metrics {
    deliveries: Counter,
    delivered_bytes: Counter,
    gaps: Counter,
    dropped: Counter,
    replaced: Counter,
    errors: Counter,
    closes: Counter,
    slow_closes: Counter,
    published_by_websocket: Counter,
    published_by_http: Counter,
    refused_by_http: Counter,
    /// By the first digit of the status, from 1.
    answers: [Counter; 5],
    sessions: Box<[AtomicUsize]>,
    accept_errors: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PublishLabels {
    edge: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    status: &'static str,
}

impl Metrics {
    /// Counters that stand at zero.
    pub(crate) fn new(workers: usize) -> Metrics {
        Metrics { sessions: (0..workers).map(|_| AtomicUsize::new(0)).collect(), ..Metrics::default() }
    }

    /// Adds what a worker counted in a pass.
    pub(crate) fn count(&self, worker: usize, stats: WorkerStats, sessions: usize) {
        self.sessions[worker].store(sessions, Ordering::Relaxed);
        if stats == WorkerStats::default() {
            return;
        }
        self.deliveries.inc_by(stats.deliveries);
        self.delivered_bytes.inc_by(stats.bytes);
        self.gaps.inc_by(stats.gaps);
        self.dropped.inc_by(stats.dropped);
        self.replaced.inc_by(stats.replaced);
        self.errors.inc_by(stats.errors);
        self.closes.inc_by(stats.closes);
        self.slow_closes.inc_by(stats.slow_closes);
        self.published_by_websocket.inc_by(stats.publishes);
    }

    /// Counts a publish by HTTP.
    pub(crate) fn published(&self, ok: bool) {
        let counter = if ok { &self.published_by_http } else { &self.refused_by_http };
        counter.inc();
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.answers[class - 1].inc();
    }

    /// Counts a connection that could not be accepted.
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// All figures of this moment, in the OpenMetrics text format.
    pub(crate) fn render(&self, node: &Node) -> String {
        let mut registry = Registry::with_prefix("fanfare");
        self.register_counters(&mut registry);
        let stats = node.broker.stats();
        let sessions: usize = self.sessions.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        for (name, help, value) in [
            ("sessions", "WebSocket sessions that are open", sessions),
            ("connections", "Connections that are open", node.connections()),
            ("subscriptions", "Subscriptions of all sessions", stats.subscriptions),
            ("topics", "Topics remembered", stats.topics),
            ("history_messages", "Messages kept", stats.kept),
            ("waiting_publishes", "Publishes that wait for room", stats.waiting_publishes),
        ] {
            register(&mut registry, name, help, None, value as u64);
        }
        let bytes = Some(Unit::Bytes);
        register(
            &mut registry,
            "history",
            "What kept messages cost",
            bytes.clone(),
            stats.history_bytes as u64,
        );
        register(&mut registry, "inbox", "What waits for workers", bytes, stats.inbox_bytes as u64);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        let ours = text.trim_end_matches("# EOF\n");
        format!("{ours}{}# EOF\n", process::metrics())
    }

    fn register_counters(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("deliveries", "Messages written to sessions", &self.deliveries),
            ("gaps", "Gaps told", &self.gaps),
            ("dropped_messages", "Live messages dropped for slow sessions, told by gaps", &self.dropped),
            ("replaced_messages", "Live messages replaced by newer ones for slow sessions", &self.replaced),
            ("errors", "Error frames sent", &self.errors),
            ("session_closes", "Sessions closed by the broker", &self.closes),
            ("slow_session_closes", "Sessions closed because they were slow", &self.slow_closes),
            ("accept_errors", "Connections that could not be accepted", &self.accept_errors),
        ] {
            registry.register(name, help, counter.clone());
        }
        let help = "Bytes written to sessions";
        registry.register_with_unit("delivered", help, Unit::Bytes, self.delivered_bytes.clone());
        let publishes = Family::<PublishLabels, Counter>::default();
        for (edge, outcome, counter) in [
            ("websocket", "ok", &self.published_by_websocket),
            ("http", "ok", &self.published_by_http),
            ("http", "refused", &self.refused_by_http),
        ] {
            publishes.get_or_create(&PublishLabels { edge, outcome }).inc_by(counter.get());
        }
        registry.register("publishes", "Publishes by edge and outcome", publishes);
        let requests = Family::<RequestLabels, Counter>::default();
        for (status, counter) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&self.answers) {
            requests.get_or_create(&RequestLabels { status }).inc_by(counter.get());
        }
        registry.register("http_requests", "Requests answered, by class of status", requests);
    }
}

fn register(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: u64) {
    let gauge: Gauge<u64, AtomicU64> = Gauge::default();
    gauge.set(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, gauge),
        None => registry.register(name, help, gauge),
    }
}
