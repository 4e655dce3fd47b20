//! A replay that is under way when another life of the numbering begins: what was judged in its own is judged again.

use fanfare_protocol::{Gap, Position};

use super::{Replay, ReplayEvent};
use crate::backplane::Pass;
use crate::lives::Verdict;
use crate::partition::Partition;
use crate::waiting::Ticket;

impl Replay {
    /// True if its seqs were judged in the present life, since that began or came back.
    pub(crate) fn is_of(&self, partition: &Partition) -> bool {
        self.changes == partition.lives.changes
    }

    /// Above which position it goes on, as far as its client knows.
    pub(crate) fn stands(&self) -> Position {
        self.untold_jump().unwrap_or(Position { epoch: self.epoch, seq: self.scanned })
    }

    /// What it has waited for already.
    pub(crate) fn pass(&self) -> Pass {
        self.pass
    }

    /// It waits for an answer.
    pub(crate) fn wait(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// What it waits for, if it does.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.ticket
    }

    /// It need not wait any more, or is to ask again.
    pub(crate) fn go_on(&mut self, pass: Option<Pass>) {
        (self.ticket, self.pass) = (None, pass.unwrap_or(self.pass));
    }

    /// Where the client stands, if that is before a jump of which it was not told yet.
    fn untold_jump(&self) -> Option<Position> {
        self.queue.iter().find_map(|event| match event {
            ReplayEvent::Gap(gap) if gap.topic.is_none() => Some(gap.from),
            ReplayEvent::Gap(_) | ReplayEvent::Message(_) => None,
        })
    }

    /// Holes that were found and are not told yet count as not found.
    fn take_back_holes(&mut self) {
        for event in self.queue.iter().rev() {
            if let ReplayEvent::Gap(Gap { topic: Some(topic), from, .. }) = event {
                self.told.insert(topic.clone(), from.seq);
            }
        }
    }
}

impl Partition {
    /// Goes on in the present life from where the client stands: it may be good there, though it was not in between.
    pub(super) fn enter_life(&self, replay: &mut Replay) {
        if replay.is_of(self) {
            return;
        }
        let is_back = replay.epoch == self.epoch;
        let own_end = if is_back { u64::MAX } else { self.lives.end(replay.epoch).unwrap_or(0) };
        let (Verdict::Good(to) | Verdict::Jump(to)) = self.judge(replay.stands());
        let untold = replay.untold_jump();
        let from = untold.unwrap_or(Position { epoch: replay.epoch, seq: replay.after });
        replay.take_back_holes();
        // What was told missing above the end of its life is not what has these numbers from then on.
        let is_told_above = untold.is_none() && replay.told.values().any(|end| *end > own_end);
        let is_good = matches!(self.judge(from), Verdict::Good(_)) && !is_told_above;
        replay.queue.retain(|event| match event {
            ReplayEvent::Message(entry) => entry.seq() <= to.min(own_end),
            ReplayEvent::Gap(_) => false,
        });
        (replay.epoch, replay.changes) = (self.epoch, self.lives.changes);
        (replay.pass, replay.trims_seen) = (Pass::default(), None);
        if untold.is_some() {
            replay.told.clear();
            replay.after = to;
        }
        replay.scanned = to;
        if !is_good {
            replay.jump(from, self.position(to));
            if untold.is_some() {
                replay.queue.rotate_right(1);
            }
        }
    }
}
