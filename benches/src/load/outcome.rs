//! What one run has shown.

use serde::{Deserialize, Serialize};

/// What the subscribers and publishers have met so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Subscribers whose `ok` has come.
    pub subscribed: usize,
    /// Message frames received.
    pub messages: u64,
    /// `gap` frames received.
    pub gaps: u64,
    /// Connections that the server closed or that broke.
    pub cuts: u64,
    /// Seqs that were not above the one before, at the subscribers that look.
    pub disordered: u64,
    /// Publishes, or messages of a batch, that were refused.
    pub refusals: u64,
    /// Frames that should not have come: errors, goodbyes.
    pub unexpected: u64,
    /// The first of those, for people.
    pub unexpected_first: Option<String>,
}

/// The outcome of subscribing and publishing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FanOut {
    /// True if every subscriber got exactly what was acknowledged, in order, and nothing went wrong.
    pub exact: bool,
    /// True if publishes came at a steady rate; then the generator lies awake for the next.
    pub paced: bool,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages received, all subscribers together.
    pub deliveries: u64,
    /// Messages that subscribers should have received and did not.
    pub missing: u64,
    /// Messages that subscribers received and should not have.
    pub surplus: u64,
    /// From the first publish to the last delivery.
    pub seconds: f64,
    /// Deliveries a second.
    pub deliveries_per_s: f64,
    /// Publishes that began more than 10 ms late.
    pub late: u64,
    /// The server's CPU a delivery.
    pub server_us_per_delivery: Option<f64>,
    /// The server's CPU a message published, its deliveries included.
    pub server_us_per_publish: Option<f64>,
    /// The share of one core that the server used.
    pub server_load: Option<f64>,
    /// The generator's own CPU a delivery.
    pub generator_us_per_delivery: f64,
    /// The share of one core that the generator used; near 1 it is the generator that was measured.
    pub generator_load: f64,
    /// The median time until a publish was answered.
    pub answer_p50_us: f64,
    /// The time within which 99 of 100 publishes were answered.
    pub answer_p99_us: f64,
    /// What the subscribers and publishers met.
    pub tally: Tally,
}

/// The outcome of subscribing and falling silent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Idle {
    /// True if every connection subscribed and stayed.
    pub exact: bool,
    /// Connections beyond the first few, which warm the server up and are not counted.
    pub connections: usize,
    /// How long connecting and subscribing took.
    pub seconds: f64,
    /// By how much the server's resident memory grew, a connection.
    pub server_bytes_per_connection: Option<f64>,
    /// The server's CPU to connect and subscribe, a connection.
    pub server_us_per_connection: Option<f64>,
    /// What the subscribers met.
    pub tally: Tally,
}

/// The value at `share` of the sorted times, in microseconds.
pub(crate) fn percentile_us(sorted_ns: &[u32], share: f64) -> f64 {
    let last = sorted_ns.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted_ns.get(index).map_or(0.0, |ns| f64::from(*ns) / 1e3)
}
