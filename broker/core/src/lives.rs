//! The lives of a partition's numbering that ended, and where: what a cursor of another epoch is worth.

use fanfare_protocol::{Epoch, Position};

use crate::partition::Partition;

/// Where the present life began, and earlier ones ended.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) began: u64,
    pub(crate) ended: Vec<(Epoch, u64)>,
    /// How often another life took the place of the present one: a life may come back.
    pub(crate) changes: u64,
}

/// What is known of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What lies above this seq is to follow.
    Good(u64),
    /// Nobody knows what the cursor stood for: all up to this seq may be missing.
    Jump(u64),
}

impl Lives {
    /// Where a life ended; none: it has not, or nobody knows of it.
    pub(crate) fn end(&self, epoch: Epoch) -> Option<u64> {
        self.ended.iter().find(|(other, _)| *other == epoch).map(|(_, end)| *end)
    }
}

impl Partition {
    /// What a cursor is worth at this moment.
    pub(crate) fn judge(&self, cursor: Position) -> Verdict {
        let end = if cursor.epoch == self.epoch { Some(self.seq) } else { self.lives.end(cursor.epoch) };
        match end {
            Some(end) if cursor.seq <= end => Verdict::Good(cursor.seq),
            Some(end) => Verdict::Jump(end),
            None => Verdict::Jump(self.lives.began.max(self.log.floor())),
        }
    }
}
