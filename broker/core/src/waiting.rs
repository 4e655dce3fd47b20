//! Publishes that wait for room in an inbox, in order of arrival.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::inbox::Inbox;
use crate::interest::WorkerSet;
use crate::partition::{Attempt, Draft, Partition, Published, Refusal};

/// Names a waiting publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket of a number that no other has.
    pub const fn new(number: u64) -> Ticket {
        Ticket(number)
    }
}

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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fanfare_protocol::{Epoch, Filter, Payload, Publication, Topic};

    use super::*;
    use crate::inbox::Delivery;
    use crate::limits::{Limits, TopicRules};

    /// Two workers whose inboxes hold one message, the first following `a`, the second `b`, both `c`.
    struct Scene {
        partition: Partition,
        inboxes: Vec<Inbox>,
        waiting: Waiting,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Scene {
        fn new() -> Scene {
            let epoch = Epoch { partition: 0, life: 1 };
            let mut partition = Partition::new(epoch, TopicRules::default(), Arc::new(Limits::default()));
            for (filter, worker) in [("a", 0), ("b", 1), ("c", 0), ("c", 1)] {
                partition.interest.add_live(&Filter::parse(filter).unwrap(), worker);
            }
            let inboxes = (0..2).map(|_| Inbox::new(1, Box::new(|| ()))).collect();
            Scene { partition, inboxes, waiting: Waiting::default(), told: Arc::default() }
        }

        /// Publishes to a topic, or parks it; its position if it is made at once.
        fn publish(&mut self, topic: &str) -> Option<u64> {
            let publication = Publication::new(Payload::Json("1".into()));
            let draft = Draft { topic: Topic::parse(topic).unwrap(), publication, origin: None, deaf: 0 };
            match self.partition.publish(Now::default(), draft, None, &self.inboxes, self.waiting.blocked()) {
                Attempt::Done(published, ..) => Some(published.position.seq),
                Attempt::Refused(refusal) => panic!("{refusal}"),
                Attempt::Full(draft, workers) => {
                    let (told, topic) = (self.told.clone(), topic.to_owned());
                    let completion = Box::new(move |_, result: Result<Published, Refusal>| {
                        told.lock().unwrap().push(format!("{topic} {}", result.unwrap().position.seq));
                    });
                    self.waiting.push(draft, workers, completion);
                    None
                }
            }
        }

        /// The worker delivers all of its inbox; what could be published then.
        fn deliver(&mut self, worker: usize) -> Vec<String> {
            let mut taken: Vec<Delivery> = Vec::new();
            self.inboxes[worker].take(&mut taken);
            for delivery in taken {
                let Delivery::Message(entry) = delivery else { panic!("only messages are sent here") };
                self.inboxes[worker].release(entry.cost());
            }
            let Scene { partition, inboxes, waiting, .. } = self;
            let (finished, _) = waiting.retry(partition, Now::default(), inboxes);
            finished.into_iter().for_each(Finished::tell);
            std::mem::take(&mut *self.told.lock().unwrap())
        }
    }

    #[test]
    fn those_who_wait_publish_in_order_as_room_comes_free() {
        let mut scene = Scene::new();
        assert_eq!(scene.publish("a"), Some(1));
        assert_eq!(scene.publish("a"), None);
        assert_eq!(scene.publish("a"), None);
        assert_eq!(scene.publish("b"), Some(2), "another worker has room");
        assert_eq!(scene.publish("nobody.follows"), Some(3));
        assert_eq!(scene.deliver(0), ["a 4"]);
        assert_eq!(scene.deliver(0), ["a 5"]);
        assert_eq!((scene.deliver(0), scene.waiting.len()), (vec![], 0));
    }

    #[test]
    fn nobody_overtakes_one_who_waits_for_the_same_room() {
        let mut scene = Scene::new();
        assert_eq!(scene.publish("a"), Some(1));
        assert_eq!(scene.publish("c"), None, "it needs room in both or takes none");
        assert_eq!(scene.inboxes[1].bytes(), 0);
        assert_eq!(scene.publish("b"), None, "there is room, but c waits for it too");
        assert_eq!(scene.deliver(1), [""; 0]);
        assert_eq!(scene.deliver(0), ["c 2"]);
        assert_eq!(scene.deliver(1), ["b 3"]);
    }

    #[test]
    fn a_cancelled_publish_is_never_made_and_blocks_nobody() {
        let mut scene = Scene::new();
        assert_eq!(scene.publish("a"), Some(1));
        assert_eq!(scene.publish("c"), None);
        assert!(scene.waiting.cancel(Ticket(1)));
        assert!(!scene.waiting.cancel(Ticket(1)));
        assert_eq!(scene.publish("b"), Some(2));
        assert_eq!(scene.deliver(0), [""; 0]);
    }
}
