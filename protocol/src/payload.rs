//! What a message carries: one of three kinds of data, and the meta beside it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::encoding::Encoding;

/// The data of a message in the form in which it was published, checked once.
///
/// Three kinds: json ([`Payload::Json`] or [`Payload::MessagePack`], by the publisher's encoding), text, binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Kind json, as the publisher's own JSON text (RFC 8259), UTF-8.
    Json(Bytes),
    /// Kind json, as one MessagePack value that JSON can say.
    MessagePack(Bytes),
    /// Kind text: UTF-8.
    Text(Bytes),
    /// Kind binary: any bytes.
    Binary(Bytes),
}

impl Payload {
    /// The bytes as published.
    pub fn bytes(&self) -> &Bytes {
        let (Payload::Json(bytes)
        | Payload::MessagePack(bytes)
        | Payload::Text(bytes)
        | Payload::Binary(bytes)) = self;
        bytes
    }

    /// The `type` beside the data: text always has one, kind json never.
    pub(crate) fn written_type<'a>(&self, media_type: Option<&'a str>) -> Option<&'a str> {
        match self {
            Payload::Json(_) | Payload::MessagePack(_) => None,
            Payload::Text(_) => Some(media_type.unwrap_or(TEXT_TYPE)),
            Payload::Binary(_) => media_type,
        }
    }

    /// The `encoding` beside the data.
    pub(crate) fn written_encoding(&self, encoding: Encoding) -> Option<&'static str> {
        (encoding == Encoding::Json && matches!(self, Payload::Binary(_))).then_some("base64")
    }
}

/// The media type of text that has no other.
pub(crate) const TEXT_TYPE: &str = "text/plain";

/// What a publisher may say beside the data, and what subscribers get of it.
pub type Headers = BTreeMap<String, String>;

/// What a publisher asks to be published to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The data.
    pub payload: Payload,
    /// The media type of text or binary data.
    pub media_type: Option<Box<str>>,
    /// The publisher's own headers, as they are.
    pub headers: Option<Box<Headers>>,
    /// Seconds for which the message is worth replaying.
    pub ttl_s: Option<u32>,
    /// Makes a retry safe: at most [`IDEMPOTENCY_KEY_BYTES_MAX`] bytes.
    pub idempotency_key: Option<Box<str>>,
}

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 64;
/// The longest media type, in bytes.
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;
/// The most headers of a message.
pub const HEADERS_MAX: usize = 16;
/// The longest header, name and value together, in bytes.
pub const HEADER_BYTES_MAX: usize = 1024;
/// The deepest nesting of data; an array or map in nothing has depth 1.
pub const DEPTH_MAX: usize = 64;

impl Publication {
    /// A publication of the data alone.
    pub fn new(payload: Payload) -> Publication {
        Publication { payload, media_type: None, headers: None, ttl_s: None, idempotency_key: None }
    }
}
