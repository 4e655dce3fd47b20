//! What waits to be written to one session: shared frames and its own, bounded in bytes and items.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use fanfare_protocol::{Filter, Frame, Gap, Position, Topic, replay_prefix, replay_suffix};

use crate::edge::Edge;
use crate::encoded::{Encoded, header};
use crate::entry::Entry;
use crate::event;

/// Up to this capacity an empty outbox keeps its memory, so that a paced stream does not allocate.
const IDLE_CAPACITY: usize = 4;

/// The queue of one session, in order of writing.
#[derive(Debug)]
pub struct Outbox {
    edge: Edge,
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
    /// WebSocket header and the beginning of the `replay` frame; nothing in an event.
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
    pub(crate) fn new(edge: impl Into<Edge>) -> Outbox {
        Outbox { edge: edge.into(), items: VecDeque::new(), bytes: 0, written: 0 }
    }

    /// How what waits is written.
    pub fn edge(&self) -> Edge {
        self.edge
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

    /// What a live message would take.
    pub(crate) fn live_bytes(&self, entry: &Entry) -> usize {
        live_pieces(self.edge, entry).iter().map(|piece| piece.len()).sum()
    }

    /// Appends a live message.
    pub(crate) fn push_live(&mut self, entry: Arc<Entry>) {
        self.push(Item::Live(entry));
    }

    /// Appends a kept message, wrapped for `filter`.
    pub(crate) fn push_replayed(&mut self, filter: &Filter, entry: Arc<Entry>) {
        let head = match self.edge {
            Edge::WebSocket(encoding) => {
                let inner = entry.frame(encoding).payload().len();
                let mut prefix = Vec::with_capacity(filter.as_str().len() + 16);
                replay_prefix(encoding, filter, &mut prefix);
                let whole = prefix.len() + inner + replay_suffix(encoding).len();
                let (header, length) = header(encoding, whole);
                [&header[..length], &prefix].concat().into_boxed_slice()
            }
            Edge::Events => Box::default(),
        };
        self.push(Item::Replayed(Box::new(Replayed { head, entry })));
    }

    /// Appends a frame of this session alone.
    pub(crate) fn push_frame(&mut self, frame: &Frame) {
        self.push(Item::Own(own_bytes(self.edge, frame)));
    }

    /// Appends a frame of this session alone that `write` appends to what it is given.
    pub(crate) fn push_own(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push(Item::Own(Encoded::new(self.edge.encoding(), write).into_bytes()));
    }

    /// Appends bytes that are no frame: a WebSocket control frame, header included, or lines that are no event.
    pub(crate) fn push_control(&mut self, frame: Vec<u8>) {
        self.push(Item::Own(frame.into_boxed_slice()));
    }

    /// Shows what to write next, as many pieces in order as there is place for; how many there are.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut skip, mut count) = (self.written, 0);
        for item in &self.items {
            for piece in pieces(self.edge, item) {
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
            Item::Live(entry) => match self.edge {
                Edge::WebSocket(encoding) => Some(&entry.frame(encoding).bytes()[self.written..]),
                Edge::Events => None,
            },
            Item::Own(bytes) => Some(&bytes[self.written..]),
            Item::Dropped(dropped) => Some(&dropped.frame[self.written..]),
            Item::Replayed(_) => None,
        }
    }

    /// Appends to `into` what to write next, at most so many bytes, as an event stream has it: a line break, which
    /// would end the line, stands in a publisher's JSON only between tokens, where a space means the same.
    pub fn copy(&self, bytes_max: usize, into: &mut Vec<u8>) {
        let (mut skip, end) = (self.written, into.len() + bytes_max);
        for item in &self.items {
            let is_message = matches!(item, Item::Live(_) | Item::Replayed(_));
            for (index, piece) in pieces(self.edge, item).into_iter().enumerate() {
                let begin = skip.min(piece.len());
                skip -= begin;
                let copied = into.len();
                into.extend_from_slice(&piece[begin..piece.len().min(begin + end - copied)]);
                if is_message && index == event::SHARED {
                    let breaks = into[copied..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r'));
                    breaks.for_each(|byte| *byte = b' ');
                }
                if into.len() == end {
                    return;
                }
            }
        }
    }

    /// Takes out what was written; how many messages went out whole.
    pub(crate) fn advance(&mut self, bytes: usize) -> usize {
        self.written += bytes;
        let mut messages = 0;
        while let Some(first) = self.items.front() {
            let length = length(self.edge, first);
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
        let unwritten = self.unwritten();
        let is_live = |item: &Item| matches!(item, Item::Live(_));
        let Some(first) = self.items.range(unwritten..).position(is_live) else { return 0 };
        let first = unwritten + first;
        let is_dropped = |item: &Item| matches!(item, Item::Dropped(_));
        let start = if first > unwritten && is_dropped(&self.items[first - 1]) { first - 1 } else { first };
        let run = self.items.range(start..).take_while(|item| is_live(item) || is_dropped(item)).count();
        let (mut gap, mut live) = (None, 0);
        for item in self.items.drain(start..start + run) {
            self.bytes -= length(self.edge, &item);
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
            let frame = own_bytes(self.edge, &Frame::Gap(gap.clone()));
            self.bytes += frame.len();
            self.items.insert(start, Item::Dropped(Box::new(Dropped { gap, frame })));
        }
        live
    }

    /// Drops the waiting live messages of the topic of `next`; how many went.
    pub(crate) fn drop_same_topic(&mut self, next: &Entry) -> u64 {
        let topic = &next.message.topic;
        // Mostly the topic's previous message waits. Else all are looked at; if that is in vain a whole run is dropped
        // next, so it does not come again for as many messages.
        let mut found = self.find_live(topic, next.prev).or_else(|| {
            let waiting = self.items.iter().enumerate().skip(self.unwritten()).rev();
            waiting.filter_map(live).find(|(_, entry)| entry.message.topic == *topic).map(|(index, _)| index)
        });
        let mut gone = 0;
        while let Some(Item::Live(entry)) = found.and_then(|index| self.items.remove(index)) {
            self.bytes -= self.live_bytes(&entry);
            gone += 1;
            found = self.find_live(topic, entry.prev);
        }
        gone
    }

    /// Drops each waiting live message behind which the next of its topic waits, where `is_latest` says so of it; how
    /// many went.
    pub(crate) fn drop_outdated(&mut self, mut is_latest: impl FnMut(&Entry) -> bool) -> u64 {
        let (edge, unwritten, before) = (self.edge, self.unwritten(), self.items.len());
        let waiting = self.items.iter().enumerate().filter_map(live);
        // Two lives of the numbering give the same seq to messages of different topics.
        let mut outdated: Vec<(u64, Topic)> =
            waiting.map(|(_, entry)| (entry.prev, entry.message.topic.clone())).collect();
        outdated.sort_unstable();
        let (mut index, mut bytes) = (0, 0);
        self.items.retain(|item| {
            index += 1;
            let Some((_, entry)) = live((index, item)).filter(|_| index > unwritten) else { return true };
            let previous = (entry.seq(), &entry.message.topic);
            let found = outdated.binary_search_by(|(seq, topic)| (*seq, topic).cmp(&previous));
            let goes = found.is_ok() && is_latest(entry);
            bytes += if goes { length(edge, item) } else { 0 };
            !goes
        });
        self.bytes -= bytes;
        (before - self.items.len()) as u64
    }

    /// Drops all that waits but the rest of a half-written frame.
    pub(crate) fn cut(&mut self) {
        self.items.truncate(self.unwritten());
        self.bytes = self.items.front().map_or(0, |first| length(self.edge, first));
    }

    /// Gives back memory that an idle session does not need.
    pub(crate) fn shrink(&mut self) {
        if self.items.is_empty() && self.items.capacity() > IDLE_CAPACITY {
            self.items = VecDeque::new();
        }
    }

    fn push(&mut self, item: Item) {
        self.bytes += length(self.edge, &item);
        self.items.push_back(item);
    }

    /// The index of the first item of which nothing is written.
    fn unwritten(&self) -> usize {
        usize::from(self.written > 0)
    }

    /// Where a topic's message of this seq waits live. Live messages stand in order of seq, with others between them.
    fn find_live(&self, topic: &Topic, seq: u64) -> Option<usize> {
        let (mut low, mut high) = (self.unwritten(), self.items.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let up_to_middle = self.items.range(low..=middle).enumerate().rev();
            let Some((index, entry)) = up_to_middle.filter_map(live).next() else {
                low = middle + 1;
                continue;
            };
            match entry.seq().cmp(&seq) {
                Ordering::Equal => return (entry.message.topic == *topic).then_some(low + index),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = low + index,
            }
        }
        None
    }
}

fn live((index, item): (usize, &Item)) -> Option<(usize, &Entry)> {
    match item {
        Item::Live(entry) => Some((index, entry)),
        Item::Replayed(_) | Item::Dropped(_) | Item::Own(_) => None,
    }
}

fn length(edge: Edge, item: &Item) -> usize {
    pieces(edge, item).iter().map(|piece| piece.len()).sum()
}

/// The bytes of an item, in order.
fn pieces(edge: Edge, item: &Item) -> [&[u8]; 3] {
    match item {
        Item::Live(entry) => live_pieces(edge, entry),
        Item::Own(bytes) => [bytes, &[], &[]],
        Item::Dropped(dropped) => [&dropped.frame, &[], &[]],
        Item::Replayed(replayed) => match edge {
            Edge::WebSocket(encoding) => {
                [&replayed.head, replayed.entry.frame(encoding).payload(), replay_suffix(encoding)]
            }
            Edge::Events => event::pieces(&replayed.entry),
        },
    }
}

/// The bytes of a live message, in order.
fn live_pieces(edge: Edge, entry: &Entry) -> [&[u8]; 3] {
    match edge {
        Edge::WebSocket(encoding) => [entry.frame(encoding).bytes(), &[], &[]],
        Edge::Events => event::pieces(entry),
    }
}

/// The bytes of a frame for one session alone.
fn own_bytes(edge: Edge, frame: &Frame) -> Box<[u8]> {
    match edge {
        Edge::WebSocket(encoding) => Encoded::new(encoding, |out| frame.encode(encoding, out)).into_bytes(),
        Edge::Events => {
            let mut out = Vec::new();
            event::write(frame, &mut out);
            out.into_boxed_slice()
        }
    }
}

#[cfg(test)]
mod tests;
