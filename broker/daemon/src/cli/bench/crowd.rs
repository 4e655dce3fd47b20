//! The subscribers of one thread: many connections, one loop.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::{Events, Interest, Poll, Token};

use super::follower::{Follower, Tally};
use super::plan::Plan;

/// Connections that one thread makes at a time.
const CONNECTING_MAX: usize = 64;
/// More than what a socket has ready at a time, and than a frame.
const SCRATCH_BYTES: usize = 4 << 20;
/// How often the counts that others look at are brought up to date.
const TURN: Duration = Duration::from_millis(20);

/// What the threads tell each other.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// How many subscribers there shall be in all.
    pub(super) goal: AtomicUsize,
    pub(super) subscribed: AtomicUsize,
    pub(super) messages: AtomicU64,
    pub(super) cuts: AtomicU64,
    is_over: AtomicBool,
    waiting: Mutex<()>,
    end: Condvar,
}

impl Board {
    /// Ends the run for all threads.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever has looked and not begun to wait is waited for.
        drop(self.waiting.lock());
        self.end.notify_all();
    }

    /// Waits for the run's end, at most this long; true if it is over.
    pub(super) fn is_over_within(&self, time: Duration) -> bool {
        let waiting = self.waiting.lock().expect("nobody panics with the lock");
        let goes_on = |(): &mut ()| !self.is_over.load(Ordering::Relaxed);
        let waited = self.end.wait_timeout_while(waiting, time, goes_on);
        drop(waited.expect("nobody panics with the lock"));
        self.is_over.load(Ordering::Relaxed)
    }
}

/// One thread's share of the subscribers: every `of`th, from `index`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) of: usize,
}

/// Subscribes up to the goal and counts until the run is over; its own failure ends it.
pub(super) fn follow(plan: &Plan, share: Share, begun: Instant, board: &Board) -> anyhow::Result<Tally> {
    follow_until_over(plan, share, begun, board).inspect_err(|_| board.end())
}

fn follow_until_over(plan: &Plan, share: Share, begun: Instant, board: &Board) -> anyhow::Result<Tally> {
    let mut poll = Poll::new().context("epoll can't be opened")?;
    let mut events = Events::with_capacity(4_096);
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut followers: Vec<Follower> = Vec::new();
    let (mut tally, mut told) = (Tally::default(), (0, 0, 0));
    while !board.is_over.load(Ordering::Relaxed) {
        let goal = board.goal.load(Ordering::Relaxed);
        let own_goal = (share.index..goal).step_by(share.of).len();
        while followers.len() < own_goal.min(tally.subscribed + CONNECTING_MAX) {
            let index = share.index + followers.len() * share.of;
            let mut follower = Follower::connect(plan, index % plan.topics)?;
            let token = Token(followers.len());
            poll.registry().register(&mut follower.stream, token, Interest::READABLE)?;
            followers.push(follower);
        }
        if let Err(error) = poll.poll(&mut events, Some(TURN))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error).context("epoll");
        }
        for event in &events {
            followers[event.token().0].read(plan, begun, &mut scratch, &mut tally)?;
        }
        let (subscribed, messages, cuts) = (tally.subscribed, tally.messages, tally.cuts);
        board.subscribed.fetch_add(subscribed - told.0, Ordering::Relaxed);
        board.messages.fetch_add(messages - told.1, Ordering::Relaxed);
        board.cuts.fetch_add(cuts - told.2, Ordering::Relaxed);
        told = (subscribed, messages, cuts);
    }
    Ok(tally)
}
