//! What a filter needs before it can be served truly: its channels joined, its past in the log, its cursor known.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_protocol::{Filter, Position};

use super::channels::{Link, Reading};
use super::joined::{Mirror, RETRY_MS, Standing};
use super::{Ask, Channel};
use crate::lives::Verdict;
use crate::partition::Refusal;
use crate::replay::Replay;
use crate::waiting::Ticket;

/// Called when what was awaited is there, or will not be; on any thread.
pub type Admitted = Box<dyn FnOnce(Ticket, Result<Pass, Refusal>) + Send>;

/// What a request has waited for already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// The probe that tells whether its cursor is known.
    probe: Option<u64>,
    /// When it is refused.
    until_ms: Option<u64>,
}

/// What a request needs.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) filters: Vec<Filter>,
    pub(crate) after: Option<Position>,
    /// All that is kept, not only what is above the cursor.
    pub(crate) all: bool,
    /// The worker that must not be behind.
    pub(crate) worker: Option<usize>,
    pub(crate) pass: Pass,
    /// It is a replay that goes on: what fails is tried again.
    pub(crate) is_patient: bool,
}

impl Need {
    /// To follow filters from now on.
    pub(crate) fn new(filters: &[Filter]) -> Need {
        let filters = filters.to_vec();
        let pass = Pass::default();
        Need { filters, after: None, all: false, worker: None, pass, is_patient: false }
    }
}

/// Why a request is not served at once.
#[derive(Debug)]
pub(crate) enum Held {
    Waits(Ticket),
    Refused(Refusal),
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Blocker {
    /// No doubt is open.
    Sure,
    /// A channel is joined.
    Link(Channel),
    /// A probe is back.
    Probe(u64),
    /// A read is answered.
    Read(u64),
    /// A worker has caught up.
    Behind(usize),
}

/// All who wait.
#[derive(Default)]
pub(crate) struct Awaits {
    by_ticket: BTreeMap<Ticket, Await>,
    blocked: BTreeSet<(Blocker, Ticket)>,
    deadlines: BTreeSet<(u64, Ticket)>,
}

struct Await {
    need: Need,
    blocker: Blocker,
    completion: Admitted,
}

impl Awaits {
    pub(crate) fn len(&self) -> usize {
        self.by_ticket.len()
    }

    /// When the first who waits is refused.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A doubt is open: whatever was awaited, that comes first.
    pub(crate) fn wait_until_sure(&mut self) {
        self.blocked = self.by_ticket.keys().map(|ticket| (Blocker::Sure, *ticket)).collect();
        self.by_ticket.values_mut().for_each(|waiting| waiting.blocker = Blocker::Sure);
    }

    fn add(&mut self, ticket: Ticket, waiting: Await) {
        self.blocked.insert((waiting.blocker.clone(), ticket));
        self.deadlines.insert((waiting.until_ms(), ticket));
        self.by_ticket.insert(ticket, waiting);
    }

    fn take(&mut self, ticket: Ticket) -> Option<Await> {
        let waiting = self.by_ticket.remove(&ticket)?;
        self.deadlines.remove(&(waiting.until_ms(), ticket));
        self.blocked.remove(&(waiting.blocker.clone(), ticket));
        Some(waiting)
    }

    /// As [`Awaits::take`], if it is one that tries again.
    fn take_patient(&mut self, ticket: Ticket) -> Option<Await> {
        self.by_ticket.get(&ticket).filter(|waiting| waiting.need.is_patient)?;
        self.take(ticket)
    }

    /// All who wait for the same.
    fn blocked_by(&self, blocker: &Blocker) -> Vec<Ticket> {
        let all = (blocker.clone(), Ticket::new(0))..=(blocker.clone(), Ticket::new(u64::MAX));
        self.blocked.range(all).map(|(_, ticket)| *ticket).collect()
    }
}

impl Await {
    fn until_ms(&self) -> u64 {
        self.need.pass.until_ms.expect("who waits has a deadline")
    }
}

impl Mirror<'_> {
    /// Lets a request pass whose needs are met; else `completion` is kept until they are.
    pub(crate) fn admit(
        &mut self,
        mut need: Need,
        completion: Option<impl FnOnce() -> Admitted>,
    ) -> Result<(), Held> {
        if let Some(refusal) = self.joined.away() {
            return Err(Held::Refused(refusal));
        }
        if self.joined.awaits.by_ticket.len() >= self.partition.limits.filters {
            return Err(Held::Refused(self.too_late()));
        }
        let wait_ms = self.partition.limits.backplane_wait_ms;
        let until_ms = *need.pass.until_ms.get_or_insert(self.now.ms() + wait_ms);
        self.hold(&need.filters);
        let Some(blocker) = self.blocker(&mut need) else {
            self.release(&need.filters);
            return Ok(());
        };
        let Some(completion) = completion.filter(|_| until_ms > self.now.ms()) else {
            self.release(&need.filters);
            return Err(Held::Refused(self.too_late()));
        };
        let ticket = Ticket::new(self.joined.next_number());
        self.joined.awaits.add(ticket, Await { need, blocker, completion: completion() });
        Err(Held::Waits(ticket))
    }

    /// Lets a replay go on in another life of the numbering once all above where it stands is known; else `completion` is
    /// kept until it is to ask again.
    pub(crate) fn admit_replay(
        &mut self,
        replay: &Replay,
        completion: impl FnOnce() -> Admitted,
    ) -> Result<(), Ticket> {
        if replay.is_of(self.partition) {
            return Ok(());
        }
        let until_ms = Some(self.now.ms() + self.partition.limits.backplane_wait_ms);
        let mut need = Need::new(replay.filters());
        (need.after, need.is_patient) = (Some(replay.stands()), true);
        need.pass = Pass { until_ms, ..replay.pass() };
        self.hold(&need.filters);
        let Some(blocker) = self.blocker(&mut need) else {
            self.release(&need.filters);
            return Ok(());
        };
        let ticket = Ticket::new(self.joined.next_number());
        self.joined.awaits.add(ticket, Await { need, blocker, completion: completion() });
        Err(ticket)
    }

    /// Who waits gives up; false if it is admitted or refused already.
    pub(crate) fn give_up(&mut self, ticket: Ticket) -> bool {
        let Some(given_up) = self.joined.awaits.take(ticket) else { return false };
        self.release(&given_up.need.filters);
        true
    }

    /// Filters are followed, or about to be: their channels are wanted.
    pub(crate) fn hold(&mut self, filters: &[Filter]) {
        for filter in filters {
            let channel = Channel::of(filter);
            let was_leaving = self.joined.channels.hold(&channel);
            self.follow(&channel);
            if was_leaving
                && self.joined.channels.slot(&channel).is_some_and(|slot| slot.link == Link::Joined)
            {
                self.joined_channel(&channel);
            }
        }
    }

    /// Filters are followed no more.
    pub(crate) fn release(&mut self, filters: &[Filter]) {
        let now_ms = self.joined.now_ms;
        filters.iter().for_each(|filter| self.joined.channels.release(&Channel::of(filter), now_ms));
    }

    /// Refuses those who waited too long.
    pub(crate) fn end_overdue(&mut self) {
        while let Some((at, ticket)) = self.joined.awaits.deadlines.first().copied()
            && at <= self.now.ms()
        {
            let refusal = self.joined.away().unwrap_or_else(|| self.too_late());
            self.end(ticket, Err(refusal));
        }
    }

    pub(crate) fn admit_sure(&mut self) {
        self.look_again(&Blocker::Sure);
    }

    pub(crate) fn admit_joined(&mut self, channel: &Channel) {
        self.look_again(&Blocker::Link(channel.clone()));
    }

    pub(crate) fn admit_read(&mut self, read: u64) {
        self.look_again(&Blocker::Read(read));
    }

    pub(crate) fn admit_caught_up(&mut self, worker: usize) {
        self.look_again(&Blocker::Behind(worker));
    }

    pub(crate) fn admit_probed(&mut self, probe: u64) {
        let first = (Blocker::Probe(0), Ticket::new(0));
        let last = (Blocker::Probe(probe), Ticket::new(u64::MAX));
        let blocked = self.joined.awaits.blocked.range(first..=last);
        for ticket in blocked.map(|(_, ticket)| *ticket).collect::<Vec<_>>() {
            self.look_at(ticket);
        }
    }

    /// A read failed: those who need it are refused, or try again later.
    pub(crate) fn refuse_read(&mut self, read: u64, reason: &str) {
        for ticket in self.joined.awaits.blocked_by(&Blocker::Read(read)) {
            if let Some(mut waiting) = self.joined.awaits.take_patient(ticket) {
                waiting.blocker = Blocker::Sure;
                waiting.need.pass.until_ms = Some(self.now.ms() + RETRY_MS);
                self.joined.awaits.add(ticket, waiting);
                continue;
            }
            let reason = format!("the backplane can't be read: {reason}").into();
            self.end(ticket, Err(Refusal::Unavailable { reason, retry_after_ms: RETRY_MS }));
        }
    }

    /// Reads what is kept of a channel above a seq.
    pub(crate) fn ask_read(&mut self, channel: &Channel, above: u64) -> u64 {
        let read = self.joined.next_number();
        let slot = self.joined.channels.slot_mut(channel).expect("who reads a channel holds it");
        slot.reading = Some(Reading { read, above, lower: None, is_outdated: false, is_second: false });
        self.joined.reads.insert(read, channel.clone());
        self.joined.ask(Ask::Read { read, channels: vec![channel.clone()], above });
        read
    }

    fn look_again(&mut self, blocker: &Blocker) {
        for ticket in self.joined.awaits.blocked_by(blocker) {
            self.look_at(ticket);
        }
    }

    fn look_at(&mut self, ticket: Ticket) {
        let Some(mut waiting) = self.joined.awaits.take(ticket) else { return };
        let blocker = self.blocker(&mut waiting.need);
        let is_ready = blocker.is_none();
        waiting.blocker = blocker.unwrap_or(Blocker::Sure);
        self.joined.awaits.add(ticket, waiting);
        if is_ready {
            self.end(ticket, Ok(()));
        }
    }

    fn end(&mut self, ticket: Ticket, result: Result<(), Refusal>) {
        let Some(Await { need, completion, .. }) = self.joined.awaits.take(ticket) else { return };
        self.release(&need.filters);
        let result = result.map(|()| need.pass);
        self.joined.effects.push(Box::new(move || completion(ticket, result)));
    }

    fn too_late(&self) -> Refusal {
        let waited_ms = self.partition.limits.backplane_wait_ms;
        let reason = format!("the backplane did not answer within {waited_ms} ms").into();
        Refusal::Unavailable { reason, retry_after_ms: RETRY_MS }
    }

    /// What keeps a request from being served; its filters are held.
    fn blocker(&mut self, need: &mut Need) -> Option<Blocker> {
        if !matches!(self.joined.standing, Standing::Sure) {
            return Some(Blocker::Sure);
        }
        if let Some(worker) = need.worker.filter(|worker| self.joined.behind.contains_key(worker)) {
            return Some(Blocker::Behind(worker));
        }
        for filter in &need.filters {
            let channel = Channel::of(filter);
            if self.joined.channels.known_above(&channel).is_none() {
                return Some(Blocker::Link(self.joined.channels.cover(&channel)));
            }
        }
        if let Some(probe) = self.probe_before(need) {
            return Some(Blocker::Probe(probe));
        }
        let above = match need.after.map(|after| self.partition.judge(after)) {
            _ if need.all => 0,
            Some(Verdict::Good(seq) | Verdict::Jump(seq)) => seq,
            None => return None,
        };
        for filter in &need.filters {
            let channel = Channel::of(filter);
            if self.joined.channels.known_above(&channel).is_none_or(|known_above| above >= known_above) {
                continue;
            }
            let slot = self.joined.channels.slot_mut(&channel).expect("it is held");
            let read = match &mut slot.reading {
                Some(reading) => {
                    if above < reading.lower.unwrap_or(reading.above) {
                        reading.lower = Some(above);
                    }
                    reading.read
                }
                None => self.ask_read(&channel, above),
            };
            return Some(Blocker::Read(read));
        }
        None
    }

    /// The probe that must be back before the cursor is judged: it may be newer than all that came here.
    fn probe_before(&mut self, need: &mut Need) -> Option<u64> {
        let top = self.partition.top();
        let is_unknown = match need.after {
            Some(after) if after.epoch == top.epoch => after.seq > top.seq,
            Some(after) => self.partition.lives.end(after.epoch).is_none(),
            None => false,
        };
        let is_ahead = |acked: Position| acked.epoch != top.epoch || acked.seq > top.seq;
        let is_needed = need.pass.probe.is_some() || is_unknown || self.joined.acked.is_some_and(is_ahead);
        if !is_needed {
            return None;
        }
        let probe = match need.pass.probe {
            Some(probe) => probe,
            None => self.joined.want_probe(),
        };
        need.pass.probe = Some(probe);
        (!self.joined.is_back(probe)).then_some(probe)
    }
}
