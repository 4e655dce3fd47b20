//! What waits to be written to one session: shared frames and its own, bounded in bytes and items.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use fanfare_protocol::{Encoding, Filter, replay_prefix, replay_suffix};

use crate::encoded::{Encoded, header};
use crate::entry::Entry;

/// Up to this capacity an empty outbox keeps its memory, so that a paced stream does not allocate.
const IDLE_CAPACITY: usize = 4;

/// The queue of one session, in order of writing.
#[derive(Debug)]
pub struct Outbox {
    encoding: Encoding,
    items: VecDeque<Item>,
    /// What waits, the written part of the first item included.
    bytes: usize,
    /// How much of the first item is written.
    written: usize,
}

/// One thing to write.
#[derive(Debug)]
enum Item {
    /// A live message: the shared frame.
    Live(Arc<Entry>),
    /// A kept message: the shared frame's payload, wrapped for one filter.
    Replayed(Box<Replayed>),
    /// A frame for this session alone.
    Own(Box<[u8]>),
}

#[derive(Debug)]
struct Replayed {
    /// WebSocket header and the beginning of the `replay` frame.
    head: Box<[u8]>,
    entry: Arc<Entry>,
}

impl Outbox {
    /// An empty outbox that holds no memory.
    pub(crate) fn new(encoding: Encoding) -> Outbox {
        Outbox { encoding, items: VecDeque::new(), bytes: 0, written: 0 }
    }

    /// How frames are written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    /// Items that wait.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Appends a live message; its length.
    pub(crate) fn push_live(&mut self, entry: Arc<Entry>) {
        self.push(Item::Live(entry));
    }

    /// Appends a kept message, wrapped for `filter`.
    pub(crate) fn push_replayed(&mut self, filter: &Filter, entry: Arc<Entry>) {
        let inner = entry.frame(self.encoding).payload().len();
        let mut prefix = Vec::with_capacity(filter.as_str().len() + 16);
        replay_prefix(self.encoding, filter, &mut prefix);
        let whole = prefix.len() + inner + replay_suffix(self.encoding).len();
        let (header, length) = header(self.encoding, whole);
        let head = [&header[..length], &prefix].concat().into_boxed_slice();
        self.push(Item::Replayed(Box::new(Replayed { head, entry })));
    }

    /// Appends a frame of this session alone.
    pub(crate) fn push_own(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push(Item::Own(Encoded::new(self.encoding, write).into_bytes()));
    }

    /// Appends bytes that are no frame of the subprotocol: a WebSocket control frame, header included.
    pub(crate) fn push_control(&mut self, frame: Vec<u8>) {
        self.push(Item::Own(frame.into_boxed_slice()));
    }

    /// Shows what to write next, as many pieces in order as there is place for; how many there are.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut skip, mut count) = (self.written, 0);
        for item in &self.items {
            for piece in self.pieces(item) {
                if skip >= piece.len() {
                    skip -= piece.len();
                } else if count == slices.len() {
                    return count;
                } else {
                    slices[count] = IoSlice::new(&piece[skip..]);
                    (skip, count) = (0, count + 1);
                }
            }
        }
        count
    }

    /// What to write next, if it is one item in one piece.
    pub fn only(&self) -> Option<&[u8]> {
        if self.items.len() != 1 {
            return None;
        }
        match self.items.front()? {
            Item::Live(entry) => Some(&entry.frame(self.encoding).bytes()[self.written..]),
            Item::Own(bytes) => Some(&bytes[self.written..]),
            Item::Replayed(_) => None,
        }
    }

    /// Takes out what was written; how many messages went out whole.
    pub(crate) fn advance(&mut self, bytes: usize) -> usize {
        self.written += bytes;
        let mut messages = 0;
        while let Some(first) = self.items.front() {
            let length = self.length(first);
            if length > self.written {
                break;
            }
            self.written -= length;
            self.bytes -= length;
            messages += usize::from(!matches!(first, Item::Own(_)));
            self.items.pop_front();
        }
        messages
    }

    /// Drops all that waits but the rest of a half-written frame.
    pub(crate) fn cut(&mut self) {
        self.items.truncate(usize::from(self.written > 0));
        self.bytes = self.items.front().map_or(0, |first| self.length(first));
    }

    /// Gives back memory that an idle session does not need.
    pub(crate) fn shrink(&mut self) {
        if self.items.is_empty() && self.items.capacity() > IDLE_CAPACITY {
            self.items = VecDeque::new();
        }
    }

    fn push(&mut self, item: Item) {
        self.bytes += self.length(&item);
        self.items.push_back(item);
    }

    fn length(&self, item: &Item) -> usize {
        self.pieces(item).iter().map(|piece| piece.len()).sum()
    }

    fn pieces<'a>(&'a self, item: &'a Item) -> [&'a [u8]; 3] {
        match item {
            Item::Live(entry) => [entry.frame(self.encoding).bytes(), &[], &[]],
            Item::Own(bytes) => [bytes, &[], &[]],
            Item::Replayed(replayed) => {
                let inner = replayed.entry.frame(self.encoding).payload();
                [&replayed.head, inner, replay_suffix(self.encoding)]
            }
        }
    }
}
