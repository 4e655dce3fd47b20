//! One connection: what the broker wrote and its client has not read, and what was asked and not answered.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{SessionKey, Worker};
use fanfare_protocol::{Encoding, Filter, Position, Topic};

use super::model::Who;
use crate::it::pipe::{Pipe, Read};

/// A connection and the session at its other end.
pub(super) struct Link {
    pub(super) worker: usize,
    pub(super) key: SessionKey,
    pub(super) who: Who,
    pub(super) encoding: Encoding,
    pub(super) asked: BTreeMap<u64, Asked>,
    /// What the session follows, as the broker has it.
    pub(super) subscribed: BTreeSet<Filter>,
    /// Tags of publishes that were asked for in it.
    pub(super) published: Vec<usize>,
    /// Nobody reads any more, and the broker does not know.
    pub(super) is_dead: bool,
    pub(super) pipe: Pipe,
    ids: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum Asked {
    Subscribe {
        filter: Filter,
        cursor: Position,
        resumed: Option<bool>,
    },
    /// It must be refused with this code.
    Refused(fanfare_protocol::ErrorCode),
    Unsubscribe(Filter),
    History {
        topic: Topic,
        after: Position,
    },
    Publish(usize),
}

impl Link {
    pub(super) fn new(
        worker: usize,
        key: SessionKey,
        who: Who,
        encoding: Encoding,
        pipe_bytes: usize,
    ) -> Link {
        Link {
            worker,
            key,
            who,
            encoding,
            asked: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            published: Vec::new(),
            is_dead: false,
            pipe: Pipe::new(encoding, pipe_bytes),
            ids: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Writes what the connection takes, as the daemon does.
    pub(super) fn write(&mut self, worker: &mut Worker) {
        if !self.is_dead {
            self.pipe.write(worker, self.key);
        }
    }

    /// The next whole frame, if it has arrived.
    pub(super) fn read(&mut self) -> Option<Read> {
        self.pipe.read()
    }
}
