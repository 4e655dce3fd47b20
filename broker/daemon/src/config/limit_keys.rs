//! The keys of `[limits]` and the heartbeat: what each takes, and which bound it sets.

use std::ops::RangeInclusive;

use fanfare_core::Limits;

use super::keys::Key;
use super::value::Kind;

/// A key that sets one bound.
pub(super) struct LimitKey {
    /// The key.
    pub(super) key: Key,
    /// Puts the number in its place; it lies in the key's range, and so fits.
    pub(super) set: fn(&mut Limits, u64),
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long a network peer may take: long enough to answer at all, short enough to be a bound.
const PATIENCE: RangeInclusive<u64> = 100..=10 * MINUTE;

/// Every bound that can be set.
pub(super) const LIMITS: &[LimitKey] = &[
    duration("heartbeat", PATIENCE, |limits, n| limits.heartbeat_ms = n),
    size("limits.frame_bytes", KIB..=16 * MIB, |limits, n| limits.frame_bytes = n as usize),
    count("limits.fragments", 1..=65_536, |limits, n| limits.fragments = n as u32),
    duration("limits.partial_frame", PATIENCE, |limits, n| limits.partial_frame_ms = n),
    duration("limits.handshake", PATIENCE, |limits, n| limits.handshake_ms = n),
    size("limits.handshake_bytes", 8 * KIB..=MIB, |limits, n| limits.handshake_bytes = n as usize),
    duration("limits.idle", PATIENCE, |limits, n| limits.idle_ms = n),
    count("limits.requests_per_s", 1..=10_000_000, |limits, n| limits.requests_per_s = n as u32),
    count("limits.control_frames_per_s", 1..=1_000_000, |limits, n| limits.control_frames_per_s = n as u32),
    count("limits.bad_frames", 1..=1_000_000, |limits, n| limits.bad_frames = n as u32),
    count("limits.subscriptions", 1..=1_000_000, |limits, n| limits.subscriptions = n as usize),
    count("limits.filters", 1..=100_000_000, |limits, n| limits.filters = n as usize),
    count("limits.topics", 1..=100_000_000, |limits, n| limits.topics = n as usize),
    size("limits.outbox_bytes", 4 * KIB..=GIB, |limits, n| limits.outbox_bytes = n as usize),
    count("limits.outbox_items", 16..=10_000_000, |limits, n| limits.outbox_items = n as usize),
    size("limits.inbox_bytes", 4 * KIB..=16 * GIB, |limits, n| limits.inbox_bytes = n as usize),
    size("limits.history_bytes", 4 * KIB..=1024 * GIB, |limits, n| limits.history_bytes = n as usize),
    count("limits.history_frames", 1..=100_000, |limits, n| limits.history_frames = n as u32),
    count("limits.last_messages", 1..=1_000_000, |limits, n| limits.last_messages = n as usize),
    duration("limits.publish_wait", 0..=MINUTE, |limits, n| limits.publish_wait_ms = n),
    count("limits.waiting_publishes", 1..=10_000_000, |limits, n| limits.waiting_publishes = n as usize),
    count("limits.session_waiting_publishes", 1..=100_000, |limits, n| {
        limits.session_waiting_publishes = n as usize;
    }),
    count("limits.idempotency_keys", 1..=100_000_000, |limits, n| limits.idempotency_keys = n as usize),
    duration("limits.idempotency", SECOND..=7 * DAY, |limits, n| limits.idempotency_ms = n),
    count("limits.batch_items", 1..=100_000, |limits, n| limits.batch_items = n as usize),
    size("limits.batch_bytes", KIB..=256 * MIB, |limits, n| limits.batch_bytes = n as usize),
    count("limits.sessions_per_address", 1..=10_000_000, |limits, n| {
        limits.sessions_per_address = n as usize
    }),
    count("limits.connections", 1..=10_000_000, |limits, n| limits.connections = n as usize),
    duration("limits.numbering_ttl", SECOND..=365 * DAY, |limits, n| limits.numbering_ttl_ms = n),
    count("limits.holes", 1..=100_000, |limits, n| limits.holes = n as usize),
    duration("limits.poll_wait", 0..=10 * MINUTE, |limits, n| limits.poll_wait_ms = n),
];

const fn count(path: &'static str, range: RangeInclusive<u64>, set: fn(&mut Limits, u64)) -> LimitKey {
    LimitKey { key: Key { path, kind: Kind::Count(range) }, set }
}

const fn size(path: &'static str, range: RangeInclusive<u64>, set: fn(&mut Limits, u64)) -> LimitKey {
    LimitKey { key: Key { path, kind: Kind::Size(range) }, set }
}

const fn duration(path: &'static str, range: RangeInclusive<u64>, set: fn(&mut Limits, u64)) -> LimitKey {
    LimitKey { key: Key { path, kind: Kind::Duration(range) }, set }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of [`Limits`] with their values, as they print.
    fn fields(limits: &Limits) -> Vec<(String, String)> {
        let printed = format!("{limits:?}");
        let inside = printed.trim_start_matches("Limits {").trim_end_matches('}');
        let pairs = inside.split(',').filter_map(|field| field.trim().split_once(": "));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The key's own name, with the unit that its field has.
    fn field_name(limit: &LimitKey) -> String {
        let name = limit.key.path.trim_start_matches("limits.");
        if matches!(limit.key.kind, Kind::Duration(_)) { format!("{name}_ms") } else { name.to_owned() }
    }

    #[test]
    fn every_bound_has_a_key_and_every_key_sets_the_bound_of_its_name() {
        let default = fields(&Limits::default());
        let mut keyed: Vec<String> = LIMITS.iter().map(field_name).collect();
        let mut named: Vec<String> = default.iter().map(|(name, _)| name.clone()).collect();
        keyed.sort();
        named.sort();
        assert_eq!(keyed, named);
        for limit in LIMITS {
            let mut limits = Limits::default();
            (limit.set)(&mut limits, 31);
            let changed: Vec<(String, String)> =
                fields(&limits).into_iter().filter(|field| !default.contains(field)).collect();
            assert_eq!(changed, [(field_name(limit), "31".to_owned())]);
        }
    }

    #[test]
    fn every_default_lies_in_its_range() {
        let default = fields(&Limits::default());
        for limit in LIMITS {
            let (Kind::Count(range) | Kind::Size(range) | Kind::Duration(range)) = &limit.key.kind else {
                panic!("{} is no number", limit.key.path);
            };
            let (_, value) = default.iter().find(|(name, _)| *name == field_name(limit)).unwrap();
            assert!(range.contains(&value.parse().unwrap()), "{}", limit.key.path);
        }
    }
}
