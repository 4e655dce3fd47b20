//! One value of the input, still as it was written.

use std::borrow::Cow;

use crate::codec::{json, message_pack};
use crate::encoding::Encoding;

/// A slice of the input: one value that is read when it is wanted, and only as what is asked for.
#[derive(Clone, Copy)]
pub(super) enum Element<'a> {
    /// JSON text without white space around it.
    Json(&'a str),
    /// MessagePack bytes.
    MessagePack(&'a [u8]),
}

/// What is wrong with the input, for a person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) Cow<'static, str>);

/// Why an element is no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TextError {
    /// It is something else.
    NotText,
    /// It is text, but not of Unicode characters.
    NotUnicode,
}

impl<'a> Element<'a> {
    /// The whole input as one value, which is not looked at yet.
    pub(super) fn whole(encoding: Encoding, bytes: &'a [u8]) -> Result<Element<'a>, Flaw> {
        match encoding {
            Encoding::MessagePack => Ok(Element::MessagePack(bytes)),
            Encoding::Json => match simdutf8::basic::from_utf8(bytes) {
                Ok(text) => Ok(Element::Json(text.trim_matches(json::is_space))),
                Err(_) => Err(Flaw("is not UTF-8".into())),
            },
        }
    }

    /// It as it was written.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Element::Json(text) => text.as_bytes(),
            Element::MessagePack(bytes) => bytes,
        }
    }

    /// Hands over the elements of an array, in order.
    pub(super) fn elements(self, each: impl FnMut(Element<'a>)) -> Result<(), Flaw> {
        match self {
            Element::Json(text) => json::elements(text, each),
            Element::MessagePack(bytes) => message_pack::elements(bytes, each),
        }
    }

    /// Hands over the keys and values of a map, in order.
    pub(super) fn entries(self, each: impl FnMut(&str, Element<'a>)) -> Result<(), Flaw> {
        match self {
            Element::Json(text) => json::entries(text, each),
            Element::MessagePack(bytes) => message_pack::entries(bytes, each),
        }
    }

    /// True if it is null or nil.
    pub(super) fn is_null(self) -> bool {
        match self {
            Element::Json(text) => text == "null",
            Element::MessagePack(bytes) => bytes == [0xc0],
        }
    }

    /// True if it is a map.
    pub(super) fn is_map(self) -> bool {
        match self {
            Element::Json(text) => text.starts_with('{'),
            Element::MessagePack(bytes) => message_pack::is_map(bytes),
        }
    }

    /// The characters of a string.
    pub(super) fn text(self) -> Result<Cow<'a, str>, TextError> {
        match self {
            Element::Json(text) => json::text(text),
            Element::MessagePack(bytes) => message_pack::text(bytes),
        }
    }

    /// The bytes of a MessagePack `bin`.
    pub(super) fn bin(self) -> Option<&'a [u8]> {
        match self {
            Element::Json(_) => None,
            Element::MessagePack(bytes) => message_pack::bin(bytes),
        }
    }

    /// A whole number from 0, however it is written: `7`, `7.0`, a float.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Element::Json(text) => json::number(text),
            Element::MessagePack(bytes) => message_pack::number(bytes),
        }
    }

    /// True or false.
    pub(super) fn boolean(self) -> Option<bool> {
        match self {
            Element::Json("true") | Element::MessagePack([0xc3]) => Some(true),
            Element::Json("false") | Element::MessagePack([0xc2]) => Some(false),
            Element::Json(_) | Element::MessagePack(_) => None,
        }
    }

    /// Checks that both encodings can say it, and that it nests at most [`crate::DEPTH_MAX`] deep.
    pub(super) fn check(self) -> Result<(), Flaw> {
        match self {
            Element::Json(text) => json::check(text),
            Element::MessagePack(bytes) => message_pack::check(bytes),
        }
    }

    /// How a reason shows it: as JSON, shortened.
    pub(super) fn shown(self) -> String {
        match self {
            Element::Json(text) => shortened(text),
            Element::MessagePack(bytes) => message_pack::shown(bytes),
        }
    }
}

/// The first 64 characters.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The whole number that a float is, as long as every number up to it is one.
pub(super) fn whole_number(float: f64) -> Option<u64> {
    let whole = float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float);
    whole.then_some(float as u64)
}
