//! A node's side of its backplane: how sure it is of what it knows, what it has asked, and who waits for that.

use std::collections::{BTreeMap, VecDeque};

use fanfare_protocol::Position;

use super::admission::Awaits;
use super::behind::Behind;
use super::channels::Channels;
use super::doubt::Doubt;
use super::{Ask, Channel, Told, Unnumbered};
use crate::clock::Now;
use crate::inbox::Inbox;
use crate::interest::WorkerSet;
use crate::partition::{Draft, Partition, Refusal};
use crate::stats::{DoubtCause, Doubts};
use crate::waiting::{Completion, Ticket};

/// How often the backplane is asked whether it still delivers; what takes longer to come back is a doubt.
pub(crate) const PROBE_MS: u64 = 2_000;
/// A probe that is not back by then: the connections are dropped.
const PROBE_LOST_MS: u64 = 4_000;
/// The most probes under way.
const PROBES_MAX: usize = 4;
/// When to try again while the backplane is away.
pub(crate) const RETRY_MS: u64 = 1_000;
/// A doubt that is open for so long makes the node not ready.
const DOUBT_MS: u64 = 4_000;

/// Called with how many messages went when a topic was cleared on all nodes, on any thread.
pub type ClearCompletion = Box<dyn FnOnce(Ticket, Result<usize, Refusal>) + Send>;

/// Something to be called once the partition's lock is released.
pub(crate) type Effect = Box<dyn FnOnce() + Send>;

/// What a joined node remembers beside its partition.
pub(crate) struct Joined {
    pub(crate) node: u64,
    pub(crate) standing: Standing,
    /// The backplane was reached once.
    pub(crate) has_epoch: bool,
    pub(crate) channels: Channels,
    pub(crate) awaits: Awaits,
    /// Reads under way that are not of a doubt, by number.
    pub(crate) reads: BTreeMap<u64, Channel>,
    pub(crate) behind: BTreeMap<usize, Behind>,
    /// How often a worker fell behind.
    pub(crate) falls_behind: u64,
    /// The highest position that a publisher here was answered, perhaps of a life that is not entered yet.
    pub(crate) acked: Option<Position>,
    /// Something was cleared up to here in the present life.
    pub(crate) cleared: u64,
    pub(crate) wake: WorkerSet,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now_ms: u64,
    /// When a doubt last asked for a read.
    pub(crate) read_ms: Option<u64>,
    pub(crate) counts: Doubts,
    asks: Vec<Ask>,
    publishes: BTreeMap<Ticket, Completion>,
    clears: BTreeMap<Ticket, ClearCompletion>,
    probes: Probes,
    numbers: u64,
}

/// How sure a node is that it misses nothing.
pub(crate) enum Standing {
    /// The backplane can't be reached.
    Away {
        reason: String,
        since_ms: u64,
    },
    /// Nothing is applied or promised until what may be missing was read.
    Doubt(Doubt),
    Sure,
}

#[derive(Debug, Default)]
struct Probes {
    /// Those under way, by number, with the time at which each was asked for.
    under_way: VecDeque<(u64, u64)>,
    /// Another is asked for as soon as one is back.
    wanted: bool,
    asked: u64,
    returned: u64,
    /// When the next is due.
    due_ms: u64,
    /// One was so late that the connections are to be dropped.
    is_lost: bool,
}

/// All that is under the partition's lock, at one moment.
pub(crate) struct Mirror<'a> {
    pub(crate) joined: &'a mut Joined,
    pub(crate) partition: &'a mut Partition,
    pub(crate) inboxes: &'a [Inbox],
    pub(crate) now: Now,
}

impl Joined {
    pub(crate) fn new(node: u64) -> Joined {
        let reason = "the backplane was not reached yet".to_owned();
        Joined {
            node,
            standing: Standing::Away { reason, since_ms: 0 },
            has_epoch: false,
            channels: Channels::default(),
            awaits: Awaits::default(),
            reads: BTreeMap::new(),
            behind: BTreeMap::new(),
            falls_behind: 0,
            acked: None,
            cleared: 0,
            wake: WorkerSet::default(),
            effects: Vec::new(),
            now_ms: 0,
            read_ms: None,
            counts: Doubts::default(),
            asks: Vec::new(),
            publishes: BTreeMap::new(),
            clears: BTreeMap::new(),
            probes: Probes::default(),
            numbers: 0,
        }
    }

    pub(crate) fn ask(&mut self, ask: Ask) {
        self.asks.push(ask);
    }

    pub(crate) fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    pub(crate) fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// A number that no other request of this node has.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// What a request is refused with while the backplane is away.
    pub(crate) fn away(&self) -> Option<Refusal> {
        let Standing::Away { reason, .. } = &self.standing else { return None };
        Some(Refusal::Unavailable { reason: reason.as_str().into(), retry_after_ms: RETRY_MS })
    }

    /// How many publishes are under way.
    pub(crate) fn publishes(&self) -> usize {
        self.publishes.len()
    }

    /// True if somebody waits for its outcome.
    pub(crate) fn awaits_publish(&self, ticket: Ticket) -> bool {
        self.publishes.contains_key(&ticket)
    }

    pub(crate) fn add_publish(&mut self, completion: Completion) -> Ticket {
        let ticket = Ticket::new(self.next_number());
        self.publishes.insert(ticket, completion);
        ticket
    }

    pub(crate) fn add_clear(&mut self, completion: ClearCompletion) -> Ticket {
        let ticket = Ticket::new(self.next_number());
        self.clears.insert(ticket, completion);
        ticket
    }

    /// Nobody waits any more for a publish or a clear; false if it is answered already.
    pub(crate) fn forget(&mut self, ticket: Ticket) -> bool {
        self.publishes.remove(&ticket).is_some() | self.clears.remove(&ticket).is_some()
    }

    /// The probe that will say what was numbered up to now.
    pub(crate) fn want_probe(&mut self) -> u64 {
        let next = self.probes.asked + 1;
        if self.probes.under_way.is_empty() {
            self.send_probe();
        } else {
            self.probes.wanted = true;
        }
        next
    }

    /// True if a probe is back.
    pub(crate) fn is_back(&self, probe: u64) -> bool {
        self.probes.returned >= probe
    }

    /// When the next tick is needed.
    pub(crate) fn next_timeout(&self, linger_ms: u64) -> Option<u64> {
        let own = match &self.standing {
            Standing::Away { .. } => None,
            Standing::Doubt(doubt) => doubt.due_ms().into_iter().chain([self.probes.due_ms]).min(),
            Standing::Sure => Some(self.probes.due_ms),
        };
        let idle = self.channels.idle_since().map(|at| at + linger_ms);
        own.into_iter().chain(self.awaits.next_deadline()).chain(idle).min()
    }

    /// What was counted of doubts.
    pub(crate) fn doubts(&self) -> Doubts {
        Doubts { is_open: !matches!(self.standing, Standing::Sure), ..self.counts }
    }

    /// Whether the node can serve, in an operator's words.
    pub(crate) fn readiness(&self, now_ms: u64) -> Result<(), String> {
        match &self.standing {
            Standing::Away { reason, .. } => return Err(reason.clone()),
            Standing::Doubt(doubt) if now_ms.saturating_sub(doubt.since_ms) > DOUBT_MS => {
                return Err(format!("what may be missing can't be read: {}", doubt.cause.told()));
            }
            Standing::Doubt(_) | Standing::Sure => {}
        }
        match self.probes.under_way.front() {
            Some((_, at)) if now_ms.saturating_sub(*at) > PROBE_LOST_MS => {
                let waited_ms = now_ms.saturating_sub(*at);
                Err(format!("the backplane has not delivered a probe for {waited_ms} ms"))
            }
            _ => Ok(()),
        }
    }

    fn send_probe(&mut self) {
        let Probes { under_way, wanted, asked, due_ms, .. } = &mut self.probes;
        *asked += 1;
        under_way.push_back((*asked, self.now_ms));
        (*wanted, *due_ms) = (false, self.now_ms + PROBE_MS);
        let probe = *asked;
        self.ask(Ask::Probe { probe });
    }

    fn finish_publish(&mut self, ticket: Ticket, result: Result<crate::partition::Published, Refusal>) {
        let Some(completion) = self.publishes.remove(&ticket) else { return };
        self.effects.push(Box::new(move || completion(ticket, result)));
    }

    fn finish_clear(&mut self, ticket: Ticket, result: Result<usize, Refusal>) {
        let Some(completion) = self.clears.remove(&ticket) else { return };
        self.effects.push(Box::new(move || completion(ticket, result)));
    }
}

impl Mirror<'_> {
    /// How many publishes more may wait for the backplane: one at least, else why none may.
    pub(crate) fn room_for_publishes(&self) -> Result<usize, Refusal> {
        if let Some(refusal) = self.joined.away() {
            return Err(refusal);
        }
        let waiting_max = self.partition.limits.waiting_publishes;
        match waiting_max.saturating_sub(self.joined.publishes()) {
            0 => Err(Refusal::TooManyWaiting { waiting_max }),
            room => Ok(room),
        }
    }

    /// The draft under a ticket of its own, by which its answer is told.
    pub(crate) fn unnumbered(&mut self, draft: Draft, completion: Completion) -> Unnumbered {
        let Draft { topic, publication, origin, .. } = draft;
        let (rule, _) = self.partition.rule_for(topic.as_str());
        Unnumbered { ticket: self.joined.add_publish(completion), topic, publication, origin, rule }
    }

    /// Takes in one thing that the backplane says.
    pub(crate) fn told(&mut self, told: Told) {
        match told {
            Told::Up(record) => self.up(record),
            Told::Down(reason) => self.down(reason),
            Told::Confirmed(channels) => self.confirmed(channels),
            Told::Probed { probe, record } => self.probed(probe, record),
            Told::Message(numbered) => self.message(numbered),
            Told::Cleared { topic, to } => self.cleared(topic, to),
            Told::Read { read, result } => self.read(read, result),
            Told::Published { ticket, result } => {
                if let Ok(published) = &result {
                    self.note_answered(published.position);
                }
                self.joined.finish_publish(ticket, result);
            }
            Told::ClearDone { ticket, result } => self.joined.finish_clear(ticket, result),
        }
        self.catch_up_all();
    }

    fn note_answered(&mut self, position: Position) {
        let is_over = self.partition.lives.end(position.epoch).is_some();
        let is_older = |acked: Position| acked.epoch == position.epoch && position.seq < acked.seq;
        if !is_over && !self.joined.acked.is_some_and(is_older) {
            self.joined.acked = Some(position);
        }
    }

    /// Does what is due: probes, awaits that took too long, channels that nobody wants.
    pub(crate) fn tick(&mut self) {
        let now_ms = self.now.ms();
        self.end_overdue();
        while let Some(channel) =
            self.joined.channels.next_idle(now_ms.saturating_sub(self.partition.limits.backplane_linger_ms))
        {
            self.begin_to_leave(&channel);
        }
        if self.joined.away().is_some() {
            return;
        }
        self.try_to_resolve();
        let probes = &mut self.joined.probes;
        let late_ms = probes.under_way.front().map_or(0, |(_, at)| now_ms.saturating_sub(*at));
        if late_ms >= PROBE_LOST_MS && !std::mem::replace(&mut probes.is_lost, late_ms >= PROBE_LOST_MS) {
            let reason = format!("a probe did not come back within {late_ms} ms");
            self.joined.ask(Ask::Reconnect(reason));
        }
        let probes = &self.joined.probes;
        if probes.due_ms <= now_ms {
            if late_ms >= PROBE_MS {
                self.doubt(DoubtCause::Probe);
            }
            if self.joined.probes.under_way.len() < PROBES_MAX {
                self.joined.send_probe();
            } else {
                self.joined.probes.due_ms = now_ms + PROBE_MS;
            }
        }
    }

    pub(crate) fn down(&mut self, reason: String) {
        let joined = &mut *self.joined;
        let since_ms = match &joined.standing {
            Standing::Away { since_ms, .. } => *since_ms,
            Standing::Doubt(doubt) => doubt.since_ms,
            Standing::Sure => self.now.ms(),
        };
        joined.asks.clear();
        joined.reads.clear();
        let (asked, returned) = (joined.probes.asked, joined.probes.returned);
        joined.probes = Probes { asked, returned, ..Probes::default() };
        for slot in joined.channels.slots_mut() {
            (slot.link, slot.reading) = (super::channels::Link::None, None);
        }
        let unknown = || Refusal::Unavailable {
            reason: format!("{reason}; whether it was done is not known").into(),
            retry_after_ms: RETRY_MS,
        };
        for ticket in joined.publishes.keys().copied().collect::<Vec<_>>() {
            joined.finish_publish(ticket, Err(unknown()));
        }
        for ticket in joined.clears.keys().copied().collect::<Vec<_>>() {
            joined.finish_clear(ticket, Err(unknown()));
        }
        joined.standing = Standing::Away { reason, since_ms };
        joined.awaits.wait_until_sure();
        for channel in std::mem::take(&mut self.joined.channels.leaving) {
            self.joined.channels.leaving.insert(channel.clone());
            self.try_to_leave(&channel);
        }
    }

    fn probed(&mut self, probe: u64, record: super::Record) {
        let probes = &mut self.joined.probes;
        probes.under_way.retain(|(other, _)| *other > probe);
        probes.returned = probes.returned.max(probe);
        probes.is_lost = false;
        if probes.wanted && probes.under_way.is_empty() {
            self.joined.send_probe();
        }
        if !matches!(self.joined.standing, Standing::Sure) {
            return;
        }
        if record.epoch != self.partition.epoch {
            return self.doubt(DoubtCause::Life);
        }
        self.partition.seq = self.partition.seq.max(record.seq);
        self.join_confirmed(probe);
        self.admit_probed(probe);
    }
}
