//! The broker on a node that is joined to others: what it asks of its backplane, and what it is told.

use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use fanfare_protocol::{Cursor, Epoch, Filter, Topic};

use super::{BadCursor, Broker, Publishing, State, Wake};
use crate::backplane::{Admitted, Ask, ClearCompletion, Held, Joined, Mirror, Need, Pass, Told};
use crate::clock::Now;
use crate::inbox::Inbox;
use crate::limits::{Limits, TopicRules};
use crate::partition::{Draft, Refusal};
use crate::stats::Doubts;
use crate::waiting::{Completion, Ticket};

/// What a request needs is there, or is awaited.
#[derive(Debug)]
pub enum Preparing {
    /// It can be served now, with this pass.
    Ready(Pass),
    /// The completion is called, perhaps already, unless the wait is cancelled first.
    Waits(Ticket),
    /// It can't be served.
    Refused(Refusal),
}

/// What became of a request to clear a topic.
#[derive(Debug)]
pub enum Clearing {
    /// So many messages went.
    Done(usize),
    /// The completion is called, perhaps already.
    Waits(Ticket),
    /// It can't be done.
    Refused(Refusal),
}

/// How a request enters: when, what it has waited for, and who is told once it may enter.
pub(crate) struct Door<C> {
    pub(crate) now: Now,
    pub(crate) pass: Pass,
    /// None: it does not wait.
    pub(crate) completion: Option<C>,
}

impl Door<fn() -> Admitted> {
    /// For who does not wait.
    pub(crate) fn closed(now: Now, pass: Pass) -> Door<fn() -> Admitted> {
        Door { now, pass, completion: None }
    }
}

impl Broker {
    /// The broker of a node that others know by the number `node`, drawn anew at each start. Until it is told that the
    /// backplane is up it serves nothing. `link_wake` is called when there is something to ask; it must not call back.
    pub fn joined(node: u64, rules: TopicRules, limits: Limits, wakes: Vec<Wake>, link_wake: Wake) -> Broker {
        let mut broker = Broker::new(0, rules, limits, wakes);
        broker.link_wake = link_wake;
        let state = broker.state.get_mut().expect("nobody has locked a new broker");
        state.partition.epoch = Epoch { partition: 0, life: 0 };
        state.joined = Some(Box::new(Joined::new(node)));
        broker
    }

    /// True if the node has a backplane.
    pub fn is_joined(&self) -> bool {
        self.lock().joined.is_some()
    }

    /// What is to be asked of the backplane, in order.
    pub fn take_asks(&self) -> Vec<Ask> {
        self.lock().joined.as_mut().map_or(Vec::new(), |joined| joined.take_asks())
    }

    /// Takes in what the backplane says, in the order in which it came.
    pub fn told(&self, now: Now, told: Told) {
        self.with_mirror(now, |mirror| mirror.told(told));
    }

    /// Does what is due: probes, requests that waited too long, channels that nobody follows.
    pub fn tick(&self, now: Now) {
        self.with_mirror(now, |mirror| mirror.tick());
    }

    /// When [`Broker::tick`] is next needed, in milliseconds on the broker's own clock.
    pub fn next_timeout(&self) -> Option<u64> {
        let linger_ms = self.limits.backplane_linger_ms;
        self.lock().joined.as_ref().and_then(|joined| joined.next_timeout(linger_ms))
    }

    /// Whether messages really come and go; if not, why.
    pub fn readiness(&self, now: Now) -> Result<(), String> {
        self.lock().joined.as_ref().map_or(Ok(()), |joined| joined.readiness(now.ms()))
    }

    /// What a joined node has counted of its doubts.
    pub fn doubts(&self) -> Option<Doubts> {
        self.lock().joined.as_ref().map(|joined| joined.doubts())
    }

    /// Waits for what a history or a long poll needs of the backplane; `completion` is made and kept only then.
    pub fn prepare(
        &self,
        now: Now,
        filters: &[Filter],
        after: Option<&Cursor>,
        pass: Pass,
        completion: impl FnOnce() -> Admitted,
    ) -> Result<Preparing, BadCursor> {
        let after = after.map(|cursor| self.own_part(cursor)).transpose()?;
        let need = Need { after, all: after.is_none(), pass, ..Need::new(filters) };
        let mut state = self.lock();
        let Some(mut mirror) = state.mirror(now, &self.inboxes) else { return Ok(Preparing::Ready(pass)) };
        let admitted = mirror.admit(need, Some(completion));
        self.settle(state);
        Ok(match admitted {
            Ok(()) => Preparing::Ready(pass),
            Err(Held::Waits(ticket)) => Preparing::Waits(ticket),
            Err(Held::Refused(refusal)) => Preparing::Refused(refusal),
        })
    }

    /// Trims all of a topic's history, on all nodes; `completion` is made and kept only where that takes time.
    pub fn clear_everywhere(
        &self,
        now: Now,
        topic: &Topic,
        completion: impl FnOnce() -> ClearCompletion,
    ) -> Clearing {
        let mut state = self.lock();
        let Some(mirror) = state.mirror(now, &self.inboxes) else {
            return Clearing::Done(state.partition.clear(topic.as_str()));
        };
        if let Some(refusal) = mirror.joined.away() {
            return Clearing::Refused(refusal);
        }
        let ticket = mirror.joined.add_clear(completion());
        mirror.joined.ask(Ask::Clear { ticket, topic: topic.clone() });
        self.settle(state);
        Clearing::Waits(ticket)
    }

    /// What a publish is refused with that was not answered within `waited_ms`.
    pub fn overdue(&self, waited_ms: u64) -> Refusal {
        if !self.is_joined() {
            return Refusal::Overloaded { waited_ms };
        }
        let reason = format!(
            "the backplane did not answer within {waited_ms} ms; whether it was published is not known"
        );
        Refusal::Unavailable { reason: reason.into(), retry_after_ms: waited_ms.max(1_000) }
    }

    /// Asks the backplane to publish.
    pub(super) fn ask_publish(
        &self,
        mut state: MutexGuard<'_, State>,
        now: Now,
        draft: Draft,
        completion: impl FnOnce() -> Completion,
    ) -> Publishing {
        let mut mirror = state.mirror(now, &self.inboxes).expect("only a joined node asks");
        if let Err(refusal) = mirror.room_for_publishes() {
            return Publishing::Done(Err(refusal));
        }
        let asked = mirror.unnumbered(draft, completion());
        let ticket = asked.ticket;
        mirror.joined.ask(Ask::Publish(vec![asked]));
        self.settle(state);
        Publishing::Waits(ticket)
    }

    /// Asks the backplane to publish the first of a batch, as many as may wait.
    pub(super) fn ask_batch(
        &self,
        mut state: MutexGuard<'_, State>,
        now: Now,
        drafts: &mut VecDeque<Draft>,
        mut completion: impl FnMut() -> Completion,
    ) -> Vec<Publishing> {
        let mut mirror = state.mirror(now, &self.inboxes).expect("only a joined node asks");
        let room = match mirror.room_for_publishes() {
            Ok(room) => room.min(drafts.len()),
            Err(refusal) => {
                drafts.pop_front();
                return vec![Publishing::Done(Err(refusal))];
            }
        };
        let asked: Vec<_> =
            drafts.drain(..room).map(|draft| mirror.unnumbered(draft, completion())).collect();
        let waits = asked.iter().map(|one| Publishing::Waits(one.ticket)).collect();
        mirror.joined.ask(Ask::Publish(asked));
        self.settle(state);
        waits
    }

    /// Nobody waits for a ticket any more.
    pub(super) fn forget(&self, mut state: MutexGuard<'_, State>, ticket: Ticket) -> bool {
        let now = Now::default();
        let Some(mut mirror) = state.mirror(now, &self.inboxes) else { return false };
        mirror.joined.forget(ticket) || mirror.give_up(ticket)
    }

    /// A worker that was behind may have room.
    pub(super) fn catch_up(&self, mut state: MutexGuard<'_, State>, now: Now) {
        if let Some(mut mirror) = state.mirror(now, &self.inboxes) {
            mirror.catch_up_all();
        }
        self.settle(state);
    }

    /// True if the worker was not sent all that is applied.
    pub(crate) fn is_behind(&self, worker: usize) -> bool {
        self.lock().behind(worker).is_some()
    }

    /// Locks once what the request needs is there, and holds the filters' channels.
    pub(super) fn enter<C: FnOnce() -> Admitted>(
        &self,
        filters: &[Filter],
        need: impl FnOnce() -> Need,
        door: Door<C>,
    ) -> Result<MutexGuard<'_, State>, Held> {
        let now = door.now;
        let mut state = self.pass(need, door)?;
        state.hold(filters, now, &self.inboxes);
        Ok(state)
    }

    /// Locks once what the request needs is there.
    pub(super) fn pass<C: FnOnce() -> Admitted>(
        &self,
        need: impl FnOnce() -> Need,
        door: Door<C>,
    ) -> Result<MutexGuard<'_, State>, Held> {
        let Door { now, pass, completion } = door;
        let mut state = self.lock();
        let Some(mut mirror) = state.mirror(now, &self.inboxes) else { return Ok(state) };
        let admitted = mirror.admit(Need { pass, ..need() }, completion);
        match admitted {
            Ok(()) => Ok(state),
            Err(held) => {
                self.settle(state);
                Err(held)
            }
        }
    }

    fn with_mirror(&self, now: Now, act: impl FnOnce(&mut Mirror<'_>)) {
        let mut state = self.lock();
        if let Some(mut mirror) = state.mirror(now, &self.inboxes) {
            act(&mut mirror);
        }
        self.settle(state);
    }

    /// Releases the lock, then wakes and tells all whom it concerns.
    pub(super) fn settle(&self, mut state: MutexGuard<'_, State>) {
        let Some(joined) = &mut state.joined else { return };
        let (wake, effects) = (std::mem::take(&mut joined.wake), std::mem::take(&mut joined.effects));
        let (has_asks, behind) = (joined.has_asks(), joined.behind.len());
        self.waiting.store(behind, Ordering::SeqCst);
        drop(state);
        self.wake(wake);
        effects.into_iter().for_each(|effect| effect());
        if has_asks {
            (self.link_wake)();
        }
    }
}

impl State {
    /// The mirror of a joined node.
    pub(super) fn mirror<'a>(&'a mut self, now: Now, inboxes: &'a [Inbox]) -> Option<Mirror<'a>> {
        let joined = self.joined.as_deref_mut()?;
        joined.now_ms = joined.now_ms.max(now.ms());
        Some(Mirror { joined, partition: &mut self.partition, inboxes, now })
    }

    /// Filters are followed from now on: their channels are wanted.
    pub(super) fn hold(&mut self, filters: &[Filter], now: Now, inboxes: &[Inbox]) {
        if let Some(mut mirror) = self.mirror(now, inboxes) {
            mirror.hold(filters);
        }
    }

    /// A filter is followed no more.
    pub(super) fn release(&mut self, filter: &Filter) {
        if let Some(mut mirror) = self.mirror(Now::default(), &[]) {
            mirror.release(std::slice::from_ref(filter));
        }
    }

    /// Up to which seq a worker that is behind was sent all.
    pub(super) fn behind(&self, worker: usize) -> Option<u64> {
        self.joined.as_ref()?.behind.get(&worker).map(|behind| behind.sent)
    }

    /// How many requests wait for the backplane.
    pub(super) fn awaits(&self) -> usize {
        self.joined.as_ref().map_or(0, |joined| joined.awaits.len())
    }
}
