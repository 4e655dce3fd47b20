//! Every bound of the broker by name, and the rules that topics follow.

use fanfare_protocol::{Filter, OnSlow};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every bound of the broker; the default of each is what an unconfigured broker keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame, request body and published data, in bytes.
    pub frame_bytes: usize,
    /// The most fragments of one WebSocket message.
    pub fragments: u32,
    /// How long a frame or request body that has begun may take to arrive whole.
    pub partial_frame_ms: u64,
    /// How long the first request of a connection may take to arrive.
    pub handshake_ms: u64,
    /// The longest request head, in bytes.
    pub handshake_bytes: usize,
    /// How long a connection may be idle between two requests.
    pub idle_ms: u64,
    /// The most requests of one session in a second.
    pub requests_per_s: u32,
    /// The most WebSocket control frames of one session in a second.
    pub control_frames_per_s: u32,
    /// The unreadable frame that closes its session, counted from 1.
    pub bad_frames: u32,
    /// The most subscriptions of one session.
    pub subscriptions: usize,
    /// The most subscriptions of all sessions together.
    pub filters: usize,
    /// The most topics that the broker remembers at once.
    pub topics: usize,
    /// The most bytes that wait for one session.
    pub outbox_bytes: usize,
    /// The most frames that wait for one session.
    pub outbox_items: usize,
    /// The most bytes that wait for one worker.
    pub inbox_bytes: usize,
    /// The most bytes that the histories of all topics hold together.
    pub history_bytes: usize,
    /// The most frames of one history answer.
    pub history_frames: u32,
    /// The most messages that `last` brings to one subscription.
    pub last_messages: usize,
    /// How long a publish waits for room before it is refused.
    pub publish_wait_ms: u64,
    /// The most publishes that wait for room at once.
    pub waiting_publishes: usize,
    /// The most publishes of one session that wait for room at once.
    pub session_waiting_publishes: usize,
    /// The most idempotency keys remembered at once.
    pub idempotency_keys: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_ms: u64,
    /// The most items of one batch.
    pub batch_items: usize,
    /// The longest batch, in bytes.
    pub batch_bytes: usize,
    /// The most sessions from one network address.
    pub sessions_per_address: usize,
    /// The most open connections.
    pub connections: usize,
    /// How long a topic without history keeps its place in the numbering.
    pub numbering_ttl_ms: u64,
    /// The most holes told topic by topic; above it one gap stands for all.
    pub holes: usize,
    /// The longest that a history request may wait for a message.
    pub poll_wait_ms: u64,
    /// How long a request may wait for the backplane.
    pub backplane_wait_ms: u64,
    /// How long what nobody follows any more is still followed on the backplane.
    pub backplane_linger_ms: u64,
    /// The most bytes that come from the backplane and are held back while what came before them is read.
    pub doubt_bytes: usize,
    /// The most requests of one session that wait for the backplane at once, beside its subscriptions.
    pub session_waiting_reads: usize,
    /// How long between two pings; twice that in silence ends a session.
    pub heartbeat_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame_bytes: 64 * KIB,
            fragments: 128,
            partial_frame_ms: 10_000,
            handshake_ms: 5_000,
            handshake_bytes: 16 * KIB,
            idle_ms: 75_000,
            requests_per_s: 1_000,
            control_frames_per_s: 100,
            bad_frames: 10,
            subscriptions: 1_000,
            filters: 1_000_000,
            topics: 100_000,
            outbox_bytes: MIB,
            outbox_items: 16_384,
            inbox_bytes: 8 * MIB,
            history_bytes: 256 * MIB,
            history_frames: 1_000,
            last_messages: 10_000,
            publish_wait_ms: 1_000,
            waiting_publishes: 10_000,
            session_waiting_publishes: 64,
            idempotency_keys: 100_000,
            idempotency_ms: 120_000,
            batch_items: 1_000,
            batch_bytes: MIB,
            sessions_per_address: 20_000,
            connections: 100_000,
            numbering_ttl_ms: 24 * 60 * 60 * 1_000,
            holes: 64,
            poll_wait_ms: 60_000,
            backplane_wait_ms: 5_000,
            backplane_linger_ms: 10_000,
            doubt_bytes: 16 * MIB,
            session_waiting_reads: 64,
            heartbeat_ms: 25_000,
        }
    }
}

/// How much of a topic is kept: the newest `count` messages, none older than `age_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRule {
    /// The most messages kept; 0 keeps none.
    pub count: usize,
    /// The oldest that a kept message may be.
    pub age_ms: u64,
}

impl Default for HistoryRule {
    fn default() -> HistoryRule {
        HistoryRule { count: 100, age_ms: 5 * 60 * 1_000 }
    }
}

/// What holds for the topics that one filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics meant.
    pub filter: Filter,
    /// How much of each is kept.
    pub history: HistoryRule,
    /// What happens when a subscriber's outbox is full.
    pub on_slow: OnSlow,
}

/// The rules for topics, in order: the first that matches counts, without one the default does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicRules {
    rules: Vec<TopicRule>,
}

impl TopicRules {
    /// The rules in the order in which they are asked.
    pub fn new(rules: Vec<TopicRule>) -> TopicRules {
        TopicRules { rules }
    }

    /// What holds for `topic`, a checked name.
    pub fn rule_for(&self, topic: &str) -> (HistoryRule, OnSlow) {
        let rule = self.rules.iter().find(|rule| rule.filter.matches(topic));
        rule.map_or((HistoryRule::default(), OnSlow::Disconnect), |rule| (rule.history, rule.on_slow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(filter: &str, count: usize, on_slow: OnSlow) -> TopicRule {
        let history = HistoryRule { count, age_ms: 1_000 };
        TopicRule { filter: Filter::parse(filter).unwrap(), history, on_slow }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = TopicRules::new(vec![
            rule("prices.eur", 7, OnSlow::Drop),
            rule("prices.>", 1, OnSlow::Latest),
            rule("prices.usd", 9, OnSlow::Drop),
        ]);
        for (topic, count, on_slow) in [
            ("prices.eur", 7, OnSlow::Drop),
            ("prices.usd", 1, OnSlow::Latest),
            ("prices.usd.now", 1, OnSlow::Latest),
            ("prices", 100, OnSlow::Disconnect),
        ] {
            let (history, slow) = rules.rule_for(topic);
            assert_eq!((history.count, slow), (count, on_slow), "{topic}");
        }
    }

    #[test]
    fn without_rules_a_hundred_messages_of_five_minutes_are_kept() {
        let kept = HistoryRule { count: 100, age_ms: 300_000 };
        assert_eq!(TopicRules::default().rule_for("a.b"), (kept, OnSlow::Disconnect));
    }
}
