//! What happens when a live message does not fit into a session's outbox.

use fanfare_protocol::OnSlow;

use crate::entry::Entry;
use crate::limits::Limits;
use crate::session::{Session, State};
use crate::stats::WorkerStats;
use crate::subscriptions::Subscriptions;

/// Makes room for a live message of so many bytes by the policy that decides for it; false: the session is to be
/// disconnected.
pub(super) fn make_room(
    session: &mut Session,
    entry: &Entry,
    bytes: usize,
    limits: &Limits,
    stats: &mut WorkerStats,
) -> bool {
    if session.has_room(bytes, limits) {
        return true;
    }
    match policy(&session.subscriptions, entry) {
        OnSlow::Disconnect => return false,
        OnSlow::Drop => {}
        OnSlow::Latest => {
            stats.replaced += session.outbox.drop_same_topic(entry);
            if !session.has_room(bytes, limits) {
                // It is larger than what it replaces: then the others' older ones go before anybody loses the newest.
                let Session { subscriptions, outbox, .. } = &mut *session;
                let is_latest = |waiting: &Entry| policy(subscriptions, waiting) == OnSlow::Latest;
                stats.replaced += outbox.drop_outdated(is_latest);
            }
        }
    }
    while !session.has_room(bytes, limits) {
        let dropped = session.outbox.drop_oldest();
        if dropped == 0 {
            return false;
        }
        stats.dropped += dropped;
        stats.gaps.slow += 1;
    }
    true
}

/// The policy for a message: of the live filters that match, the first of disconnect, drop and latest.
fn policy(subscriptions: &Subscriptions, entry: &Entry) -> OnSlow {
    let topic = entry.message.topic.as_str();
    let live = subscriptions.iter().filter(|(filter, subscription)| {
        matches!(subscription.state, State::Live(_)) && filter.matches(topic)
    });
    live.map(|(_, subscription)| subscription.on_slow.unwrap_or(entry.on_slow))
        .min()
        .unwrap_or(OnSlow::Disconnect)
}
