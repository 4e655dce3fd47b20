//! What a worker counts for operators.

use std::collections::BTreeMap;

use fanfare_protocol::{Encoding, ErrorCode};

use crate::edge::Edge;

/// The upper bounds of latency buckets, in microseconds; above the last there is one more bucket.
pub const LATENCY_BOUNDS_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000];

/// What a worker has counted since it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// What was written to JSON sessions over WebSockets.
    pub json: Written,
    /// What was written to MessagePack sessions.
    pub message_pack: Written,
    /// What was written to streams of events.
    pub events: Written,
    /// From the numbering of a message to the write of the pass that moved it, for each message and worker.
    pub delivery: Latencies,
    /// Gaps told, by cause.
    pub gaps: Gaps,
    /// Live messages dropped for slow sessions, and told by a gap.
    pub dropped: u64,
    /// Live messages that a newer one of their topic replaced for slow sessions.
    pub replaced: u64,
    /// Publishes of sessions that succeeded.
    pub publishes: u64,
    /// Error frames sent, by code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Sessions closed by the broker, by code.
    pub closes: BTreeMap<u16, u64>,
}

/// What went out whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Messages, live and replayed.
    pub messages: u64,
    /// Bytes of everything.
    pub bytes: u64,
}

/// Gaps told, by what made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// A topic's messages were trimmed before they were replayed.
    pub trimmed: u64,
    /// The cursor's whole filter jumped: another life, the future, below the floor, too many holes.
    pub cursor: u64,
    /// Live messages were dropped for a slow session.
    pub slow: u64,
}

/// Why a joined node doubts that it knows all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtCause {
    /// The backplane was connected to: what came before may be missing.
    Connection,
    /// A message told of another before it that did not come.
    Hole,
    /// A probe was late.
    Probe,
    /// Another life of the numbering has begun.
    Life,
}

/// What a joined node has counted of its doubts since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Something may be missing at this moment.
    pub is_open: bool,
    /// Doubts that were opened, in the order of [`DoubtCause::ALL`].
    pub opened: [u64; DoubtCause::ALL.len()],
    /// How long each lasted: from when something could be missing until all was read.
    pub lasted: Latencies,
    /// Gaps for what the backplane keeps no more.
    pub holes_told: u64,
    /// Gaps for the end of a life below what was told here.
    pub lives_told: u64,
    /// Lives of the numbering that were seen to end.
    pub lives_ended: u64,
}

impl DoubtCause {
    /// Every cause.
    pub const ALL: [DoubtCause; 4] =
        [DoubtCause::Connection, DoubtCause::Hole, DoubtCause::Probe, DoubtCause::Life];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            DoubtCause::Connection => "connection",
            DoubtCause::Hole => "hole",
            DoubtCause::Probe => "probe",
            DoubtCause::Life => "life",
        }
    }

    /// What it is, for an operator.
    pub(crate) fn told(self) -> &'static str {
        match self {
            DoubtCause::Connection => "the connection was lost",
            DoubtCause::Hole => "a message is missing",
            DoubtCause::Probe => "a probe did not come back in time",
            DoubtCause::Life => "another life of the numbering has begun",
        }
    }
}

/// Counts by latency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many fell into each bucket of [`LATENCY_BOUNDS_US`], and above the last.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// The sum of all, in microseconds.
    pub sum_us: u64,
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, us: u64) {
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket] += 1;
        self.sum_us += us;
    }
}

impl WorkerStats {
    /// Adds what another has counted.
    pub fn absorb(&mut self, other: &WorkerStats) {
        for (mine, theirs) in [
            (&mut self.json, other.json),
            (&mut self.message_pack, other.message_pack),
            (&mut self.events, other.events),
        ] {
            mine.messages += theirs.messages;
            mine.bytes += theirs.bytes;
        }
        for (mine, theirs) in self.delivery.buckets.iter_mut().zip(other.delivery.buckets) {
            *mine += theirs;
        }
        self.delivery.sum_us += other.delivery.sum_us;
        self.gaps.trimmed += other.gaps.trimmed;
        self.gaps.cursor += other.gaps.cursor;
        self.gaps.slow += other.gaps.slow;
        self.dropped += other.dropped;
        self.replaced += other.replaced;
        self.publishes += other.publishes;
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        for (code, count) in &other.closes {
            *self.closes.entry(*code).or_default() += count;
        }
    }

    pub(crate) fn count_error(&mut self, code: ErrorCode) {
        *self.errors.entry(code).or_default() += 1;
    }

    pub(crate) fn count_close(&mut self, code: u16) {
        *self.closes.entry(code).or_default() += 1;
    }

    pub(crate) fn count_written(&mut self, edge: Edge, messages: usize, bytes: usize) {
        let written = match edge {
            Edge::WebSocket(Encoding::Json) => &mut self.json,
            Edge::WebSocket(Encoding::MessagePack) => &mut self.message_pack,
            Edge::Events => &mut self.events,
        };
        written.messages += messages as u64;
        written.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_into_the_first_bucket_that_holds_it() {
        let mut latencies = Latencies::default();
        for us in [0, 50, 51, 2_500_000, 2_500_001] {
            latencies.add(us);
        }
        assert_eq!((latencies.buckets[0], latencies.buckets[1]), (2, 1));
        assert_eq!((latencies.buckets[13], latencies.buckets[14]), (1, 1));
        assert_eq!(latencies.sum_us, 5_000_102);
    }
}
