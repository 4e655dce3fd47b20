//! What waits for one worker: messages to deliver and answers to publishes that had to wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_protocol::Gap;

use crate::broker::Answer;
use crate::entry::Entry;

/// An empty inbox keeps room for so many: more is for a flood, and given back.
const SPARE_ITEMS: usize = 1_024;

/// One thing to deliver.
#[derive(Debug)]
pub(crate) enum Delivery {
    Message(Arc<Entry>),
    /// Something is missing for those who follow live.
    Gap(Box<(Gap, usize)>),
}

/// A worker's inbox, bounded in bytes: filled under the partition's lock, emptied by its worker.
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    /// The cost of the messages in it and of those that the worker took and has not delivered yet.
    bytes: AtomicUsize,
    bytes_max: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Delivery>,
    answers: Vec<Answer>,
}

impl Inbox {
    /// An empty inbox; `wake` is called when there is something in it.
    pub(crate) fn new(bytes_max: usize, wake: Box<dyn Fn() + Send + Sync>) -> Inbox {
        Inbox { waiting: Mutex::default(), bytes: AtomicUsize::new(0), bytes_max, wake }
    }

    /// True if a message of this cost fits. What alone is over the bound fits into an empty inbox.
    pub(crate) fn has_room(&self, cost: usize) -> bool {
        // In one order with the count of those who wait: either they see the room or its worker sees them.
        let bytes = self.bytes.load(Ordering::SeqCst);
        bytes == 0 || bytes + cost <= self.bytes_max
    }

    /// Adds a message that has room; true if the worker must be woken.
    pub(crate) fn push(&self, entry: Arc<Entry>, cost: usize) -> bool {
        self.bytes.fetch_add(cost, Ordering::AcqRel);
        let mut waiting = self.lock();
        waiting.entries.push(Delivery::Message(entry));
        waiting.entries.len() == 1
    }

    /// Adds a gap, for which there is always room; true if the worker must be woken.
    pub(crate) fn push_gap(&self, gap: Gap, cost: usize) -> bool {
        self.bytes.fetch_add(cost, Ordering::AcqRel);
        let mut waiting = self.lock();
        waiting.entries.push(Delivery::Gap(Box::new((gap, cost))));
        waiting.entries.len() == 1
    }

    /// Adds an answer; the caller wakes the worker.
    pub(crate) fn answer(&self, answer: Answer) {
        self.lock().answers.push(answer);
    }

    /// Moves all messages to the end of `into`; they take room until they are released.
    pub(crate) fn take(&self, into: &mut impl Extend<Delivery>) {
        let mut entries = std::mem::take(&mut self.lock().entries);
        into.extend(entries.drain(..));
        if entries.capacity() > SPARE_ITEMS {
            return;
        }
        let mut waiting = self.lock();
        if waiting.entries.capacity() == 0 {
            waiting.entries = entries;
        }
    }

    /// Gives back the room of messages that the worker has delivered.
    pub(crate) fn release(&self, cost: usize) {
        self.bytes.fetch_sub(cost, Ordering::SeqCst);
    }

    /// Takes all answers.
    pub(crate) fn take_answers(&self) -> Vec<Answer> {
        std::mem::take(&mut self.lock().answers)
    }

    /// The cost of what waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Tells the worker that there is something.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_bounded_and_takes_any_message_when_it_is_empty() {
        let entry = Arc::new(Entry::sample("a", 1, 0));
        let cost = entry.cost();
        let inbox = Inbox::new(2 * cost, Box::new(|| ()));
        assert!(inbox.has_room(cost) && inbox.has_room(usize::MAX));
        assert!(inbox.push(entry.clone(), cost), "the first wakes the worker");
        assert!(inbox.has_room(cost) && !inbox.has_room(cost + 1));
        assert!(!inbox.push(entry, cost), "the second does not");
        assert!(!inbox.has_room(1));
        let mut taken: Vec<Delivery> = Vec::new();
        inbox.take(&mut taken);
        assert_eq!((taken.len(), inbox.bytes()), (2, 2 * cost), "they take room until they are delivered");
        inbox.release(cost);
        assert_eq!(inbox.bytes(), cost);
        inbox.release(cost);
        inbox.take(&mut taken);
        assert_eq!((taken.len(), inbox.bytes()), (2, 0));
        assert!(inbox.push(Arc::new(Entry::sample("a", 1, 0)), cost), "after that the first wakes it again");
    }
}
