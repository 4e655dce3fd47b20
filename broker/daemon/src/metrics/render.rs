//! The figures as `/metrics` shows them: one table of names, helps and values.

use std::sync::atomic::Ordering;

use fanfare_core::{DoubtCause, Doubts, LATENCY_BOUNDS_US, Latencies};
use fanfare_protocol::{CloseCode, ErrorCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::{Fill, Metrics};
use crate::node::Node;
use crate::process;
use crate::redis::Health;

/// One label and its value.
type Label = [(&'static str, String); 1];
/// An edge and an encoding.
type Edged = [(&'static str, &'static str); 2];

impl Metrics {
    /// All figures of this moment, in the OpenMetrics text format.
    pub(crate) fn render(&self, node: &Node, fill: Fill) -> String {
        let mut registry = Registry::with_prefix("fanfare");
        self.register_messages(&mut registry);
        self.register_requests(&mut registry);
        register_state(&mut registry, node, fill);
        if let Some(backplane) = &node.backplane {
            register_backplane(&mut registry, &backplane.health);
            let help = "Times that a worker had no room for what came, and was sent it from the log";
            counter(&mut registry, "backplane_falls_behind", help, node.broker.stats().falls_behind);
            register_doubts(&mut registry, &node.broker.doubts().unwrap_or_default());
        }
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        let ours = text.trim_end_matches("# EOF\n");
        format!("{ours}{}# EOF\n", process::metrics())
    }

    fn register_messages(&self, registry: &mut Registry) {
        let workers = self.of_workers();
        let (deliveries, delivered) =
            (Family::<Edged, Counter>::default(), Family::<Edged, Counter>::default());
        for (edge, encoding, written) in [
            ("websocket", "json", workers.json),
            ("websocket", "msgpack", workers.message_pack),
            ("sse", "json", workers.events),
        ] {
            let label = [("edge", edge), ("encoding", encoding)];
            deliveries.get_or_create(&label).inc_by(written.messages);
            delivered.get_or_create(&label).inc_by(written.bytes);
        }
        let help = "Messages written to sessions, by edge and encoding";
        registry.register("deliveries", help, deliveries);
        let help = "Bytes written to sessions, by edge and encoding";
        registry.register_with_unit("delivered", help, Unit::Bytes, delivered);
        let help = "From the numbering of a message to the end of the round of writes that offered it to all, by message and worker";
        registry.register_with_unit("delivery", help, Unit::Seconds, Histogram(workers.delivery));
        let gaps = workers.gaps;
        family(
            registry,
            ("gaps", "Gaps told, by what made them", None),
            "cause",
            [("trimmed", gaps.trimmed), ("cursor", gaps.cursor), ("slow", gaps.slow)]
                .map(|(cause, count)| (cause.to_owned(), count)),
        );
        counter(
            registry,
            "dropped_messages",
            "Live messages dropped for slow sessions, told by gaps",
            workers.dropped,
        );
        let help = "Live messages replaced by newer ones of their topic for slow sessions";
        counter(registry, "replaced_messages", help, workers.replaced);
        family(
            registry,
            ("errors", "Error frames sent, by code", None),
            "code",
            ErrorCode::ALL
                .map(|code| (code.as_str().to_owned(), workers.errors.get(&code).copied().unwrap_or(0))),
        );
        family(
            registry,
            ("session_closes", "Sessions closed by the broker, by close code", None),
            "code",
            CloseCode::ALL.map(|code| {
                let count = workers.closes.get(&code.as_u16()).copied().unwrap_or(0);
                (code.as_u16().to_string(), count)
            }),
        );
        let edges = [("http", self.published.load(Ordering::Relaxed)), ("websocket", workers.publishes)];
        family(
            registry,
            ("publishes", "Messages published, by edge", None),
            "edge",
            edges.map(|(edge, count)| (edge.to_owned(), count)),
        );
    }

    fn register_requests(&self, registry: &mut Registry) {
        let refused = self.refused.load(Ordering::Relaxed);
        counter(registry, "refused_publishes", "Publishes by HTTP that the broker refused", refused);
        let help = "From a publish by HTTP, read whole, to its answer";
        registry.register_with_unit("publish", help, Unit::Seconds, Histogram(self.publish.load()));
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&self.answers);
        family(
            registry,
            ("http_requests", "Requests answered, by class of status", None),
            "status",
            classes.map(|(status, count)| (status.to_owned(), count.load(Ordering::Relaxed))),
        );
        let accept_errors = self.accept_errors.load(Ordering::Relaxed);
        counter(registry, "accept_errors", "Times that no connection could be accepted", accept_errors);
    }
}

fn register_state(registry: &mut Registry, node: &Node, fill: Fill) {
    let (stats, limits) = (node.broker.stats(), &node.settings.limits);
    let sessions = Family::<Label, Gauge>::default();
    for (edge, count) in [("websocket", fill.sessions - fill.streams), ("sse", fill.streams)] {
        sessions.get_or_create(&[("edge", edge.to_owned())]).set(count as i64);
    }
    registry.register("sessions", "Sessions that are open, by edge", sessions);
    for (name, help, value) in [
        ("connections", "Connections that are open", node.connections()),
        ("connections_limit", "Connections that may be open", limits.connections),
        ("subscriptions", "Subscriptions of all sessions and long polls", stats.subscriptions),
        ("subscriptions_limit", "Subscriptions that there may be", limits.filters),
        ("topics", "Topics remembered", stats.topics),
        ("topics_limit", "Topics that may be remembered", limits.topics),
        ("history_messages", "Messages kept", stats.kept),
        ("waiting_publishes", "Publishes that wait for room", stats.waiting_publishes),
        ("waiting_publishes_limit", "Publishes that may wait for room", limits.waiting_publishes),
        ("outbox_items", "Items that wait in all outboxes", fill.outbox_items),
    ] {
        registry.register(name, help, ConstGauge::new(value as u64));
    }
    for (name, help, value) in [
        ("history", "What kept messages cost", stats.history_bytes),
        ("history_limit", "What kept messages may cost", limits.history_bytes),
        ("inbox", "What waits for all workers", stats.inbox_bytes),
        ("inbox_limit", "What may wait for all workers", limits.inbox_bytes * node.workers.len()),
        ("outbox", "What waits in all outboxes", fill.outbox_bytes),
    ] {
        registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value as u64));
    }
}

/// What is there only where nodes are joined.
fn register_backplane(registry: &mut Registry, health: &Health) {
    let figures = &health.figures;
    let up = ConstGauge::new(u64::from(health.is_up()));
    registry.register("backplane_up", "1 if the backplane can be reached", up);
    for (name, help, count) in [
        ("backplane_connects", "Times that the backplane was connected to", &figures.connects),
        ("backplane_losses", "Times that the connection to the backplane was lost", &figures.losses),
        ("backplane_messages", "Messages and probes that came from the backplane", &figures.messages),
        ("backplane_unreadable", "Messages from the backplane that could not be read", &figures.unreadable),
        ("backplane_reads", "Reads of what is kept on the backplane", &figures.reads),
    ] {
        counter(registry, name, help, count.load(Ordering::Relaxed));
    }
    let help = "Bytes that came from the backplane for what is followed";
    let bytes = ConstCounter::new(figures.bytes.load(Ordering::Relaxed));
    registry.register_with_unit("backplane_received", help, Unit::Bytes, bytes);
    let help = "From a probe of the backplane to its return on the way of messages";
    registry.register_with_unit("backplane_probe", help, Unit::Seconds, Histogram(figures.probe.load()));
    let help = "From sending publishes to the backplane to its answer, by batch";
    registry.register_with_unit("backplane_publish", help, Unit::Seconds, Histogram(figures.publish.load()));
}

/// What a joined node doubted, and what came of it.
fn register_doubts(registry: &mut Registry, doubts: &Doubts) {
    let open = ConstGauge::new(u64::from(doubts.is_open));
    let help = "1 while something may be missing, as while the backplane is away: nothing is delivered until it was read";
    registry.register("backplane_doubt_open", help, open);
    let opened = DoubtCause::ALL.into_iter().zip(doubts.opened);
    let opened = opened.map(|(cause, count)| (cause.as_str().to_owned(), count));
    family(registry, ("backplane_doubts", "Doubts that were opened, by cause", None), "cause", opened);
    let help = "From when something could be missing until all of it was read";
    registry.register_with_unit("backplane_doubt", help, Unit::Seconds, Histogram(doubts.lasted));
    let told = [("hole", doubts.holes_told), ("life", doubts.lives_told)];
    let told = told.map(|(cause, count)| (cause.to_owned(), count));
    let help = "Gaps told for what the backplane keeps no more, by cause";
    family(registry, ("backplane_gaps", help, None), "cause", told);
    let help = "Lives of the numbering that were seen to end";
    counter(registry, "backplane_lives_ended", help, doubts.lives_ended);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    registry.register(name, help, ConstCounter::new(value));
}

fn family(
    registry: &mut Registry,
    (name, help, unit): (&str, &str, Option<Unit>),
    label: &'static str,
    values: impl IntoIterator<Item = (String, u64)>,
) {
    let family = Family::<Label, Counter>::default();
    for (value, count) in values {
        family.get_or_create(&[(label, value)]).inc_by(count);
    }
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family),
        None => registry.register(name, help, family),
    }
}

/// Latencies as a histogram in seconds.
#[derive(Debug)]
struct Histogram(Latencies);

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = LATENCY_BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.buckets).collect();
        let count = self.0.buckets.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(self.0.sum_us as f64 / 1e6, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
