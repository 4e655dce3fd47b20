//! What the broker costs beside the least that it could cost.
//!
//! `floor` answers the same calls with a bare `write()` a subscriber, `load` drives either of the two, `trials`
//! measure a topic beside what strains the broker elsewhere, and `figures` runs them all and prints a table. Nothing here is part of the broker.

pub mod figures;
pub mod floor;
pub mod load;
pub mod trials;
pub mod usage;
pub mod wire;

#[cfg(test)]
mod tests;
