//! What the broker costs beside the least that it could cost.
//!
//! `floor` answers the same calls with a bare `write()` a subscriber, `load` drives either of the two, and
//! `figures` runs them in turn and prints a table. Nothing here is part of the broker.

pub mod figures;
pub mod floor;
pub mod load;
pub mod usage;
pub mod wire;

#[cfg(test)]
mod tests;
