//! Reading JSON (RFC 8259) without building a tree, and saying it in MessagePack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::codec::element::{Element, Flaw, TextError, whole_number};
use crate::codec::message_pack;
use crate::payload::DEPTH_MAX;

/// True for white space between tokens.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Hands over the elements of an array.
pub(super) fn elements<'a>(text: &'a str, each: impl FnMut(Element<'a>)) -> Result<(), Flaw> {
    if !text.starts_with('[') {
        return Err(Flaw("is no array".into()));
    }
    let mut input = serde_json::Deserializer::from_str(text);
    input.deserialize_seq(Elements(each)).and_then(|()| input.end()).map_err(flaw)
}

/// Hands over the keys and values of an object.
pub(super) fn entries<'a>(text: &'a str, each: impl FnMut(&str, Element<'a>)) -> Result<(), Flaw> {
    if !text.starts_with('{') {
        return Err(Flaw("is no object".into()));
    }
    let mut input = serde_json::Deserializer::from_str(text);
    input.deserialize_map(Entries(each)).and_then(|()| input.end()).map_err(flaw)
}

/// The characters of a string.
pub(super) fn text(text: &str) -> Result<Cow<'_, str>, TextError> {
    let Some(inner) = text.strip_prefix('"') else { return Err(TextError::NotText) };
    if text.contains('\\') {
        return serde_json::from_str(text).map(Cow::Owned).map_err(|_| TextError::NotUnicode);
    }
    inner.strip_suffix('"').map(Cow::Borrowed).ok_or(TextError::NotText)
}

/// A whole number from 0.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    whole_number(text.parse().ok()?)
}

/// Checks that `text` is one value that every subscriber can be sent.
pub(super) fn check(text: &str) -> Result<(), Flaw> {
    let mut input = serde_json::Deserializer::from_str(text);
    Check { depth: 0 }.deserialize(&mut input).and_then(|()| input.end()).map_err(flaw)
}

/// Writes a checked value as MessagePack; one that was never checked and can't be read becomes nil.
pub(super) fn transcode(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut input = serde_json::Deserializer::from_slice(json);
    if Transcode(&mut *out).deserialize(&mut input).is_err() {
        out.truncate(start);
        message_pack::write_nil(out);
    }
}

/// Writes a string.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a Vec takes every write");
}

/// Writes a finite float.
pub(super) fn write_float(out: &mut Vec<u8>, float: f64) {
    serde_json::to_writer(out, &float).expect("a finite float is JSON, and a Vec takes every write");
}

fn flaw(error: serde_json::Error) -> Flaw {
    if error.is_data() { Flaw(error.to_string().into()) } else { Flaw(format!("is no JSON: {error}").into()) }
}

struct Elements<F>(F);

impl<'a, F: FnMut(Element<'a>)> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut input: A) -> Result<(), A::Error> {
        while let Some(raw) = input.next_element::<&'a RawValue>()? {
            (self.0)(Element::Json(raw.get()));
        }
        Ok(())
    }
}

struct Entries<F>(F);

impl<'a, F: FnMut(&str, Element<'a>)> Visitor<'a> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut input: A) -> Result<(), A::Error> {
        while let Some(key) = input.next_key_seed(Key)? {
            let raw = input.next_value::<&'a RawValue>()?;
            (self.0)(&key, Element::Json(raw.get()));
        }
        Ok(())
    }
}

/// A key, copied only if it has escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, input: D) -> Result<Cow<'a, str>, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Reads a value and keeps nothing; the reader itself refuses lone surrogates and numbers out of range.
struct Check {
    depth: usize,
}

impl Check {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nests deeper than {DEPTH_MAX}")));
        }
        Ok(self.depth + 1)
    }
}

impl<'a> DeserializeSeed<'a> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut input: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        while input.next_element_seed(Check { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut input: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        while input.next_key_seed(Check { depth })?.is_some() {
            input.next_value_seed(Check { depth })?;
        }
        Ok(())
    }
}

/// Writes a value as MessagePack while it is read.
struct Transcode<'o>(&'o mut Vec<u8>);

impl<'a> DeserializeSeed<'a> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        message_pack::write_nil(self.0);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        message_pack::write_boolean(self.0, value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        message_pack::write_unsigned(self.0, value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        message_pack::write_signed(self.0, value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        message_pack::write_float(self.0, value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        message_pack::write_text(self.0, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut input: A) -> Result<(), A::Error> {
        let head = message_pack::open(self.0);
        let mut count = 0;
        while input.next_element_seed(Transcode(&mut *self.0))?.is_some() {
            count += 1;
        }
        message_pack::close_array(self.0, head, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut input: A) -> Result<(), A::Error> {
        let head = message_pack::open(self.0);
        let mut count = 0;
        while input.next_key_seed(Transcode(&mut *self.0))?.is_some() {
            input.next_value_seed(Transcode(&mut *self.0))?;
            count += 1;
        }
        message_pack::close_map(self.0, head, count);
        Ok(())
    }
}
