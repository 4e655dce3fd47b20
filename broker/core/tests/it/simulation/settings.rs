//! What differs between seeds: bounds, rules, and how often each thing happens.

use fanfare_core::{HistoryRule, Limits, TopicRule, TopicRules};
use fanfare_protocol::{Filter, OnSlow};

use super::steps::STEPS;
use crate::it::chance::Chance;

pub(super) const TOPICS: [&str; 8] = ["a", "a.b", "a.b.c", "a.c", "b", "b.c", "b.c.d", "c.x.y"];
pub(super) const FILTERS: [&str; 15] =
    ["a", "a.b", "a.b.c", "a.c", "b", "b.c", "c.x.y", "z", "a.*", "a.>", "*.c", ">", "*", "b.>", "*.b.*"];

/// The conditions of one seed.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) rules: TopicRules,
    pub(super) clients: usize,
    pub(super) steps: usize,
    /// How often each of [`STEPS`] happens.
    pub(super) weights: Vec<usize>,
    pub(super) payload_bytes: usize,
    /// How much a connection takes that its client has not read.
    pub(super) pipe_bytes: usize,
    pub(super) sessions_publish: bool,
    /// A session of its own worker reads everything at once, so that what is numbered is always known.
    pub(super) has_witness: bool,
    /// More is published than is read.
    pub(super) floods: bool,
    /// The client that reads seldom.
    pub(super) lazy: Option<usize>,
    /// What slow subscribers meet.
    pub(super) policies: &'static [OnSlow],
    pub(super) filters: usize,
    pub(super) topics: usize,
}

impl Settings {
    pub(super) fn draw(chance: &mut Chance) -> Settings {
        let sessions_publish = chance.one_in(2);
        let is_tight = chance.one_in(3);
        let bulky = chance.one_in(60);
        let floods = chance.one_in(3);
        let history = chance.pick(&[usize::MAX, usize::MAX, usize::MAX, 2_000, 6_000, 20_000]);
        let limits = Limits {
            outbox_bytes: chance.pick(if floods {
                &[1_500, 4_000]
            } else {
                &[1_500, 4_000, 100_000, 100_000]
            }),
            outbox_items: chance.pick(if floods { &[16, 40] } else { &[16, 16, 40, 10_000, 10_000] }),
            inbox_bytes: if is_tight { chance.pick(&[1, 2_000, 6_000]) } else { usize::MAX / 2 },
            history_bytes: history,
            topics: chance.pick(&[3, 5, 6, 1_000, 1_000, 1_000]),
            numbering_ttl_ms: chance.pick(&[500, 3_000, 20_000, 1 << 40]),
            holes: chance.pick(&[0, 1, 2, 64, 64]),
            heartbeat_ms: chance.pick(&[2_000, 10_000, 25_000]),
            idempotency_ms: chance.pick(&[1_000, 120_000]),
            idempotency_keys: chance.pick(&[3, 100_000]),
            last_messages: chance.pick(&[2, 10_000]),
            waiting_publishes: chance.pick(&[1, 5, 10_000]),
            session_waiting_publishes: chance.pick(&[1, 3, 64]),
            requests_per_s: u32::MAX,
            ..Limits::default()
        };
        let seldom: &[usize] = if floods { &[0, 0, 0, 1] } else { &[0, 1, 1, 4] };
        let mut often = |weight| weight * chance.pick(if weight < 8 { seldom } else { &[1, 1, 1, 4] });
        let weights = STEPS.iter().map(|step| often(step.weight)).collect();
        let policies = chance.pick(&[&OnSlow::ALL[..1], &OnSlow::ALL[1..2], &OnSlow::ALL[2..], &OnSlow::ALL]);
        Settings {
            limits: if bulky { Limits { outbox_bytes: 1 << 20, ..limits } } else { limits },
            rules: rules(chance, policies),
            policies,
            clients: 1 + chance.below(3),
            steps: if bulky { 120 } else { 40 + chance.below(360) + if floods { 150 } else { 0 } },
            weights,
            floods,
            payload_bytes: if bulky { 70_000 } else { chance.pick(&[8, 40, 300]) },
            pipe_bytes: chance.pick(if floods { &[60, 700] } else { &[60, 700, 5_000, 1_000_000] }),
            sessions_publish,
            has_witness: sessions_publish && is_tight,
            lazy: (floods || chance.one_in(4)).then_some(0),
            filters: chance.pick(&[3, 6, FILTERS.len()]),
            topics: chance.pick(&[2, 5, TOPICS.len()]),
        }
    }
}

fn rules(chance: &mut Chance, policies: &[OnSlow]) -> TopicRules {
    let same_for_all = chance.one_in(3).then(|| history(chance));
    let rule = |topic: &&str| TopicRule {
        filter: Filter::parse(topic).unwrap(),
        history: same_for_all.unwrap_or_else(|| history(chance)),
        on_slow: chance.pick(policies),
    };
    TopicRules::new(TOPICS.iter().map(rule).collect())
}

fn history(chance: &mut Chance) -> HistoryRule {
    let count = chance.pick(&[0, 1, 3, 3, 50, 50, 2_000]);
    HistoryRule { count, age_ms: chance.pick(&[100, 2_000, 300_000, 300_000]) }
}
