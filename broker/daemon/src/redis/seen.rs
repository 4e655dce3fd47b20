//! How far the node has seen each life of the numbering come: a server that has less of one has lost something.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;

/// As many lives as a record tells: the one that goes on and those that ended.
const LIVES_MAX: usize = 9;

/// The highest seq seen of each life, those that were met last; shared, and kept over all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Rc<RefCell<VecDeque<(u64, u64)>>>);

impl Seen {
    /// A life has come so far.
    pub(super) fn note(&self, life: u64, seq: u64) {
        let mut lives = self.0.borrow_mut();
        if let Some((_, seen)) = lives.iter_mut().find(|(known, _)| *known == life) {
            *seen = seq.max(*seen);
            return;
        }
        if lives.len() == LIVES_MAX {
            lives.pop_front();
        }
        lives.push_back((life, seq));
    }

    /// `life:seq` parted by spaces, as scripts are told.
    pub(super) fn written(&self) -> String {
        self.0.borrow().iter().fold(String::new(), |mut written, (life, seq)| {
            let space = if written.is_empty() { "" } else { " " };
            write!(written, "{space}{life}:{seq}").expect("a string takes all that is written");
            written
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_life_the_highest_seq_is_kept_and_of_too_many_the_last() {
        let seen = Seen::default();
        for (life, seq) in [(7, 3), (8, 4), (7, 2), (8, 9)] {
            seen.note(life, seq);
        }
        assert_eq!(seen.written(), "7:3 8:9");
        (20..28).for_each(|life| seen.note(life, 10));
        assert_eq!(seen.written(), "8:9 20:10 21:10 22:10 23:10 24:10 25:10 26:10 27:10");
    }
}
