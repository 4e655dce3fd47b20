//! Numbers for lives of the numbering, drawn by chance and never twice.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// One of so many lives is drawn: at most seven digits in base 36.
const LIVES: u64 = 36u64.pow(7) - 1;

/// A source of numbers that nobody else draws.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    chance: RandomState,
    drawn: Cell<u64>,
}

impl Lives {
    /// The number of a life that is to begin, from 1.
    pub(crate) fn draw(&self) -> u64 {
        self.number() % LIVES + 1
    }

    /// Any number.
    pub(crate) fn number(&self) -> u64 {
        self.drawn.set(self.drawn.get() + 1);
        self.chance.hash_one(self.drawn.get())
    }
}
