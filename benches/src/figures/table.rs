//! All scenarios: what is measured and what it should come to.

use super::scenario::{Bound, Figure, Rival, Scenario, Unit};

const CPU_PER_DELIVERY: &str = "server_us_per_delivery";
const CPU_PER_PUBLISH: &str = "server_us_per_publish";
const DELIVERIES_PER_S: &str = "deliveries_per_s";
const BYTES_PER_CONNECTION: &str = "server_bytes_per_connection";
const CPU_PER_CONNECTION: &str = "server_us_per_connection";

const DELIVERY_P50: &str = "delivery_p50_us";
const DELIVERY_P99: &str = "delivery_p99_us";

/// Room for many filters in one session, and for changing them quickly.
const MANY_FILTERS: &str = "[limits]\nsubscriptions = 20000\nrequests_per_s = 100000\n";
/// Outboxes that are full soon.
const OUTBOX_BYTES: f64 = 262_144.0;
const SMALL_OUTBOXES: &str = "[limits]\noutbox_bytes = \"256KiB\"\n";

const fn figure(title: &'static str, key: &'static str, unit: Unit, bound: Bound) -> Figure {
    Figure { title, key, unit, bound }
}

/// All scenarios, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "paced",
        load: "paced --subscribers 1000 --rate 100",
        config: "",
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
        config: "",
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
        config: "",
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
        config: "",
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
        config: "",
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
        config: "",
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
        config: "",
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
        config: "",
        rival: Rival::Floor,
        figures: &[
            figure("the same, a topic each: memory each", BYTES_PER_CONNECTION, Unit::Bytes, Bound::Open),
            figure("the same, a topic each: CPU", CPU_PER_CONNECTION, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "paced-sse",
        load: "paced --subscribers 1000 --rate 100 --edge sse",
        config: "",
        rival: Rival::WebSocket("paced --subscribers 1000 --rate 100"),
        figures: &[figure(
            "one message at a time, 1,000 event streams: CPU a delivery",
            CPU_PER_DELIVERY,
            Unit::Us,
            Bound::RatioAtMost(1.15),
        )],
    },
    Scenario {
        name: "idle-sse",
        load: "idle --connections 10000 --edge sse",
        config: "",
        rival: Rival::WebSocket("idle --connections 10000"),
        figures: &[
            figure(
                "10,000 idle event streams: memory each",
                BYTES_PER_CONNECTION,
                Unit::Bytes,
                Bound::AtMost(8192.0),
            ),
            figure("open an event stream: CPU", CPU_PER_CONNECTION, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "topics",
        load: "topics --topics 1000 --rate 2000",
        config: "",
        rival: Rival::Floor,
        figures: &[figure(
            "1,000 topics, 2,000 publishes/s: CPU a publish with its delivery",
            "server_us_per_publish",
            Unit::Us,
            Bound::AtMost(40.0),
        )],
    },
    Scenario {
        name: "filters",
        load: "filters --filters 100000 --sessions 100 --changes 1000 --rate 1000",
        config: MANY_FILTERS,
        rival: Rival::Alone,
        figures: &[
            figure(
                "beside 100,000 filters: CPU a publish",
                "still.server_us_per_publish",
                Unit::Us,
                Bound::RatioAtMost(2.0),
            ),
            figure("the same: p50 of the answer", "still.answer_p50_us", Unit::Us, Bound::RatioAtMost(2.0)),
            figure("the same: p99 of the answer", "still.answer_p99_us", Unit::Us, Bound::RatioAtMost(2.0)),
            figure(
                "and 1,000 changes/s: CPU a publish",
                "server_us_per_publish",
                Unit::Us,
                Bound::RatioAtMost(2.0),
            ),
            figure("the same: p50 of the answer", "answer_p50_us", Unit::Us, Bound::RatioAtMost(2.0)),
            figure("the same: p99 of the answer", "answer_p99_us", Unit::Us, Bound::RatioAtMost(2.0)),
            figure("the same: CPU a change", "server_us_per_change", Unit::Us, Bound::Open),
            figure("to follow them: CPU a filter", "server_us_per_filter", Unit::Us, Bound::Open),
            figure("to follow them: memory a filter", "server_bytes_per_filter", Unit::Bytes, Bound::Open),
        ],
    },
    Scenario {
        name: "topics-100k",
        load: "many-topics --topics 100000 --few 1000 --rate 2000",
        config: "",
        rival: Rival::Alone,
        figures: &[
            figure(
                "100,000 topics beside 1,000: CPU a publish",
                "server_us_per_publish",
                Unit::Us,
                Bound::RatioAtMost(2.0),
            ),
            figure("the same: p99 of the answer", "answer_p99_us", Unit::Us, Bound::Open),
            figure("the same: memory a topic", "server_bytes_per_topic", Unit::Bytes, Bound::Open),
        ],
    },
    Scenario {
        name: "one-session",
        load: "one-session --filters 10000 --rate 1000",
        config: MANY_FILTERS,
        rival: Rival::Alone,
        figures: &[
            figure("one session follows 10,000 filters: time", "follow_ms", Unit::Ms, Bound::Open),
            figure("the same: CPU a filter", "server_us_per_filter", Unit::Us, Bound::Open),
            figure("it closes: CPU a filter", "server_us_per_filter_closed", Unit::Us, Bound::Open),
            figure("meanwhile: p99 of a quiet topic", "delivery_p99_us", Unit::Us, Bound::Open),
            figure("meanwhile: longest on a quiet topic", "delivery_max_us", Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "isolation-saturated",
        load: "isolation --strain saturated --rate 100",
        config: "",
        rival: Rival::Alone,
        figures: &[
            figure("beside a saturated topic: p50", DELIVERY_P50, Unit::Us, Bound::Open),
            figure("beside a saturated topic: p99", DELIVERY_P99, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "isolation-sluggish",
        load: "isolation --strain sluggish --rate 100",
        config: SMALL_OUTBOXES,
        rival: Rival::Alone,
        figures: &[
            figure("beside a reader of 10 KiB/s: p50", DELIVERY_P50, Unit::Us, Bound::Open),
            figure("beside a reader of 10 KiB/s: p99", DELIVERY_P99, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "isolation-replay",
        load: "isolation --strain replay --rate 100",
        config: "[[topics]]\nfilter = \"replay.>\"\nhistory = { count = 20000, age = \"1h\" }\n",
        rival: Rival::Alone,
        figures: &[
            figure("beside replays of 10,000: p50", DELIVERY_P50, Unit::Us, Bound::Open),
            figure("beside replays of 10,000: p99", DELIVERY_P99, Unit::Us, Bound::Open),
        ],
    },
    Scenario {
        name: "slow-disconnect",
        load: "slow --policy disconnect --data-bytes 512",
        config: SMALL_OUTBOXES,
        rival: Rival::Alone,
        figures: &[
            readers_p99("1,000 readers, 1,000 stopped that are disconnected: p99"),
            stopped_bytes("the same: memory a stopped one"),
        ],
    },
    Scenario {
        name: "slow-drop",
        load: "slow --policy drop --data-bytes 512",
        config: SMALL_OUTBOXES,
        rival: Rival::Alone,
        figures: &[
            readers_p99("1,000 readers, 1,000 stopped whose oldest is dropped: p99"),
            stopped_bytes("the same: memory a stopped one"),
        ],
    },
    Scenario {
        name: "slow-latest",
        load: "slow --policy latest --data-bytes 512",
        config: SMALL_OUTBOXES,
        rival: Rival::Alone,
        figures: &[
            readers_p99("1,000 readers, 1,000 stopped that keep the latest: p99"),
            stopped_bytes("the same: memory a stopped one"),
        ],
    },
    Scenario {
        name: "slow-latest-topics",
        load: "slow --policy latest --topics 440 --data-bytes 512",
        config: SMALL_OUTBOXES,
        rival: Rival::Alone,
        figures: &[
            readers_p99("the same, the latest of 440 topics, all that fits: p99"),
            stopped_bytes("the same: memory a stopped one"),
        ],
    },
    Scenario {
        name: "joined",
        load: "joined --rate 1000",
        config: "",
        rival: Rival::OneNode(2),
        figures: &[
            figure(
                "from one node to another, 1,000/s: p50",
                DELIVERY_P50,
                Unit::Us,
                Bound::MoreAtMost(150.0),
            ),
            figure("the same: p99", DELIVERY_P99, Unit::Us, Bound::MoreAtMost(1000.0)),
            figure("the same: CPU a message, both nodes", CPU_PER_PUBLISH, Unit::Us, Bound::AtMost(90.0)),
            figure(
                "the same: CPU of the node published to",
                "publishing_us_per_publish",
                Unit::Us,
                Bound::Open,
            ),
            figure("the same: script calls a message", "calls_per_publish", Unit::Count, Bound::AtMost(1.01)),
        ],
    },
    Scenario {
        name: "joined-interest",
        load: "joined-interest --rate 10000",
        config: "",
        rival: Rival::Nobody(3),
        figures: &[
            figure(
                "10,000/s on one of 3 nodes: what the others are sent beside their probes",
                "other_bytes_per_s",
                Unit::BytesPerS,
                Bound::AtMost(1024.0),
            ),
            figure("the same: their probes", "probe_bytes_per_s", Unit::BytesPerS, Bound::Open),
            figure("the same: published a second", "published_per_s", Unit::Count, Bound::Open),
        ],
    },
    Scenario {
        name: "joined-refollow",
        load: "joined-refollow --topics 10000",
        config: MANY_FILTERS,
        rival: Rival::Nobody(2),
        figures: &[
            figure(
                "one session follows 10,000 topics of a joined node: time",
                "follow_ms",
                Unit::Ms,
                Bound::Open,
            ),
            figure("Redis is back: ready", "ready_ms", Unit::Ms, Bound::Open),
            figure("10,000 followed topics: heard again", "heard_ms", Unit::Ms, Bound::AtMost(3000.0)),
        ],
    },
];

/// How late readers get their messages beside subscribers that stopped.
const fn readers_p99(title: &'static str) -> Figure {
    figure(title, DELIVERY_P99, Unit::Us, Bound::RatioAtMost(2.0))
}

/// What a stopped subscriber costs at most: what its outbox may hold, although it holds shared frames.
const fn stopped_bytes(title: &'static str) -> Figure {
    figure(title, "server_bytes_per_stopped", Unit::Bytes, Bound::AtMost(OUTBOX_BYTES))
}
