//! Workers whose inbox is full: nothing waits for them, they catch up from the log once they have room.

use std::collections::BTreeMap;

use fanfare_protocol::Gap;

use super::joined::Mirror;
use crate::interest::WorkerSet;
use crate::log::TopicId;

/// What a gap takes of an inbox, in bytes.
pub(crate) const GAP_COST: usize = 512;

/// Where a worker that is behind stands.
#[derive(Debug)]
pub(crate) struct Behind {
    /// All up to this seq was sent to it.
    pub(crate) sent: u64,
    /// Trims up to this number were looked at.
    trims_seen: u64,
    /// Holes told, by their end.
    told: BTreeMap<TopicId, u64>,
}

impl Mirror<'_> {
    /// A worker has no room for what comes next.
    pub(crate) fn fall_behind(&mut self, worker: usize) {
        let (sent, trims_seen) = (self.partition.seq, self.partition.log.trim_count());
        let behind = Behind { sent, trims_seen, told: BTreeMap::new() };
        self.joined.behind.insert(worker, behind);
        self.joined.falls_behind += 1;
    }

    /// Sends the workers that are behind as much as they have room for.
    pub(crate) fn catch_up_all(&mut self) {
        for worker in self.joined.behind.keys().copied().collect::<Vec<_>>() {
            self.catch_up(worker);
        }
    }

    fn catch_up(&mut self, worker: usize) {
        let Some(mut behind) = self.joined.behind.remove(&worker) else { return };
        if !self.inboxes[worker].has_room(GAP_COST) {
            self.joined.behind.insert(worker, behind);
            return;
        }
        self.tell_trimmed(worker, &mut behind);
        while let Some((seq, id)) = self.partition.log.next_above(behind.sent) {
            let topic = self.partition.log.topic(id).expect("the log and the topic keep the same messages");
            let entry = topic.at(seq).expect("the log and the topic keep the same messages").clone();
            let name = entry.message.topic.as_str();
            let is_told = behind.told.get(&id).is_some_and(|end| seq <= *end);
            if !is_told && self.partition.reach(name, Some(id)).workers.contains(worker) {
                let cost = entry.cost();
                if !self.inboxes[worker].has_room(cost) {
                    self.joined.behind.insert(worker, behind);
                    return;
                }
                if self.inboxes[worker].push(entry, cost) {
                    self.joined.wake.insert(worker);
                }
            }
            behind.sent = seq;
        }
        self.admit_caught_up(worker);
    }

    /// What the worker was not sent in time and is kept no more.
    fn tell_trimmed(&mut self, worker: usize, behind: &mut Behind) {
        let log = &self.partition.log;
        let trimmed = log.trimmed_since(behind.trims_seen).filter(|(_, topic)| topic.trimmed > behind.sent);
        let trimmed: Vec<TopicId> = trimmed.map(|(id, _)| id).collect();
        behind.trims_seen = log.trim_count();
        let mut holes = Vec::new();
        for id in trimmed {
            let topic = self.partition.log.topic(id).expect("it was found under the same lock");
            let (name, end) = (topic.name.clone(), topic.trimmed);
            if self.partition.reach(name.as_str(), Some(id)).workers.contains(worker) {
                holes.push((id, name, end));
            }
        }
        let floor = self.partition.log.floor();
        let told_to = if holes.len() > self.partition.limits.holes { self.partition.seq } else { floor };
        if told_to > behind.sent {
            let (from, to) = (self.partition.position(behind.sent), self.partition.position(told_to));
            self.push_gap(worker, Gap { topic: None, from, to, count: None });
            behind.sent = told_to;
        }
        for (id, name, end) in holes {
            // What came back in between and went again is not what was told: that stays missing.
            let told = behind.told.entry(id).or_default();
            let from = (*told).max(behind.sent);
            *told = end.max(*told);
            if end > from {
                let (from, to) = (self.partition.position(from), self.partition.position(end));
                self.push_gap(worker, Gap { topic: Some(name), from, to, count: None });
            }
        }
    }

    /// Sends a gap to workers; those that are behind find it by themselves.
    pub(crate) fn send_gap(&mut self, gap: Gap, workers: WorkerSet) {
        self.joined.counts.holes_told += 1;
        for worker in workers.iter() {
            if !self.joined.behind.contains_key(&worker) {
                self.push_gap(worker, gap.clone());
            }
        }
    }

    /// Sends a gap without a topic to all workers; those that are behind find it by themselves.
    pub(crate) fn send_null_gap(&mut self, gap: Gap) {
        let mut all = WorkerSet::default();
        (0..self.inboxes.len()).for_each(|worker| all.insert(worker));
        self.send_gap(gap, all);
    }

    /// A life of the numbering ended below what is told here: to each worker, from where it stands.
    pub(crate) fn send_life_gap(&mut self, gap: Gap) {
        self.joined.counts.lives_told += 1;
        for worker in 0..self.inboxes.len() {
            let mut own = gap.clone();
            if let Some(behind) = self.joined.behind.get_mut(&worker) {
                behind.trims_seen = 0;
                behind.told.clear();
                if self.partition.lives.end(gap.from.epoch).is_some() && behind.sent <= gap.to.seq {
                    continue;
                }
                own.from.seq = behind.sent;
                behind.sent = gap.to.seq;
            }
            self.push_gap(worker, own);
        }
    }

    /// Gaps need no room: there are only as many as holes may be told one by one, each time.
    fn push_gap(&mut self, worker: usize, gap: Gap) {
        if self.inboxes[worker].push_gap(gap, GAP_COST) {
            self.joined.wake.insert(worker);
        }
    }
}
