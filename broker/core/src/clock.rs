//! Time as the core is told it.

/// One reading of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Microseconds on a clock that never goes back; all ages, time-outs and latencies are measured on it.
    pub us: u64,
    /// Milliseconds since 1970, for messages' `time` alone.
    pub unix_ms: u64,
}

impl Now {
    /// Milliseconds on the clock that never goes back.
    pub fn ms(self) -> u64 {
        self.us / 1_000
    }
}
