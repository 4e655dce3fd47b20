//! What is measured and what it should come to.

/// One load and the figures that it gives.
#[derive(Debug)]
pub struct Scenario {
    /// Its name for `--only`.
    pub name: &'static str,
    /// The generator's arguments.
    pub load: &'static str,
    /// The broker's configuration file.
    pub config: &'static str,
    /// What the broker is held against.
    pub rival: Rival,
    /// What is read off.
    pub figures: &'static [Figure],
}

/// What stands beside the broker in the table.
#[derive(Debug)]
pub enum Rival {
    /// The floor, under the same load.
    Floor,
    /// The broker itself, under the same load in JSON: these arguments.
    Json(&'static str),
    /// The broker itself, under the same load over WebSockets: these arguments.
    WebSocket(&'static str),
    /// The broker itself in the same run, before the strain began.
    Alone,
    /// One node in memory, under the same load; the broker is so many nodes joined by a Redis.
    OneNode(usize),
    /// Nobody; the broker is so many nodes joined by a Redis.
    Nobody(usize),
}

/// One row of the table.
#[derive(Debug)]
pub struct Figure {
    /// What it is, for people.
    pub title: &'static str,
    /// Its key in the generator's outcome; a dot leads into a part of it, of which the rival's has none.
    pub key: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it should come to.
    pub bound: Bound,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Microseconds, of the server's CPU or of waiting.
    Us,
    /// Milliseconds.
    Ms,
    /// Millions of deliveries a second.
    MillionPerS,
    /// Bytes of the server's memory.
    Bytes,
    /// Bytes a second.
    BytesPerS,
    /// Things, counted.
    Count,
}

/// What a figure should come to.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// The broker's at most this.
    AtMost(f64),
    /// The broker's at least this.
    AtLeast(f64),
    /// The broker's at most so many times its rival's.
    RatioAtMost(f64),
    /// The broker's at most so much more than its rival's.
    MoreAtMost(f64),
    /// No more than its rival's, as far as the noise lets that be seen.
    NoMore,
    /// Nothing was promised.
    Open,
}

/// How far two equal runs may differ here.
pub(super) const NOISE: f64 = 0.05;
