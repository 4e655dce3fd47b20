//! How long to wait before coming back: a random time below a bound that doubles with each attempt.

/// The bound of the first attempt.
const FIRST_MS: u64 = 500;
/// The highest bound.
const MOST_MS: u64 = 30_000;
/// Only a connection that stood so long after its welcome makes the next wait short again.
const STEADY_MS: u64 = 2_000;

/// How often it was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait; `chance` is from 0 to below 1.
    pub(super) fn next_ms(&mut self, chance: f64) -> u64 {
        assert!((0.0..1.0).contains(&chance), "chance {chance} is from 0 to below 1");
        let bound_ms = FIRST_MS.saturating_mul(1 << self.attempts.min(16)).min(MOST_MS);
        self.attempts += 1;
        (bound_ms as f64 * chance) as u64
    }

    /// A connection ended so long after its welcome.
    pub(super) fn welcomed_for(&mut self, ms: u64) {
        if ms >= STEADY_MS {
            self.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_highest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..9).map(|_| backoff.next_ms(0.5)).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
        assert_eq!(backoff.next_ms(0.0), 0);
    }

    #[test]
    fn only_a_steady_connection_makes_it_short_again() {
        let mut backoff = Backoff::default();
        let mut wait = |welcomed_ms| {
            backoff.welcomed_for(welcomed_ms);
            backoff.next_ms(0.5)
        };
        assert_eq!([wait(0), wait(1_999), wait(2_000), wait(1)], [250, 500, 250, 500]);
    }

    #[test]
    fn a_broker_that_lets_in_and_drops_is_asked_less_and_less_often() {
        let mut backoff = Backoff::default();
        let mut wait = || {
            backoff.welcomed_for(1_999);
            backoff.next_ms(0.5)
        };
        let waits: Vec<u64> = (0..9).map(|_| wait()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    }
}
