//! What nodes say to each other through Redis: messages, kept and spread, clearings and probes.
//!
//! An envelope begins with the version of who wrote it and a kind. A message's head, 34 bytes, and a clearing's, 18, are
//! written by a script, and are the same in all versions; what follows are fields, written by the node that asks: a tag,
//! a length, a value; a message's data comes last, without a length. A version N reads N-1 and N+1: what N+1 adds are
//! fields with tags below 128, which N skips. What may not be skipped gets a tag from 128 on, or a kind, two versions
//! after all could read it. A probe is read by who sent it alone.
//!
//! What a publisher said has the same fingerprint in all versions that can say it, so that a retry may go to a node of
//! another one.

use bytes::Bytes;
use fanfare_core::{Numbered, Record, SessionId};
use fanfare_protocol::{Epoch, Headers, Message, Payload, Position, Publication, Topic};
use sha1::{Digest, Sha1};

/// The version of what this broker writes; one more if it is built as its own successor.
pub(super) const VERSION: u8 = if cfg!(feature = "next-envelope") { 2 } else { 1 };

/// Where the fields of a message begin.
const HEAD_BYTES: usize = 34;
/// Unknown fields below this are skipped.
const MUST_KNOW: u8 = 128;

const KIND_MESSAGE: u8 = 1;
const KIND_CLEARED: u8 = 2;
const KIND_PROBED: u8 = 3;

const TAG_ORIGIN: u8 = 1;
const TAG_TOPIC: u8 = 2;
const TAG_MEDIA_TYPE: u8 = 3;
const TAG_TTL: u8 = 4;
const TAG_HEADER: u8 = 5;
/// What only the successor writes: it is in all that it writes, and in nothing else.
const TAG_NEXT: u8 = 99;
const TAG_JSON: u8 = 128;
const TAG_MESSAGE_PACK: u8 = 129;
const TAG_TEXT: u8 = 130;
const TAG_BINARY: u8 = 131;

/// One thing that came from Redis.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Envelope {
    /// A message.
    Message(Box<Numbered>),
    /// A topic was trimmed up to a position.
    Cleared {
        /// The topic.
        topic: Topic,
        /// The position, of the life in which it was trimmed.
        to: Position,
    },
    /// A probe is back.
    Probed {
        /// Its number.
        probe: u64,
        /// The record when it was sent.
        record: Record,
    },
}

/// Why bytes are no envelope that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvelopeError {
    /// It was written by a version that is too far away.
    #[error("it has version {found}, and this broker reads {} to {}", VERSION - 1, VERSION + 1)]
    Version {
        /// The version.
        found: u8,
    },
    /// It holds something that this version does not know and may not skip.
    #[error("it holds something unknown, of number {0}")]
    Unknown(u8),
    /// It ends too soon, or holds what can't be.
    #[error("its {0} can't be read")]
    Garbled(&'static str),
}

/// The fields of a message, as the publishing node writes them.
pub(super) fn encode(topic: &Topic, publication: &Publication, origin: Option<(u64, SessionId)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + topic.as_str().len() + publication.payload.bytes().len());
    if let Some((node, session)) = origin {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&node.to_be_bytes());
        value[8..].copy_from_slice(&session.0.to_be_bytes());
        field(&mut out, TAG_ORIGIN, &value);
    }
    next(&mut out);
    content(&mut out, topic, publication);
    out
}

/// The fields of a clearing, as the clearing node writes them.
pub(super) fn encode_clearing(topic: &Topic) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + topic.as_str().len());
    field(&mut out, TAG_TOPIC, topic.as_str().as_bytes());
    next(&mut out);
    out
}

/// What tells two publishes with the same idempotency key apart.
pub(super) fn fingerprint(topic: &Topic, publication: &Publication) -> String {
    let mut out = Vec::new();
    content(&mut out, topic, publication);
    Sha1::digest(&out).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn content(out: &mut Vec<u8>, topic: &Topic, publication: &Publication) {
    field(out, TAG_TOPIC, topic.as_str().as_bytes());
    if let Some(media_type) = &publication.media_type {
        field(out, TAG_MEDIA_TYPE, media_type.as_bytes());
    }
    if let Some(ttl_s) = publication.ttl_s {
        field(out, TAG_TTL, &ttl_s.to_be_bytes());
    }
    if let Some(headers) = &publication.headers {
        for (name, value) in headers.iter() {
            let mut pair = Vec::with_capacity(2 + name.len() + value.len());
            pair.extend_from_slice(&(name.len() as u16).to_be_bytes());
            pair.extend_from_slice(name.as_bytes());
            pair.extend_from_slice(value.as_bytes());
            field(out, TAG_HEADER, &pair);
        }
    }
    out.push(match publication.payload {
        Payload::Json(_) => TAG_JSON,
        Payload::MessagePack(_) => TAG_MESSAGE_PACK,
        Payload::Text(_) => TAG_TEXT,
        Payload::Binary(_) => TAG_BINARY,
    });
    out.extend_from_slice(publication.payload.bytes());
}

/// What the successor adds.
fn next(out: &mut Vec<u8>) {
    if cfg!(feature = "next-envelope") {
        field(out, TAG_NEXT, b"something new");
    }
}

/// A tag, a length of two bytes and a value, none of which is longer than that says.
fn field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("every field but the data is bounded far below 64 KiB");
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// Reads an envelope of a partition; `now_ms` is the server's time, for a message that was kept.
pub(super) fn decode(bytes: Bytes, partition: u16, now_ms: Option<u64>) -> Result<Envelope, EnvelopeError> {
    let mut reader = Reader { bytes: &bytes };
    let found = reader.byte("version")?;
    if found.abs_diff(VERSION) > 1 {
        return Err(EnvelopeError::Version { found });
    }
    let epoch = |life| Epoch { partition, life };
    match reader.byte("kind")? {
        KIND_MESSAGE => {
            let [life, seq, prev, time_ms] = reader.numbers("head")?;
            let position = Position { epoch: epoch(life), seq };
            let age_ms = now_ms.map_or(0, |now_ms| now_ms.saturating_sub(time_ms));
            let mut numbered = fields(&bytes, position, time_ms)?;
            (numbered.prev, numbered.age_ms) = (prev, age_ms);
            Ok(Envelope::Message(Box::new(numbered)))
        }
        KIND_CLEARED => {
            let [life, seq] = reader.numbers("clearing")?;
            let to = Position { epoch: epoch(life), seq };
            Ok(Envelope::Cleared { topic: cleared(reader)?, to })
        }
        KIND_PROBED => {
            let [probe, life, began, seq, floor] = reader.numbers("record")?;
            let ended = ended(partition, text(reader.bytes, "ended lives")?)?;
            let record = Record { epoch: epoch(life), began, seq, floor, ended };
            Ok(Envelope::Probed { probe, record })
        }
        kind => Err(EnvelopeError::Unknown(kind)),
    }
}

/// The ended lives of a record, `life:seq` parted by spaces.
pub(super) fn ended(partition: u16, written: &str) -> Result<Vec<(Epoch, u64)>, EnvelopeError> {
    let one = |written: &str| {
        let (life, seq) = written.split_once(':')?;
        Some((Epoch { partition, life: life.parse().ok()? }, seq.parse().ok()?))
    };
    let ended: Option<Vec<_>> = written.split_whitespace().map(one).collect();
    ended.ok_or(EnvelopeError::Garbled("ended lives"))
}

/// Reads the fields behind a clearing's head.
fn cleared(mut reader: Reader<'_>) -> Result<Topic, EnvelopeError> {
    let mut name = None;
    while !reader.bytes.is_empty() {
        let tag = reader.byte("field")?;
        if tag >= MUST_KNOW {
            return Err(EnvelopeError::Unknown(tag));
        }
        let value = reader.value()?;
        if tag == TAG_TOPIC {
            name = Some(topic(value)?);
        }
    }
    name.ok_or(EnvelopeError::Garbled("topic"))
}

/// Reads the fields behind a message's head.
fn fields(bytes: &Bytes, position: Position, time_ms: u64) -> Result<Numbered, EnvelopeError> {
    let mut reader = Reader { bytes: &bytes[HEAD_BYTES..] };
    let (mut name, mut media_type, mut ttl_s, mut origin) = (None, None, None, None);
    let mut is_next = false;
    let mut headers: Option<Box<Headers>> = None;
    let payload = loop {
        let tag = reader.byte("data")?;
        let data = || bytes.slice_ref(&bytes[bytes.len() - reader.bytes.len()..]);
        match tag {
            TAG_JSON => break Payload::Json(data()),
            TAG_MESSAGE_PACK => break Payload::MessagePack(data()),
            TAG_TEXT => break Payload::Text(data()),
            TAG_BINARY => break Payload::Binary(data()),
            0..MUST_KNOW => {}
            _ => return Err(EnvelopeError::Unknown(tag)),
        }
        let value = reader.value()?;
        match tag {
            TAG_ORIGIN => {
                let [node, session] = Reader { bytes: value }.numbers("origin")?;
                origin = Some((node, SessionId(session)));
            }
            TAG_TOPIC => name = Some(topic(value)?),
            TAG_MEDIA_TYPE => media_type = Some(text(value, "media type")?.into()),
            TAG_TTL => {
                let value = value.try_into().map_err(|_| EnvelopeError::Garbled("ttl"))?;
                ttl_s = Some(u32::from_be_bytes(value));
            }
            TAG_HEADER => {
                let mut pair = Reader { bytes: value };
                let name = text(pair.value()?, "header")?.to_owned();
                headers.get_or_insert_default().insert(name, text(pair.bytes, "header")?.to_owned());
            }
            TAG_NEXT => is_next = true,
            _ => {}
        }
    };
    if cfg!(feature = "next-envelope") && is_next != (bytes[0] == VERSION) {
        return Err(EnvelopeError::Garbled("something new"));
    }
    let topic = name.ok_or(EnvelopeError::Garbled("topic"))?;
    let time = Some(time_ms);
    let message = Message { topic, position, payload, media_type, time, user: None, headers };
    Ok(Numbered { message, prev: 0, age_ms: 0, ttl_s, origin })
}

fn topic(bytes: &[u8]) -> Result<Topic, EnvelopeError> {
    Topic::parse(text(bytes, "topic")?).map_err(|_| EnvelopeError::Garbled("topic"))
}

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, EnvelopeError> {
    std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Garbled(what))
}

/// What is left to be read.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self, what: &'static str) -> Result<u8, EnvelopeError> {
        let (first, rest) = self.bytes.split_first().ok_or(EnvelopeError::Garbled(what))?;
        self.bytes = rest;
        Ok(*first)
    }

    /// A length of two bytes and as many bytes.
    fn value(&mut self) -> Result<&'a [u8], EnvelopeError> {
        let (length, rest) = self.bytes.split_first_chunk().ok_or(EnvelopeError::Garbled("length"))?;
        let (value, rest) = rest
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(EnvelopeError::Garbled("field"))?;
        self.bytes = rest;
        Ok(value)
    }

    fn numbers<const N: usize>(&mut self, what: &'static str) -> Result<[u64; N], EnvelopeError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            let (bytes, rest) = self.bytes.split_first_chunk().ok_or(EnvelopeError::Garbled(what))?;
            *number = u64::from_be_bytes(*bytes);
            self.bytes = rest;
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests;
