//! Publishes that wait for room in an inbox, in order of arrival.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::inbox::Inbox;
use crate::interest::WorkerSet;
use crate::partition::{Attempt, Draft, Partition, Published, Refusal};

/// Names a waiting publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Called with the outcome of a publish that had to wait, on any thread.
pub type Completion = Box<dyn FnOnce(Ticket, Result<Published, Refusal>) + Send>;

/// An outcome and who is told of it.
pub(crate) struct Finished {
    ticket: Ticket,
    completion: Completion,
    result: Result<Published, Refusal>,
}

impl Finished {
    pub(crate) fn tell(self) {
        (self.completion)(self.ticket, self.result);
    }
}

/// The queue; bounded by who pushes.
#[derive(Default)]
pub(crate) struct Waiting {
    queue: VecDeque<Parked>,
    /// The workers for whose room somebody waits.
    blocked: WorkerSet,
    tickets: u64,
}

struct Parked {
    ticket: Ticket,
    draft: Draft,
    workers: WorkerSet,
    completion: Completion,
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn blocked(&self) -> WorkerSet {
        self.blocked
    }

    pub(crate) fn push(&mut self, draft: Draft, workers: WorkerSet, completion: Completion) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.blocked.extend(workers);
        self.queue.push_back(Parked { ticket, draft, workers, completion });
        ticket
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        let before = self.queue.len();
        self.queue.retain(|parked| parked.ticket != ticket);
        self.find_blocked();
        self.queue.len() < before
    }

    /// Publishes all that fits; nobody overtakes one who waits for the same room.
    pub(crate) fn retry(
        &mut self,
        partition: &mut Partition,
        now: Now,
        inboxes: &[Inbox],
    ) -> (Vec<Finished>, WorkerSet) {
        let (mut finished, mut wake) = (Vec::new(), WorkerSet::default());
        self.blocked = WorkerSet::default();
        for parked in std::mem::take(&mut self.queue) {
            let Parked { ticket, draft, completion, .. } = parked;
            let result = match partition.publish(now, draft, None, inboxes, self.blocked) {
                Attempt::Full(draft, workers) => {
                    self.blocked.extend(workers);
                    self.queue.push_back(Parked { ticket, draft, workers, completion });
                    continue;
                }
                Attempt::Done(published, _, woken) => {
                    wake.extend(woken);
                    Ok(published)
                }
                Attempt::Refused(refusal) => Err(refusal),
            };
            finished.push(Finished { ticket, completion, result });
        }
        (finished, wake)
    }

    fn find_blocked(&mut self) {
        self.blocked = WorkerSet::default();
        for parked in &self.queue {
            self.blocked.extend(parked.workers);
        }
    }
}
