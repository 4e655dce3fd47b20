//! The floor and the figures.
