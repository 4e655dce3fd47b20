//! A connection's bytes on their way from the broker to a client, whole WebSocket frames at its end.

use std::collections::VecDeque;
use std::io::IoSlice;

use fanfare_core::{SessionKey, Worker};
use fanfare_protocol::{Encoding, Frame};

/// What the broker wrote and its client has not read.
pub(super) struct Pipe {
    encoding: Encoding,
    /// It takes nothing until its client reads.
    pub(super) is_blocked: bool,
    /// Written and not arrived.
    written: VecDeque<u8>,
    /// Arrived and not read.
    arrived: VecDeque<u8>,
    bytes_max: usize,
}

/// What a client reads.
#[derive(Debug)]
pub(super) enum Read {
    Frame(Frame),
    Closed,
}

impl Pipe {
    pub(super) fn new(encoding: Encoding, bytes_max: usize) -> Pipe {
        let (written, arrived) = (VecDeque::new(), VecDeque::new());
        Pipe { encoding, is_blocked: false, written, arrived, bytes_max }
    }

    /// Writes what the connection takes, as the daemon does.
    pub(super) fn write(&mut self, worker: &mut Worker, key: SessionKey) {
        if self.is_blocked {
            return;
        }
        loop {
            let Some(session) = worker.session(key) else { return };
            if session.outbox().is_empty() {
                assert_eq!(session.outbox().bytes(), 0, "an empty outbox holds no bytes");
                return;
            }
            let room = self.bytes_max.saturating_sub(self.written.len());
            if room == 0 {
                self.is_blocked = true;
                return;
            }
            let mut slices = [IoSlice::new(&[]); 5];
            let count = session.outbox().gather(&mut slices);
            assert!(count > 0, "what is not empty has something to write");
            let pieces = slices[..count].iter().flat_map(|slice| slice.iter().copied());
            let before = self.written.len();
            self.written.extend(pieces.take(room));
            worker.written(key, self.written.len() - before);
        }
    }

    /// The next whole frame, if it has arrived.
    pub(super) fn read(&mut self) -> Option<Read> {
        self.read_arrived().or_else(|| {
            self.arrived.append(&mut self.written);
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
                assert!(
                    self.arrived.is_empty() && self.written.is_empty(),
                    "nothing comes after a close frame"
                );
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
