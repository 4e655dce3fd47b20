//! Time as the core is told it.

/// One reading of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; all ages and time-outs are measured on it.
    pub ms: u64,
    /// Milliseconds since 1970, for messages' `time` alone.
    pub unix_ms: u64,
}
