//! One connection: what the broker wrote and its client has not read, and what was asked and not answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;

use fanfare_core::{SessionKey, Worker};
use fanfare_protocol::{Encoding, Filter, Frame, Position, Topic};

use super::model::Who;

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
    pub(super) is_blocked: bool,
    /// Nobody reads any more, and the broker does not know.
    pub(super) is_dead: bool,
    /// Written and not arrived.
    pipe: VecDeque<u8>,
    /// Arrived and not read.
    arrived: VecDeque<u8>,
    pipe_bytes: usize,
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

/// What a client reads.
#[derive(Debug)]
pub(super) enum Read {
    Frame(Frame),
    Closed,
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
            is_blocked: false,
            is_dead: false,
            pipe: VecDeque::new(),
            arrived: VecDeque::new(),
            pipe_bytes,
            ids: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Writes what the connection takes, as the daemon does.
    pub(super) fn write(&mut self, worker: &mut Worker) {
        if self.is_blocked || self.is_dead {
            return;
        }
        loop {
            let Some(session) = worker.session(self.key) else { return };
            if session.outbox().is_empty() {
                assert_eq!(session.outbox().bytes(), 0, "an empty outbox holds no bytes");
                return;
            }
            let room = self.pipe_bytes.saturating_sub(self.pipe.len());
            if room == 0 {
                self.is_blocked = true;
                return;
            }
            let mut slices = [IoSlice::new(&[]); 5];
            let count = session.outbox().gather(&mut slices);
            assert!(count > 0, "what is not empty has something to write");
            let pieces = slices[..count].iter().flat_map(|slice| slice.iter().copied());
            let before = self.pipe.len();
            self.pipe.extend(pieces.take(room));
            worker.written(self.key, self.pipe.len() - before);
        }
    }

    /// The next whole frame, if it has arrived.
    pub(super) fn read(&mut self) -> Option<Read> {
        self.read_arrived().or_else(|| {
            self.arrived.append(&mut self.pipe);
            self.is_blocked = false;
            self.read_arrived()
        })
    }

    fn read_arrived(&mut self) -> Option<Read> {
        let at = |index: usize| self.arrived.get(index).copied().map(usize::from);
        let opcode = at(0)?;
        let (header, length) = match at(1)? {
            126 => (4, at(2)? << 8 | at(3)?),
            127 => (10, (2..10).try_fold(0, |length, index| Some(length << 8 | at(index)?))?),
            length => (2, length),
        };
        if self.arrived.len() < header + length {
            return None;
        }
        let payload: Vec<u8> = self.arrived.drain(..header + length).skip(header).collect();
        let expected = if self.encoding == Encoding::Json { 0x81 } else { 0x82 };
        match opcode {
            0x88 => {
                assert!(self.arrived.is_empty() && self.pipe.is_empty(), "nothing comes after a close frame");
                Some(Read::Closed)
            }
            opcode => {
                assert_eq!(opcode, expected, "frames are whole and of the agreed type");
                let frame = Frame::decode(self.encoding, &payload);
                Some(Read::Frame(frame.expect("what the broker writes can be read")))
            }
        }
    }
}
