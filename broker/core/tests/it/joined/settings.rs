//! What differs between seeds: bounds, rules, and how often each thing happens.

use fanfare_core::{HistoryRule, Limits, TopicRule, TopicRules};
use fanfare_protocol::{Filter, OnSlow};

use super::steps::{Kind, RARE, STEPS, Step};
use crate::it::chance::Chance;

pub(super) const TOPICS: [&str; 8] = ["a", "a.b", "a.b.c", "a.c", "b", "b.c", "b.c.d.e.f", "c.x.y"];
pub(super) const FILTERS: [&str; 16] = [
    "a",
    "a.b",
    "a.b.c",
    "a.c",
    "b",
    "b.c",
    "c.x.y",
    "z",
    "a.*",
    "a.>",
    "a.b.>",
    "*.c",
    ">",
    "b.c.d.e.*",
    "b.>",
    "*.b.*",
];

/// A rule of the backplane that is broken on purpose: the checks must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// A promoted server goes on with the life that it has.
    NoFence,
    /// Any message of a channel may be lost, and nobody notices.
    SilentLoss,
    /// A probe comes before what was numbered before it.
    HastyProbe,
    /// Records do not say which lives have ended.
    NoEndedLives,
    /// A publish with a known key is numbered again.
    NoKeys,
    /// A channel is followed and nobody says so.
    NoConfirmation,
}

impl Sabotage {
    pub(super) const ALL: [Sabotage; 6] = [
        Sabotage::NoFence,
        Sabotage::SilentLoss,
        Sabotage::HastyProbe,
        Sabotage::NoEndedLives,
        Sabotage::NoKeys,
        Sabotage::NoConfirmation,
    ];
}

/// What the nodes of a seed have room and time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Ample,
    /// Few topics, small doubts and short waits; and more goes wrong.
    Scarce,
}

/// The conditions of one seed.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) rules: TopicRules,
    pub(super) nodes: usize,
    pub(super) servers: usize,
    pub(super) clients: usize,
    pub(super) steps: usize,
    /// How often each of [`STEPS`] happens, and of [`RARE`] where room is scarce.
    pub(super) weights: Vec<usize>,
    /// Nothing is ever lost or trimmed: so nobody may be told of a gap.
    pub(super) is_whole: bool,
    /// Kinds of steps that do not happen.
    barred: &'static [Kind],
    /// All that is due is done at its very millisecond, else up to a second late.
    pub(super) is_punctual: bool,
    pub(super) pipe_bytes: usize,
    pub(super) payload_bytes: usize,
    /// The client that reads seldom.
    pub(super) lazy: Option<usize>,
    /// What slow subscribers meet.
    pub(super) policies: &'static [OnSlow],
    pub(super) filters: usize,
    pub(super) topics: usize,
    pub(super) idle_ms: u64,
    pub(super) sabotage: Option<Sabotage>,
}

impl Settings {
    pub(super) fn draw(chance: &mut Chance, room: Room) -> Settings {
        let ample = Settings::ample(chance);
        if room == Room::Scarce { ample.scarce(chance) } else { ample }
    }

    fn ample(chance: &mut Chance) -> Settings {
        let is_whole = chance.one_in(4);
        let is_calm = !is_whole && chance.one_in(4);
        let is_slow = chance.one_in(3);
        let policies: &[OnSlow] = match is_whole {
            true => &OnSlow::ALL[..1],
            false => chance.pick(&[&OnSlow::ALL[..1], &OnSlow::ALL[1..2], &OnSlow::ALL[2..], &OnSlow::ALL]),
        };
        let unbounded = [usize::MAX / 2];
        let limits = Limits {
            outbox_bytes: if is_slow { chance.pick(&[4_000, 8_000]) } else { 100_000 },
            outbox_items: if is_slow { chance.pick(&[40, 80]) } else { 10_000 },
            inbox_bytes: chance.pick(&[1, 2_000, 6_000, usize::MAX / 2, usize::MAX / 2]),
            history_bytes: chance.pick(if is_whole {
                &unbounded
            } else {
                &[6_000, usize::MAX / 2, usize::MAX / 2]
            }),
            numbering_ttl_ms: if is_whole { 1 << 40 } else { chance.pick(&[3_000, 20_000, 1 << 40]) },
            holes: if is_whole { 64 } else { chance.pick(&[0, 1, 64, 64]) },
            heartbeat_ms: chance.pick(&[2_000, 10_000, 25_000]),
            requests_per_s: u32::MAX,
            ..Limits::default()
        };
        let barred: &[Kind] = match (is_whole, is_calm) {
            (true, _) => &[Kind::Loss, Kind::Trim],
            (_, true) => &[Kind::Fault, Kind::Loss],
            _ => &[],
        };
        Settings {
            weights: STEPS.iter().map(|step| weigh(step, barred, chance)).collect(),
            barred,
            is_punctual: false,
            idle_ms: limits.numbering_ttl_ms,
            sabotage: None,
            rules: if is_whole { whole() } else { rules(chance, policies) },
            limits,
            is_whole,
            policies,
            nodes: 2 + chance.below(3),
            servers: 2 + chance.below(2),
            clients: 1 + chance.below(5),
            steps: 100 + chance.below(900),
            payload_bytes: chance.pick(&[8, 40, 300]),
            pipe_bytes: chance.pick(&[60, 700, 5_000, 1_000_000]),
            lazy: chance.one_in(3).then_some(0),
            filters: chance.pick(&[3, 6, FILTERS.len()]),
            topics: chance.pick(&[2, 5, TOPICS.len()]),
        }
    }

    /// The same with less room.
    fn scarce(mut self, chance: &mut Chance) -> Settings {
        self.limits = Limits {
            topics: chance.pick(if self.is_whole { &[100_000] } else { &[2, 4, 100_000] }),
            backplane_linger_ms: chance.pick(&[0, 500, 10_000]),
            doubt_bytes: chance.pick(&[1_000, usize::MAX / 2]),
            waiting_publishes: chance.pick(&[4, 10_000]),
            ..self.limits
        };
        self.weights.extend(RARE.iter().map(|step| weigh(step, self.barred, chance)));
        self.is_punctual = chance.one_in(2);
        self
    }
}

fn weigh(step: &Step, barred: &[Kind], chance: &mut Chance) -> usize {
    let seldom = step.weight < 10;
    let weight = step.weight * chance.pick(if seldom { &[0, 1, 1, 4] } else { &[1, 1, 1, 4] });
    if barred.contains(&step.kind) { 0 } else { weight }
}

fn whole() -> TopicRules {
    let history = HistoryRule { count: usize::MAX / 2, age_ms: 1 << 40 };
    let filter = Filter::parse(">").unwrap();
    TopicRules::new(vec![TopicRule { filter, history, on_slow: OnSlow::Disconnect }])
}

fn rules(chance: &mut Chance, policies: &[OnSlow]) -> TopicRules {
    let count = chance.pick(&[None, None, Some(50)]);
    let rule = |topic: &&str| {
        let history = HistoryRule {
            count: count.unwrap_or_else(|| chance.pick(&[0, 1, 3, 3, 50, 2_000])),
            age_ms: chance.pick(&[2_000, 300_000, 300_000, 300_000]),
        };
        TopicRule { filter: Filter::parse(topic).unwrap(), history, on_slow: chance.pick(policies) }
    };
    TopicRules::new(TOPICS.iter().map(rule).collect())
}
