//! The load generator: thousands of subscribers and a few publishers on one thread.
//!
//! It counts every message frame at every subscriber by the frame's header and first bytes, checks each seq at
//! one subscriber in 64, and says at the end whether everybody got exactly what was acknowledged.

pub(crate) mod client;
pub(crate) mod crowd;
mod engine;
mod outcome;
mod plan;
pub(crate) mod publisher;
mod subscriber;

pub use client::Edge;
pub use engine::Engine;
pub(crate) use outcome::percentile_us;
pub use outcome::{FanOut, Idle, Tally};
pub use plan::Plan;
