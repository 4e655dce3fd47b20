//! The keys of `[limits]`: what each takes, what it is, and which bound it sets.

use std::ops::RangeInclusive;

use super::keys::{Key, number};
use super::value::Kind::{Count, Duration, Size};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// How long a network peer may take: long enough to answer at all, short enough to be a bound.
pub(super) const PATIENCE: RangeInclusive<u64> = 100..=10 * MINUTE;

/// Every bound that can be set.
pub(super) const LIMITS: &[Key] = &[
    number!("limits.connections", limits.connections: usize, Count(1..=10_000_000),
        "The most open connections, of all kinds; one more is answered with 503."),
    number!("limits.sessions_per_address", limits.sessions_per_address: usize, Count(1..=10_000_000),
        "The most sessions from one network address. Behind a proxy all clients share the proxy's."),
    number!("limits.handshake", limits.handshake_ms: u64, Duration(PATIENCE),
        "How long the first request of a connection may take to arrive."),
    number!("limits.handshake_bytes", limits.handshake_bytes: usize, Size(8 * KIB..=MIB),
        "The longest request head."),
    number!("limits.idle", limits.idle_ms: u64, Duration(PATIENCE),
        "How long a connection may be idle between two requests. A load balancer in front should give up sooner."),
    number!("limits.frame_bytes", limits.frame_bytes: usize, Size(KIB..=16 * MIB),
        "The longest frame of a client, the longest body of a publish, and the most data in one message."),
    number!("limits.fragments", limits.fragments: u32, Count(1..=65_536),
        "The most fragments of one WebSocket message."),
    number!("limits.partial_frame", limits.partial_frame_ms: u64, Duration(PATIENCE),
        "How long a frame or a request body that has begun may take to arrive whole."),
    number!("limits.requests_per_s", limits.requests_per_s: u32, Count(1..=10_000_000),
        "The most requests of one session in a second; one more is refused with the time to try again."),
    number!("limits.control_frames_per_s", limits.control_frames_per_s: u32, Count(1..=1_000_000),
        "The most WebSocket pings and pongs of one session in a second; one more closes it."),
    number!("limits.bad_frames", limits.bad_frames: u32, Count(1..=1_000_000),
        "The unreadable frame that closes its session; those before it are answered with an error."),
    number!("limits.batch_items", limits.batch_items: usize, Count(1..=100_000),
        "The most items of one batch."),
    number!("limits.batch_bytes", limits.batch_bytes: usize, Size(KIB..=256 * MIB),
        "The longest body of a batch; at least frame_bytes."),
    number!("limits.subscriptions", limits.subscriptions: usize, Count(1..=1_000_000),
        "The most subscriptions of one session."),
    number!("limits.filters", limits.filters: usize, Count(1..=100_000_000),
        "The most subscriptions of all sessions together."),
    number!("limits.outbox_bytes", limits.outbox_bytes: usize, Size(4 * KIB..=GIB),
        "The most bytes that wait for one session; at it on_slow decides. At least twice frame_bytes."),
    number!("limits.outbox_items", limits.outbox_items: usize, Count(16..=10_000_000),
        "The most frames that wait for one session; at it on_slow decides."),
    number!("limits.inbox_bytes", limits.inbox_bytes: usize, Size(4 * KIB..=16 * GIB),
        "The most bytes that wait for one worker; at it publishes wait. At least twice frame_bytes."),
    number!("limits.publish_wait", limits.publish_wait_ms: u64, Duration(0..=MINUTE),
        "How long a publish waits for room before it is refused with 503."),
    number!("limits.waiting_publishes", limits.waiting_publishes: usize, Count(1..=10_000_000),
        "The most publishes that wait for room at once; one more is refused at once."),
    number!("limits.session_waiting_publishes", limits.session_waiting_publishes: usize, Count(1..=100_000),
        "The most publishes of one session that wait at once; until one is done the session is not read."),
    number!("limits.topics", limits.topics: usize, Count(1..=100_000_000),
        "The most topics remembered at once. At it the longest idle without history makes room; if there is none, a \
         new topic is refused."),
    number!("limits.numbering_ttl", limits.numbering_ttl_ms: u64, Duration(SECOND..=365 * DAY),
        "How long an idle topic without history is remembered. Who resumes it from before is told a gap."),
    number!("limits.history_bytes", limits.history_bytes: usize, Size(4 * KIB..=1024 * GIB),
        "The most bytes that the histories of all topics hold together; beyond, the oldest goes. At least twice \
         frame_bytes."),
    number!("limits.idempotency_keys", limits.idempotency_keys: usize, Count(1..=100_000_000),
        "The most idempotency keys remembered at once, 230 bytes each; then a new one gets 503. The default lasts for \
         830 a second. On Redis it does not hold: its memory is the bound."),
    number!("limits.idempotency", limits.idempotency_ms: u64, Duration(SECOND..=7 * DAY),
        "How long an idempotency key is remembered: the time in which a publish may be retried."),
    number!("limits.history_frames", limits.history_frames: u32, Count(1..=100_000),
        "The most frames of one history answer."),
    number!("limits.last_messages", limits.last_messages: usize, Count(1..=1_000_000),
        "The most messages that one subscription is brought by last."),
    number!("limits.holes", limits.holes: usize, Count(1..=100_000),
        "The most topics with missing messages that a resume tells one by one; above it one gap stands for all."),
    number!("limits.poll_wait", limits.poll_wait_ms: u64, Duration(0..=10 * MINUTE),
        "The longest that a history request may wait for a message."),
    number!("limits.backplane_wait", limits.backplane_wait_ms: u64, Duration(PATIENCE),
        "How long a request may wait for the backplane before it is refused with 503."),
    number!("limits.backplane_linger", limits.backplane_linger_ms: u64, Duration(0..=HOUR),
        "How long what nobody follows any more is still followed on the backplane, and so known here."),
    number!("limits.doubt_bytes", limits.doubt_bytes: usize, Size(4 * KIB..=16 * GIB),
        "The most bytes that come from the backplane and are held back while what came before them is read; what \
         does not fit is read too."),
    number!("limits.session_waiting_reads", limits.session_waiting_reads: usize, Count(1..=100_000),
        "The most history requests of one session that wait for the backplane at once."),
];
