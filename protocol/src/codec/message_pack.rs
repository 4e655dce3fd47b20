//! Reading MessagePack without building a tree and without trusting a length, and saying it in JSON.

mod head;
mod write;

use std::borrow::Cow;

use crate::codec::element::{Element, Flaw, TextError, shortened, whole_number};
use crate::codec::json;
use crate::payload::DEPTH_MAX;

use head::{Head, bytes_of, read_head, read_text};

pub(super) use write::{
    close_array, close_map, open, write_array, write_bin, write_boolean, write_float, write_map, write_nil,
    write_signed, write_text, write_text_with, write_unsigned,
};

/// Hands over the elements of an array that fills `bytes`.
pub(super) fn elements<'a>(bytes: &'a [u8], mut each: impl FnMut(Element<'a>)) -> Result<(), Flaw> {
    let mut rest = bytes;
    let Head::Array(count) = read_head(&mut rest)? else { return Err(Flaw("is no array".into())) };
    for _ in 0..count {
        each(next_element(&mut rest)?);
    }
    end(rest)
}

/// Hands over the keys and values of a map that fills `bytes`.
pub(super) fn entries<'a>(bytes: &'a [u8], mut each: impl FnMut(&str, Element<'a>)) -> Result<(), Flaw> {
    let mut rest = bytes;
    let Head::Map(count) = read_head(&mut rest)? else { return Err(Flaw("is no object".into())) };
    for _ in 0..count {
        let key = read_key(&mut rest)?;
        each(key, next_element(&mut rest)?);
    }
    end(rest)
}

/// True if a map begins here.
pub(super) fn is_map(mut bytes: &[u8]) -> bool {
    matches!(read_head(&mut bytes), Ok(Head::Map(_)))
}

/// The characters of a `str`.
pub(super) fn text(mut bytes: &[u8]) -> Result<Cow<'_, str>, TextError> {
    match read_head(&mut bytes) {
        Ok(Head::Text(length)) => {
            let text = bytes_of(&mut bytes, length).map_err(|_| TextError::NotText)?;
            simdutf8::basic::from_utf8(text).map(Cow::Borrowed).map_err(|_| TextError::NotUnicode)
        }
        _ => Err(TextError::NotText),
    }
}

/// The bytes of a `bin`.
pub(super) fn bin(mut bytes: &[u8]) -> Option<&[u8]> {
    match read_head(&mut bytes) {
        Ok(Head::Bin(length)) => bytes_of(&mut bytes, length).ok(),
        _ => None,
    }
}

/// A whole number from 0; JavaScript writes large ones as floats.
pub(super) fn number(mut bytes: &[u8]) -> Option<u64> {
    match read_head(&mut bytes) {
        Ok(Head::Unsigned(number)) => Some(number),
        Ok(Head::Signed(number)) => u64::try_from(number).ok(),
        Ok(Head::Float(float)) => whole_number(float),
        _ => None,
    }
}

/// Checks that `bytes` are one value that JSON can say and that nests at most [`DEPTH_MAX`] deep.
pub(super) fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let mut rest = bytes;
    check_value(&mut rest, DEPTH_MAX)?;
    end(rest)
}

/// Writes a checked value as JSON; one that was never checked and can't be said becomes null.
pub(super) fn transcode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = bytes;
    if transcode_value(&mut rest, DEPTH_MAX, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// How a reason shows a value.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut rest = bytes;
    match read_head(&mut rest) {
        Ok(Head::Array(_)) => "an array".to_owned(),
        Ok(Head::Map(_)) => "a map".to_owned(),
        Ok(Head::Bin(_)) => "a bin".to_owned(),
        Ok(Head::Ext(_)) => "an ext".to_owned(),
        Ok(Head::Text(length)) => {
            let text = bytes_of(&mut rest, length).map(String::from_utf8_lossy).unwrap_or_default();
            format!("{:?}", shortened(&text))
        }
        Ok(Head::Nil | Head::Boolean(_) | Head::Unsigned(_) | Head::Signed(_) | Head::Float(_)) => {
            let mut json = Vec::new();
            transcode(bytes, &mut json);
            String::from_utf8_lossy(&json).into_owned()
        }
        Err(_) => "nothing".to_owned(),
    }
}

fn end(rest: &[u8]) -> Result<(), Flaw> {
    if rest.is_empty() { Ok(()) } else { Err(Flaw("has bytes after its end".into())) }
}

/// Takes one value, of which only the ends are looked for.
fn next_element<'a>(rest: &mut &'a [u8]) -> Result<Element<'a>, Flaw> {
    let start = *rest;
    let mut pending: u64 = 1;
    while pending > 0 {
        pending -= 1;
        match read_head(rest)? {
            Head::Array(count) => pending = pending.saturating_add(u64::from(count)),
            Head::Map(count) => pending = pending.saturating_add(2 * u64::from(count)),
            Head::Text(length) | Head::Bin(length) | Head::Ext(length) => {
                bytes_of(rest, length)?;
            }
            Head::Nil | Head::Boolean(_) | Head::Unsigned(_) | Head::Signed(_) | Head::Float(_) => {}
        }
    }
    Ok(Element::MessagePack(&start[..start.len() - rest.len()]))
}

fn read_key<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Flaw> {
    let Head::Text(length) = read_head(rest)? else { return Err(Flaw("has a key that is no string".into())) };
    read_text(rest, length)
}

fn deeper(levels: usize) -> Result<usize, Flaw> {
    levels.checked_sub(1).ok_or_else(|| Flaw(format!("nests deeper than {DEPTH_MAX}").into()))
}

fn finite(float: f64) -> Result<f64, Flaw> {
    if float.is_finite() { Ok(float) } else { Err(Flaw(format!("has the number {float}").into())) }
}

fn unsayable(what: &'static str) -> Flaw {
    Flaw(Cow::Borrowed(what))
}

fn check_value(rest: &mut &[u8], levels: usize) -> Result<(), Flaw> {
    match read_head(rest)? {
        Head::Nil | Head::Boolean(_) | Head::Unsigned(_) | Head::Signed(_) => Ok(()),
        Head::Float(float) => finite(float).map(|_| ()),
        Head::Text(length) => read_text(rest, length).map(|_| ()),
        Head::Bin(_) => Err(unsayable("has a bin inside, which JSON can't say")),
        Head::Ext(_) => Err(unsayable("has an ext type, which JSON can't say")),
        Head::Array(count) => {
            let levels = deeper(levels)?;
            (0..count).try_for_each(|_| check_value(rest, levels))
        }
        Head::Map(count) => {
            let levels = deeper(levels)?;
            (0..count).try_for_each(|_| read_key(rest).and_then(|_| check_value(rest, levels)))
        }
    }
}

fn transcode_value(rest: &mut &[u8], levels: usize, out: &mut Vec<u8>) -> Result<(), Flaw> {
    match read_head(rest)? {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Boolean(true) => out.extend_from_slice(b"true"),
        Head::Boolean(false) => out.extend_from_slice(b"false"),
        Head::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Head::Signed(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Head::Float(float) => json::write_float(out, finite(float)?),
        Head::Text(length) => json::write_text(out, read_text(rest, length)?),
        Head::Bin(_) | Head::Ext(_) => return Err(unsayable("JSON can't say it")),
        Head::Array(count) => {
            let levels = deeper(levels)?;
            out.push(b'[');
            for index in 0..count {
                if index > 0 {
                    out.push(b',');
                }
                transcode_value(rest, levels, out)?;
            }
            out.push(b']');
        }
        Head::Map(count) => {
            let levels = deeper(levels)?;
            out.push(b'{');
            for index in 0..count {
                if index > 0 {
                    out.push(b',');
                }
                json::write_text(out, read_key(rest)?);
                out.push(b':');
                transcode_value(rest, levels, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}
