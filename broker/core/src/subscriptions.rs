//! The filters of one session, in order of name.

use fanfare_protocol::Filter;

use crate::session::{State, Subscription};

/// A sorted list: most sessions have one filter or a few, and a list of one takes a third of a tree's first node.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Vec<(Filter, Subscription)>);

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, filter: &Filter) -> bool {
        self.find(filter).is_ok()
    }

    pub(crate) fn get_mut(&mut self, filter: &Filter) -> Option<&mut Subscription> {
        let index = self.find(filter).ok()?;
        Some(&mut self.0[index].1)
    }

    /// Adds a filter that is not there.
    pub(crate) fn insert(&mut self, filter: Filter, subscription: Subscription) {
        let Err(index) = self.find(&filter) else { unreachable!("a filter is followed once by a session") };
        if self.0.is_empty() {
            self.0.reserve_exact(1);
        }
        self.0.insert(index, (filter, subscription));
    }

    pub(crate) fn remove(&mut self, filter: &Filter) -> Option<Subscription> {
        let index = self.find(filter).ok()?;
        Some(self.0.remove(index).1)
    }

    /// True if all of them are.
    pub(crate) fn are_live(&self) -> bool {
        self.0.iter().all(|(_, subscription)| matches!(subscription.state, State::Live(_)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Filter, Subscription)> {
        self.0.iter()
    }

    /// Takes the last out.
    pub(crate) fn pop(&mut self) -> Option<(Filter, Subscription)> {
        self.0.pop()
    }

    fn find(&self, filter: &Filter) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(filter))
    }
}
