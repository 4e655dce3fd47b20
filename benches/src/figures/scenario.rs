//! What is measured and what it should come to.

/// One load and the figures that it gives.
#[derive(Debug)]
pub struct Scenario {
    /// Its name for `--only`.
    pub name: &'static str,
    /// The generator's arguments.
    pub load: &'static str,
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
}

/// One row of the table.
#[derive(Debug)]
pub struct Figure {
    /// What it is, for people.
    pub title: &'static str,
    /// Its key in the generator's outcome.
    pub key: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it should come to.
    pub bound: Bound,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Microseconds of the server's CPU.
    Us,
    /// Millions of deliveries a second.
    MillionPerS,
    /// Bytes of the server's memory.
    Bytes,
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
    /// No more than its rival's, as far as the noise lets that be seen.
    NoMore,
    /// Nothing was promised.
    Open,
}

/// How far two equal runs may differ here.
pub(super) const NOISE: f64 = 0.05;

const CPU_PER_DELIVERY: &str = "server_us_per_delivery";
const DELIVERIES_PER_S: &str = "deliveries_per_s";
const BYTES_PER_CONNECTION: &str = "server_bytes_per_connection";
const CPU_PER_CONNECTION: &str = "server_us_per_connection";

const fn figure(title: &'static str, key: &'static str, unit: Unit, bound: Bound) -> Figure {
    Figure { title, key, unit, bound }
}

/// All scenarios, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "paced",
        load: "paced --subscribers 1000 --rate 100",
        rival: Rival::Floor,
        figures: &[figure(
            "one message at a time, 1,000 subscribers: CPU a delivery",
            CPU_PER_DELIVERY,
            Unit::Us,
            Bound::RatioAtMost(1.25),
        )],
    },
    Scenario {
        name: "wide",
        load: "paced --subscribers 10000 --rate 10",
        rival: Rival::Floor,
        figures: &[figure(
            "one message at a time, 10,000 subscribers: CPU a delivery",
            CPU_PER_DELIVERY,
            Unit::Us,
            Bound::RatioAtMost(1.25),
        )],
    },
    Scenario {
        name: "saturated",
        load: "saturate --subscribers 1000 --publishers 16",
        rival: Rival::Floor,
        figures: &[
            figure(
                "16 publishers: deliveries a second",
                DELIVERIES_PER_S,
                Unit::MillionPerS,
                Bound::AtLeast(2.5e6),
            ),
            figure("16 publishers: CPU a delivery", CPU_PER_DELIVERY, Unit::Us, Bound::AtMost(0.4)),
        ],
    },
    Scenario {
        name: "batches",
        load: "saturate --subscribers 1000 --publishers 16 --batch 100",
        rival: Rival::Floor,
        figures: &[
            figure(
                "batches of 100: deliveries a second",
                DELIVERIES_PER_S,
                Unit::MillionPerS,
                Bound::AtLeast(4e6),
            ),
            figure("batches of 100: CPU a delivery", CPU_PER_DELIVERY, Unit::Us, Bound::AtMost(0.2)),
        ],
    },
    Scenario {
        name: "saturated-msgpack",
        load: "saturate --subscribers 1000 --publishers 16 --encoding msgpack",
        rival: Rival::Json("saturate --subscribers 1000 --publishers 16"),
        figures: &[figure(
            "16 publishers, MessagePack beside JSON: CPU a delivery",
            CPU_PER_DELIVERY,
            Unit::Us,
            Bound::NoMore,
        )],
    },
    Scenario {
        name: "batches-msgpack",
        load: "saturate --subscribers 1000 --publishers 16 --batch 100 --encoding msgpack",
        rival: Rival::Json("saturate --subscribers 1000 --publishers 16 --batch 100"),
        figures: &[figure(
            "batches of 100, MessagePack beside JSON: CPU a delivery",
            CPU_PER_DELIVERY,
            Unit::Us,
            Bound::NoMore,
        )],
    },
    Scenario {
        name: "idle",
        load: "idle --connections 10000",
        rival: Rival::Floor,
        figures: &[
            figure(
                "10,000 idle subscribers: memory each",
                BYTES_PER_CONNECTION,
                Unit::Bytes,
                Bound::AtMost(3072.0),
            ),
            figure("connect and subscribe: CPU", CPU_PER_CONNECTION, Unit::Us, Bound::AtMost(60.0)),
        ],
    },
    Scenario {
        name: "idle-topics",
        load: "idle --connections 10000 --topics 10000",
        rival: Rival::Floor,
        figures: &[
            figure("the same, a topic each: memory each", BYTES_PER_CONNECTION, Unit::Bytes, Bound::Open),
            figure("the same, a topic each: CPU", CPU_PER_CONNECTION, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "topics",
        load: "topics --topics 1000 --rate 2000",
        rival: Rival::Floor,
        figures: &[figure(
            "1,000 topics, 2,000 publishes/s: CPU a publish with its delivery",
            "server_us_per_publish",
            Unit::Us,
            Bound::AtMost(40.0),
        )],
    },
];
