//! Chance that a seed repeats.

/// A stream of numbers that looks random (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "there is a number below the end");
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// The index of a weight, the heavier the likelier; none if all are zero.
    pub(crate) fn weighed(&mut self, weights: &[usize]) -> Option<usize> {
        let whole: usize = weights.iter().sum();
        if whole == 0 {
            return None;
        }
        let mut rest = self.below(whole);
        weights.iter().position(|weight| {
            let found = rest < *weight;
            rest = rest.saturating_sub(*weight);
            found
        })
    }
}

/// What the clock on the wall says at a moment: it is right, a day ahead or a day behind, which the moment draws.
pub(crate) fn wall_ms(moment_ms: u64) -> u64 {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    1_700_000_000_000 + moment_ms + DAY_MS * Chance::new(moment_ms).below(3) as u64 - DAY_MS
}
