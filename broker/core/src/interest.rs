//! Which workers want a topic, and how many sessions follow it.

use fanfare_protocol::Filter;

use crate::trie::Trie;

/// The most workers of a node.
pub const WORKERS_MAX: usize = 64;

/// A set of workers by index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WorkerSet(u64);

impl WorkerSet {
    pub(crate) fn insert(&mut self, worker: usize) {
        self.0 |= 1 << worker;
    }

    pub(crate) fn extend(&mut self, others: WorkerSet) {
        self.0 |= others.0;
    }

    pub(crate) fn contains(self, worker: usize) -> bool {
        self.0 & (1 << worker) != 0
    }

    pub(crate) fn meets(self, others: WorkerSet) -> bool {
        self.0 & others.0 != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..WORKERS_MAX).filter(move |worker| self.0 & (1 << worker) != 0)
    }
}

/// Who is reached by a topic; good while the generation is the interest's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    generation: u64,
    /// Where its messages must go.
    pub(crate) workers: WorkerSet,
    /// Subscriptions, the replaying ones included.
    pub(crate) followers: u32,
    /// Filters that match.
    pub(crate) filters: u32,
}

/// All filters that sessions of this node follow.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    trie: Trie<Followers>,
    subscriptions: usize,
    /// Counts changes from 1, so that a [`Reach::default`] is never good.
    generation: u64,
}

/// Who follows one filter.
#[derive(Debug, Default)]
struct Followers {
    /// Live subscriptions by worker, none zero.
    live: Vec<(usize, u32)>,
    replaying: u32,
}

impl Interest {
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Counts a subscription whose replay begins.
    pub(crate) fn add_replaying(&mut self, filter: &Filter) {
        self.trie.entry(filter).replaying += 1;
        self.changed(1);
    }

    /// Counts a subscription that is live from its first message on.
    pub(crate) fn add_live(&mut self, filter: &Filter, worker: usize) {
        self.trie.entry(filter).add_live(worker);
        self.changed(1);
    }

    /// A replay has caught up: what follows goes to its worker.
    pub(crate) fn caught_up(&mut self, filter: &Filter, worker: usize) {
        let followers = self.trie.entry(filter);
        followers.replaying -= 1;
        followers.add_live(worker);
        self.changed(0);
    }

    /// A subscription ends; `worker` is where it was live.
    pub(crate) fn remove(&mut self, filter: &Filter, worker: Option<usize>) {
        let followers = self.trie.get_mut(filter).expect("a filter is counted while someone follows it");
        match worker {
            None => followers.replaying -= 1,
            Some(worker) => followers.remove_live(worker),
        }
        if followers.live.is_empty() && followers.replaying == 0 {
            self.trie.remove(filter);
        }
        self.subscriptions -= 1;
        self.changed(0);
    }

    /// Brings `reach` up to date for `topic`.
    pub(crate) fn refresh(&self, topic: &str, reach: &mut Reach) {
        if reach.generation == self.generation && self.generation != 0 {
            return;
        }
        let mut fresh = Reach { generation: self.generation, ..Reach::default() };
        self.trie.visit_matching(topic, &mut |followers| {
            fresh.filters += 1;
            fresh.followers += followers.replaying;
            for (worker, count) in &followers.live {
                fresh.workers.insert(*worker);
                fresh.followers += count;
            }
        });
        *reach = fresh;
    }

    fn changed(&mut self, added: usize) {
        self.subscriptions += added;
        self.generation += 1;
    }
}

impl Followers {
    fn add_live(&mut self, worker: usize) {
        match self.live.iter_mut().find(|(other, _)| *other == worker) {
            Some((_, count)) => *count += 1,
            None => self.live.push((worker, 1)),
        }
    }

    fn remove_live(&mut self, worker: usize) {
        let index = self.live.iter().position(|(other, _)| *other == worker);
        let index = index.expect("a live subscription is counted for its worker");
        self.live[index].1 -= 1;
        if self.live[index].1 == 0 {
            self.live.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    /// Workers, followers and filters that a topic reaches.
    fn reached(interest: &Interest, topic: &str, reach: &mut Reach) -> (Vec<usize>, u32, u32) {
        interest.refresh(topic, reach);
        (reach.workers.iter().collect(), reach.followers, reach.filters)
    }

    #[test]
    fn a_set_of_workers_holds_the_first_and_the_last() {
        let (mut set, mut others) = (WorkerSet::default(), WorkerSet::default());
        set.insert(0);
        set.insert(WORKERS_MAX - 1);
        others.insert(1);
        assert!(!set.meets(others));
        others.extend(set);
        assert!(set.meets(others));
        assert_eq!(others.iter().collect::<Vec<_>>(), [0, 1, WORKERS_MAX - 1]);
    }

    #[test]
    fn a_reach_is_brought_up_to_date_by_each_change() {
        let (mut interest, mut reach) = (Interest::default(), Reach::default());
        assert_eq!(reached(&interest, "a.b", &mut reach), (vec![], 0, 0));
        interest.add_live(&filter("a.b"), 3);
        assert_eq!(reached(&interest, "a.b", &mut reach), (vec![3], 1, 1));
        interest.add_replaying(&filter("a.*"));
        assert_eq!(
            reached(&interest, "a.b", &mut reach),
            (vec![3], 2, 2),
            "a replay hears, but no worker needs it"
        );
        interest.caught_up(&filter("a.*"), 5);
        assert_eq!(reached(&interest, "a.b", &mut reach), (vec![3, 5], 2, 2));
        interest.add_live(&filter("a.*"), 5);
        interest.remove(&filter("a.*"), Some(5));
        assert_eq!(reached(&interest, "a.b", &mut reach), (vec![3, 5], 2, 2));
        interest.remove(&filter("a.*"), Some(5));
        interest.remove(&filter("a.b"), Some(3));
        assert_eq!(reached(&interest, "a.b", &mut reach), (vec![], 0, 0));
        assert_eq!(interest.subscriptions(), 0);
        assert!(interest.trie.is_empty(), "what nobody follows is forgotten");
    }

    #[test]
    fn a_replay_that_ends_before_it_has_caught_up_leaves_nothing() {
        let mut interest = Interest::default();
        interest.add_replaying(&filter(">"));
        interest.add_live(&filter(">"), 0);
        interest.remove(&filter(">"), None);
        assert_eq!(reached(&interest, "a", &mut Reach::default()), (vec![0], 1, 1));
        interest.remove(&filter(">"), Some(0));
        assert!(interest.trie.is_empty());
    }
}
