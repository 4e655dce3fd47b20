//! Latencies, counted in buckets whose width is about 3 % of what they hold.

use std::time::Duration;

/// Buckets for each doubling.
const STEPS: usize = 32;
/// Up to this each nanosecond has its own.
const EXACT: u64 = 2 * STEPS as u64;
const BUCKETS: usize = 60 * STEPS;

/// A distribution of latencies.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    counts: Box<[u64]>,
    number: u64,
    longest_ns: u64,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { counts: vec![0; BUCKETS].into(), number: 0, longest_ns: 0 }
    }
}

impl Latencies {
    /// Counts one.
    #[inline]
    pub(super) fn add(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.number += 1;
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Counts those of another.
    pub(super) fn merge(&mut self, other: &Latencies) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.number += other.number;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    /// The latency within which this share lies, rounded up by its bucket's width at most; `None` of none.
    pub(super) fn within(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.number as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(end_of(found).min(self.longest_ns)))
    }
}

fn bucket(ns: u64) -> usize {
    if ns < EXACT {
        return ns as usize;
    }
    let shift = ns.ilog2() as usize - STEPS.ilog2() as usize;
    (shift * STEPS + (ns >> shift) as usize).min(BUCKETS - 1)
}

/// The longest that a bucket holds.
fn end_of(bucket: usize) -> u64 {
    if (bucket as u64) < EXACT {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    (((bucket - shift * STEPS) as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_a_bucket_that_ends_little_above_it() {
        for ns in (0..200).chain((0..40).map(|power| (1_u64 << power) + 12_345)) {
            let end = end_of(bucket(ns));
            assert!(end >= ns && end as f64 <= ns as f64 * 1.04, "{ns} ends at {end}");
            assert!(bucket(end) == bucket(ns) && bucket(end + 1) == bucket(ns) + 1, "{ns} ends at {end}");
        }
    }

    #[test]
    fn shares_are_told_of_all_that_was_counted() {
        let (mut one, mut other) = (Latencies::default(), Latencies::default());
        assert_eq!(one.within(0.5), None);
        (1..=50).for_each(|ns| one.add(ns));
        (51..=100).for_each(|ns| other.add(ns));
        one.merge(&other);
        let within = |share| one.within(share).unwrap().as_nanos();
        assert_eq!([within(0.0), within(0.5), within(1.0)], [1, 50, 100]);
        assert!((98..=100).contains(&within(0.99)));
    }
}
