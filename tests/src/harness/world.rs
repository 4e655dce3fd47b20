//! What all tasks of a run share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_protocol::Position;
use tokio::sync::watch;

use super::chance::Chance;
use super::history::History;
use super::plan::Plan;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Publishers publish and things go wrong.
    Pouring,
    /// Publishers come to their end.
    Ending,
    /// Nothing is published above this position any more: subscribers come to the end.
    Settling(Position),
    /// Everybody goes.
    Over,
}

/// The run, its nodes' addresses, and the counts that everything waits for.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) history: History,
    /// Where each node listens; none while it does not.
    addresses: Vec<watch::Sender<Option<SocketAddr>>>,
    stage: watch::Sender<Stage>,
    /// Publishes that were answered with a position.
    published: watch::Sender<u64>,
    joined: watch::Sender<u64>,
    joined_cleanly: watch::Sender<u64>,
    refused: watch::Sender<u64>,
    repeated: watch::Sender<u64>,
    /// Publishes that were not answered with a position.
    failed: watch::Sender<u64>,
    /// Live messages that came to subscribers of each node.
    heard: Vec<watch::Sender<u64>>,
    /// Which subscribers follow all that they want to follow.
    following: watch::Sender<Vec<bool>>,
    /// Subscribers that are at the end.
    there: watch::Sender<usize>,
    sessions: AtomicU64,
    reads: AtomicU64,
}

impl World {
    pub(super) fn new(plan: Plan, history: History) -> World {
        World {
            addresses: (0..plan.nodes).map(|_| watch::Sender::new(None)).collect(),
            heard: (0..plan.nodes).map(|_| watch::Sender::new(0)).collect(),
            following: watch::Sender::new(vec![false; plan.subscribers.len()]),
            plan,
            history,
            stage: watch::Sender::new(Stage::Pouring),
            published: watch::Sender::new(0),
            joined: watch::Sender::new(0),
            joined_cleanly: watch::Sender::new(0),
            refused: watch::Sender::new(0),
            repeated: watch::Sender::new(0),
            failed: watch::Sender::new(0),
            there: watch::Sender::new(0),
            sessions: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }

    /// The name of a node.
    pub(super) fn node(&self, number: usize) -> String {
        format!("n{}", number + 1)
    }

    pub(super) fn move_to(&self, node: usize, address: Option<SocketAddr>) {
        self.addresses[node].send_replace(address);
    }

    /// Where a node listens; waits until it does.
    pub(super) async fn address(&self, node: usize) -> SocketAddr {
        let mut address = self.addresses[node].subscribe();
        let address = address.wait_for(Option::is_some).await.expect("the world holds the sender");
        address.expect("it was waited for")
    }

    /// The node that is wanted, or one of those that listen; if none does, the first that is waited for.
    pub(super) async fn some_node(&self, wanted: Option<usize>, chance: &mut Chance) -> (usize, SocketAddr) {
        if let Some(node) = wanted {
            return (node, self.address(node).await);
        }
        let first = chance.below(self.plan.nodes);
        for node in (0..self.plan.nodes).map(|step| (first + step) % self.plan.nodes) {
            let address = *self.addresses[node].borrow();
            if let Some(address) = address {
                return (node, address);
            }
        }
        (first, self.address(first).await)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(super) fn is_pouring(&self) -> bool {
        *self.stage.borrow() == Stage::Pouring
    }

    /// A number for a session.
    pub(super) fn open_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number for a read.
    pub(super) fn open_read(&self) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn count_published(&self, is_repeated: bool) {
        self.published.send_modify(|count| *count += 1);
        self.repeated.send_modify(|count| *count += u64::from(is_repeated));
    }

    /// How many publishes were answered with a position.
    pub(super) fn published(&self) -> u64 {
        *self.published.borrow()
    }

    pub(super) fn count_failed(&self, is_refused: bool) {
        self.failed.send_modify(|count| *count += 1);
        self.refused.send_modify(|count| *count += u64::from(is_refused));
    }

    pub(super) fn count_heard(&self, node: usize) {
        self.heard[node].send_modify(|count| *count += 1);
    }

    pub(super) fn set_following(&self, subscriber: usize, follows: bool) {
        self.following.send_if_modified(|all| std::mem::replace(&mut all[subscriber], follows) != follows);
    }

    pub(super) fn count_joined(&self, is_clean: bool) {
        self.joined.send_modify(|count| *count += 1);
        self.joined_cleanly.send_modify(|count| *count += u64::from(is_clean));
    }

    pub(super) fn count_there(&self) {
        self.there.send_modify(|count| *count += 1);
    }

    /// Waits until `more` publishes were answered from here on.
    pub(super) async fn until_published(&self, more: u64) {
        until_more(&self.published, more).await;
    }

    /// Waits until another publish has failed.
    pub(super) async fn until_failed(&self) {
        until_more(&self.failed, 1).await;
    }

    /// Waits until another publish was refused.
    pub(super) async fn until_refused(&self) {
        until_more(&self.refused, 1).await;
    }

    /// Waits until another live message came to a subscriber of this node.
    pub(super) async fn until_heard(&self, node: usize) {
        until_more(&self.heard[node], 1).await;
    }

    /// Waits until all subscribers follow all that they want to follow.
    pub(super) async fn until_all_follow(&self) {
        let mut following = self.following.subscribe();
        let all = |all: &Vec<bool>| all.iter().all(|follows| *follows);
        following.wait_for(all).await.expect("the world holds the sender");
    }

    /// Waits until what was to be done is done.
    pub(super) async fn reach_goal(&self) {
        let goal = self.plan.goal;
        for (count, wanted) in [
            (&self.published, goal.publishes),
            (&self.joined, goal.joins),
            (&self.joined_cleanly, goal.clean_joins),
            (&self.refused, goal.refusals),
            (&self.repeated, goal.repeats),
        ] {
            until_at_least(count, wanted).await;
        }
    }

    /// Waits until all subscribers are at the end.
    pub(super) async fn until_all_there(&self) {
        let mut there = self.there.subscribe();
        let all = self.plan.subscribers.len();
        there.wait_for(|count| *count >= all).await.expect("the world holds the sender");
    }
}

async fn until_more(count: &watch::Sender<u64>, more: u64) {
    let wanted = *count.borrow() + more;
    until_at_least(count, wanted).await;
}

async fn until_at_least(count: &watch::Sender<u64>, wanted: u64) {
    count.subscribe().wait_for(|count| *count >= wanted).await.expect("the world holds the sender");
}
