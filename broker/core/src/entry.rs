//! One message in the log, with its encoded frames.

use std::sync::OnceLock;

use fanfare_protocol::{Encoding, Message, OnSlow};

use crate::encoded::Encoded;

/// The number of a session, unique in this broker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A numbered message, shared by the log and all outboxes; each encoding is written once, when first asked for.
#[derive(Debug)]
pub struct Entry {
    /// What subscribers get.
    pub message: Message,
    /// The seq of the topic's previous message; 0: none.
    pub prev: u64,
    /// When it was numbered, in microseconds on the broker's own clock.
    pub numbered_us: u64,
    /// From when on it is not worth replaying, in milliseconds on the broker's own clock.
    pub expires_ms: Option<u64>,
    /// The session that published it, if one did.
    pub origin: Option<SessionId>,
    /// What its topic's rule does to a subscriber that is too slow for it.
    pub on_slow: OnSlow,
    json: OnceLock<Encoded>,
    message_pack: OnceLock<Encoded>,
}

impl Entry {
    /// The entry of `message`, encoded in nothing yet.
    pub fn new(
        message: Message,
        prev: u64,
        numbered_us: u64,
        expires_ms: Option<u64>,
        origin: Option<SessionId>,
        on_slow: OnSlow,
    ) -> Entry {
        let (json, message_pack) = (OnceLock::new(), OnceLock::new());
        Entry { message, prev, numbered_us, expires_ms, origin, on_slow, json, message_pack }
    }

    /// The message's number in its partition.
    pub fn seq(&self) -> u64 {
        self.message.position.seq
    }

    /// When it was numbered, in milliseconds on the broker's own clock.
    pub fn numbered_ms(&self) -> u64 {
        self.numbered_us / 1_000
    }

    /// Its `message` frame.
    pub fn frame(&self, encoding: Encoding) -> &Encoded {
        let cell = match encoding {
            Encoding::Json => &self.json,
            Encoding::MessagePack => &self.message_pack,
        };
        cell.get_or_init(|| Encoded::message(encoding, &self.message))
    }

    /// What it counts against the bounds of inboxes and history: its payload, kept and in both encodings, and
    /// what stands around it.
    pub fn cost(&self) -> usize {
        cost(&self.message)
    }

    /// True if nobody wants it replayed any more.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms)
    }

    /// True if it is to be replayed to one who gets nothing of the session `deaf_to`.
    pub(crate) fn is_wanted(&self, now_ms: u64, deaf_to: Option<SessionId>) -> bool {
        let own_echo = self.origin.is_some() && self.origin == deaf_to;
        !own_echo && !self.is_expired(now_ms)
    }
}

/// See [`Entry::cost`].
pub(crate) fn cost(message: &Message) -> usize {
    let headers: usize = message
        .headers
        .iter()
        .flat_map(|headers| headers.iter())
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let text = message.topic.as_str().len() + message.media_type.as_deref().map_or(0, str::len) + headers;
    size_of::<Entry>() + 256 + 3 * (message.payload.bytes().len() + text)
}

#[cfg(test)]
impl Entry {
    /// A small message of epoch `0.1`, numbered at a time.
    pub(crate) fn sample(topic: &str, seq: u64, now_ms: u64) -> Entry {
        let message = Message {
            topic: fanfare_protocol::Topic::parse(topic).unwrap(),
            position: format!("0.1:{seq}").parse().unwrap(),
            payload: fanfare_protocol::Payload::Json(seq.to_string().into()),
            media_type: None,
            time: None,
            user: None,
            headers: None,
        };
        Entry::new(message, 0, now_ms * 1_000, None, None, OnSlow::Disconnect)
    }
}
