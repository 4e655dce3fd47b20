//! What waits to be written to one session: shared frames and its own, bounded in bytes and items.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use fanfare_protocol::{Encoding, Filter, Gap, Position, Topic, replay_prefix, replay_suffix};

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
    /// Stands for live messages that were dropped.
    Dropped(Box<Dropped>),
    /// A frame for this session alone.
    Own(Box<[u8]>),
}

#[derive(Debug)]
struct Replayed {
    /// WebSocket header and the beginning of the `replay` frame.
    head: Box<[u8]>,
    entry: Arc<Entry>,
}

/// A null gap in the place of a run of live messages.
#[derive(Debug)]
struct Dropped {
    gap: Gap,
    frame: Box<[u8]>,
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
            Item::Dropped(dropped) => Some(&dropped.frame[self.written..]),
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
            messages += usize::from(matches!(first, Item::Live(_) | Item::Replayed(_)));
            self.items.pop_front();
        }
        messages
    }

    /// Drops the oldest unbroken run of waiting live messages; a null gap stands for it and for those dropped beside
    /// it. How many messages went; 0: there is none to drop.
    pub(crate) fn drop_oldest(&mut self) -> u64 {
        let unwritten = usize::from(self.written > 0);
        let is_live = |item: &Item| matches!(item, Item::Live(_));
        let Some(first) = self.items.range(unwritten..).position(is_live) else { return 0 };
        let first = unwritten + first;
        let is_dropped = |item: &Item| matches!(item, Item::Dropped(_));
        let start = if first > unwritten && is_dropped(&self.items[first - 1]) { first - 1 } else { first };
        let run = self.items.range(start..).take_while(|item| is_live(item) || is_dropped(item)).count();
        let (mut gap, mut live) = (None, 0);
        for item in self.items.drain(start..start + run) {
            let part = match item {
                Item::Live(entry) => {
                    live += 1;
                    let to = entry.message.position;
                    let from = Position { seq: to.seq - 1, ..to };
                    Gap { topic: None, from, to, count: Some(1) }
                }
                Item::Dropped(dropped) => dropped.gap,
                Item::Replayed(_) | Item::Own(_) => unreachable!("the run has live messages and gaps alone"),
            };
            gap = Some(gap.map_or(part.clone(), |before: Gap| Gap {
                to: part.to,
                count: Some(before.count.unwrap_or(0) + part.count.unwrap_or(0)),
                ..before
            }));
        }
        if let Some(gap) = gap {
            let frame = Encoded::new(self.encoding, |out| gap.encode(self.encoding, out)).into_bytes();
            self.items.insert(start, Item::Dropped(Box::new(Dropped { gap, frame })));
        }
        self.count_bytes();
        live
    }

    /// Drops each waiting live message of which a newer one of its topic waits, or is `next`; only where `is_latest`
    /// says so of its topic. How many went.
    pub(crate) fn keep_latest(&mut self, next: &Entry, mut is_latest: impl FnMut(&Entry) -> bool) -> u64 {
        let unwritten = usize::from(self.written > 0);
        let mut newer: BTreeMap<&Topic, bool> = BTreeMap::new();
        newer.insert(&next.message.topic, is_latest(next));
        let mut goes = vec![false; self.items.len()];
        for (index, item) in self.items.iter().enumerate().skip(unwritten).rev() {
            let Item::Live(entry) = item else { continue };
            match newer.get(&entry.message.topic) {
                Some(latest) => goes[index] = *latest,
                None => _ = newer.insert(&entry.message.topic, is_latest(entry)),
            }
        }
        let before = self.items.len();
        let mut goes = goes.into_iter();
        self.items.retain(|_| !goes.next().unwrap_or(false));
        self.count_bytes();
        (before - self.items.len()) as u64
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

    fn count_bytes(&mut self) {
        self.bytes = self.items.iter().map(|item| self.length(item)).sum();
    }

    fn length(&self, item: &Item) -> usize {
        self.pieces(item).iter().map(|piece| piece.len()).sum()
    }

    fn pieces<'a>(&'a self, item: &'a Item) -> [&'a [u8]; 3] {
        match item {
            Item::Live(entry) => [entry.frame(self.encoding).bytes(), &[], &[]],
            Item::Own(bytes) => [bytes, &[], &[]],
            Item::Dropped(dropped) => [&dropped.frame, &[], &[]],
            Item::Replayed(replayed) => {
                let inner = replayed.entry.frame(self.encoding).payload();
                [&replayed.head, inner, replay_suffix(self.encoding)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(topic: &str, seq: u64) -> Arc<Entry> {
        Arc::new(Entry::sample(topic, seq, 0))
    }

    /// Writes at most `bytes`, in pieces of at most `slices`.
    fn write(outbox: &mut Outbox, bytes: usize, slices: usize) -> Vec<u8> {
        let mut pieces = vec![IoSlice::new(&[]); slices];
        let count = outbox.gather(&mut pieces);
        let written: Vec<u8> =
            pieces[..count].iter().flat_map(|piece| piece.iter().copied()).take(bytes).collect();
        outbox.advance(written.len());
        written
    }

    /// The payloads of all frames that wait, read as text.
    fn frames(mut outbox: Outbox) -> Vec<String> {
        let mut bytes = write(&mut outbox, usize::MAX, 100);
        assert!(outbox.is_empty() && outbox.bytes() == 0);
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let frame: Vec<u8> = bytes.drain(..2 + usize::from(bytes[1])).skip(2).collect();
            frames.push(String::from_utf8(frame).unwrap());
        }
        frames
    }

    fn mixed() -> Outbox {
        let mut outbox = Outbox::new(Encoding::Json);
        outbox.push_live(live("a", 1));
        outbox.push_replayed(&Filter::parse("a.>").unwrap(), live("a.b", 2));
        outbox.push_own(|out| out.extend_from_slice(b"own"));
        outbox
    }

    const MIXED: [&str; 3] =
        [r#"["message","a","0.1:1",1]"#, r#"["replay","a.>",["message","a.b","0.1:2",2]]"#, "own"];

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        assert_eq!(frames(mixed()), MIXED);
        let whole = write(&mut mixed(), usize::MAX, 100);
        for (bytes, slices) in [(1, 1), (3, 2), (7, 5), (29, 1), (1_000, 1), (1_000, 3)] {
            let (mut outbox, mut written) = (mixed(), Vec::new());
            while !outbox.is_empty() {
                assert_eq!(outbox.bytes(), whole.len() - written.len());
                written.extend(write(&mut outbox, bytes, slices));
            }
            assert_eq!(written, whole, "{bytes} bytes, {slices} pieces at once");
            assert_eq!(outbox.bytes(), 0);
        }
    }

    #[test]
    fn messages_are_counted_when_they_are_written_whole() {
        let mut outbox = mixed();
        let first = live("a", 1).frame(Encoding::Json).bytes().len();
        assert_eq!(outbox.advance(first - 1), 0);
        assert_eq!(outbox.advance(1), 1);
        let rest = outbox.bytes();
        assert_eq!(outbox.advance(rest), 1, "a reply is no message");
    }

    #[test]
    fn a_cut_keeps_only_the_rest_of_a_half_written_frame() {
        let mut outbox = mixed();
        outbox.cut();
        assert!(outbox.is_empty() && outbox.bytes() == 0);
        let mut outbox = mixed();
        let mut written = write(&mut outbox, 5, 1);
        outbox.cut();
        assert_eq!(outbox.items(), 1);
        written.extend(write(&mut outbox, usize::MAX, 9));
        assert_eq!(written, live("a", 1).frame(Encoding::Json).bytes());
    }

    #[test]
    fn one_gap_stands_for_the_oldest_run_and_neighbours_merge() {
        let mut outbox = Outbox::new(Encoding::Json);
        outbox.push_own(|out| out.extend_from_slice(b"own"));
        for seq in [3, 5] {
            outbox.push_live(live("a", seq));
        }
        outbox.push_own(|out| out.extend_from_slice(b"other"));
        outbox.push_live(live("a", 7));
        assert_eq!((outbox.drop_oldest(), outbox.drop_oldest(), outbox.drop_oldest()), (2, 1, 0));
        outbox.push_live(live("a", 9));
        assert_eq!(outbox.drop_oldest(), 1);
        let gaps =
            [r#"["gap",null,"0.1:2","0.1:5",{"count":2}]"#, r#"["gap",null,"0.1:6","0.1:9",{"count":2}]"#];
        assert_eq!(frames(outbox), ["own", gaps[0], "other", gaps[1]]);
    }

    #[test]
    fn what_is_half_written_is_never_dropped() {
        let mut outbox = Outbox::new(Encoding::Json);
        outbox.push_live(live("a", 1));
        outbox.push_live(live("a", 2));
        let written = write(&mut outbox, 3, 1);
        assert_eq!(outbox.keep_latest(&live("a", 3), |_| true), 1);
        assert_eq!((outbox.items(), outbox.drop_oldest()), (1, 0));
        let rest = write(&mut outbox, usize::MAX, 9);
        assert_eq!([written, rest].concat(), live("a", 1).frame(Encoding::Json).bytes());
    }

    #[test]
    fn the_latest_of_each_topic_stays() {
        let mut outbox = Outbox::new(Encoding::Json);
        for (topic, seq) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("a", 6)] {
            outbox.push_live(live(topic, seq));
        }
        let gone = outbox.keep_latest(&live("c", 7), |entry| entry.message.topic.as_str() != "b");
        assert_eq!(gone, 3, "two of a, one of c, and none of b, whose policy is another");
        let seqs = frames(outbox).iter().map(|frame| frame[frame.len() - 2..].to_owned()).collect::<String>();
        assert_eq!(seqs, "2]5]6]");
    }
}
