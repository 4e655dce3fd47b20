//! The kinds of value that a key takes: how each is read, and what is said when it can't be.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bytesize::ByteSize;
use fanfare_protocol::{Filter, OnSlow};
use serde::Deserialize;
use toml::Value;

use super::origin::parse_origin;
use crate::redis::Address;

const KIB: u64 = 1024;
/// The longest prefix of names on Redis.
const PREFIX_BYTES_MAX: usize = 64;

/// What a key takes.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// An address and port to listen on.
    Address,
    /// `true` or `false`.
    Switch,
    /// A list of web origins.
    Origins,
    /// The address of a Redis.
    Redis,
    /// The path of a file.
    File,
    /// What stands in every name on Redis.
    Prefix,
    /// A topic filter.
    Filter,
    /// What happens to the slow.
    OnSlow,
    /// A whole number.
    Count(RangeInclusive<u64>),
    /// A number of bytes, with or without a unit.
    Size(RangeInclusive<u64>),
    /// A duration with its unit; the range is in milliseconds.
    Duration(RangeInclusive<u64>),
    /// Nothing, for this reason: a later version's.
    NotServed(&'static str),
}

/// What a number counts.
#[derive(Debug, Clone, Copy)]
enum Unit {
    One,
    Byte,
    Millisecond,
}

/// A value as it stands in its source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Raw {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Raw>),
    /// Something that no key takes, as it is shown.
    #[serde(skip)]
    Other(String),
}

impl Kind {
    /// Checks a value without keeping it; an error continues the sentence "`key = value` …".
    pub(super) fn check(&self, raw: &Raw) -> Result<(), String> {
        match self {
            Kind::Address => parse_address(text(raw)?).map(drop),
            Kind::Redis => Address::parse(text(raw)?).map(drop),
            Kind::File => parse_path(text(raw)?),
            Kind::Prefix => parse_prefix(text(raw)?).map(drop),
            Kind::Filter => parse_filter(text(raw)?).map(drop),
            Kind::OnSlow => parse_on_slow(text(raw)?).map(drop),
            Kind::Count(_) | Kind::Size(_) | Kind::Duration(_) => self.number(raw).map(drop),
            Kind::NotServed(reason) => Err(format!("is not served by this version: {reason}")),
            Kind::Switch => match raw {
                Raw::Boolean(_) => Ok(()),
                Raw::Integer(_) | Raw::Text(_) | Raw::List(_) | Raw::Other(_) => {
                    Err("is neither true nor false".to_owned())
                }
            },
            Kind::Origins => {
                let Raw::List(origins) = raw else {
                    return Err("is no list; write one such as [\"https://app.example\"]".to_owned());
                };
                origins.iter().try_for_each(|origin| parse_origin(text(origin)?).map(drop))
            }
        }
    }

    /// The number that a count, a size (in bytes) or a duration (in milliseconds) writes.
    pub(super) fn number(&self, raw: &Raw) -> Result<u64, String> {
        let (unit, range) = self.measure().ok_or("is no number")?;
        let number = match unit {
            Unit::One => count(raw)?,
            Unit::Byte => size(raw)?,
            Unit::Millisecond => milliseconds(raw)?,
        };
        if number < i128::from(*range.start()) {
            return Err(format!("is below the minimum, {}", self.show(*range.start())));
        }
        match u64::try_from(number) {
            Ok(number) if number <= *range.end() => Ok(number),
            Ok(_) | Err(_) => Err(format!("is above the maximum, {}", self.show(*range.end()))),
        }
    }

    /// A number of this kind as a person reads it.
    pub(super) fn show(&self, number: u64) -> String {
        match self.measure() {
            Some((Unit::Byte, _)) => show_size(number),
            Some((Unit::Millisecond, _)) => show_duration(number),
            Some((Unit::One, _)) | None => number.to_string(),
        }
    }

    /// A number of this kind as it stands in a file.
    pub(super) fn write(&self, number: u64) -> Value {
        match self.measure() {
            Some((Unit::Byte, _)) if number >= KIB && number.is_multiple_of(KIB) => show_size(number).into(),
            Some((Unit::Millisecond, _)) => show_duration(number).into(),
            Some((Unit::One | Unit::Byte, _)) | None => {
                Value::Integer(i64::try_from(number).expect("every range ends far below"))
            }
        }
    }

    /// The least and the most, if it is a number.
    pub(super) fn bounds(&self) -> Option<String> {
        let (_, range) = self.measure()?;
        Some(format!("{} to {}", self.show(*range.start()), self.show(*range.end())))
    }

    /// What it counts and within which bounds, if it is a number.
    fn measure(&self) -> Option<(Unit, &RangeInclusive<u64>)> {
        match self {
            Kind::Count(range) => Some((Unit::One, range)),
            Kind::Size(range) => Some((Unit::Byte, range)),
            Kind::Duration(range) => Some((Unit::Millisecond, range)),
            Kind::Address
            | Kind::Switch
            | Kind::Origins
            | Kind::Redis
            | Kind::File
            | Kind::Prefix
            | Kind::Filter
            | Kind::OnSlow
            | Kind::NotServed(_) => None,
        }
    }

    /// What a variable of the environment says, which knows only text.
    pub(super) fn read_variable(&self, written: &str) -> Raw {
        let written = written.trim();
        match self {
            Kind::Switch => written.parse().map_or_else(|_| Raw::Text(written.to_owned()), Raw::Boolean),
            Kind::Count(_) | Kind::Size(_) => {
                written.parse().map_or_else(|_| Raw::Text(written.to_owned()), Raw::Integer)
            }
            Kind::Origins => {
                let origins = written.split(',').map(str::trim).filter(|origin| !origin.is_empty());
                Raw::List(origins.map(|origin| Raw::Text(origin.to_owned())).collect())
            }
            Kind::Address
            | Kind::Redis
            | Kind::File
            | Kind::Prefix
            | Kind::Filter
            | Kind::OnSlow
            | Kind::Duration(_)
            | Kind::NotServed(_) => Raw::Text(written.to_owned()),
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Boolean(value) => write!(f, "{value}"),
            Raw::Integer(value) => write!(f, "{value}"),
            Raw::Text(value) => write!(f, "{value:?}"),
            Raw::Other(shown) => f.write_str(shown),
            Raw::List(values) => {
                let shown: Vec<String> = values.iter().map(Raw::to_string).collect();
                write!(f, "[{}]", shown.join(", "))
            }
        }
    }
}

/// The address that `written` is; `localhost` stands for 127.0.0.1.
pub(crate) fn parse_address(written: &str) -> Result<SocketAddr, String> {
    let numeric = written.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    SocketAddr::from_str(numeric.as_deref().unwrap_or(written))
        .map_err(|_| "is no address and port such as 127.0.0.1:8900 or [::]:8900".to_owned())
}

/// Checks that `written` can be the path of a file; whether there is one is seen when it is read.
fn parse_path(written: &str) -> Result<(), String> {
    if written.is_empty() { Err("is no path of a file".to_owned()) } else { Ok(()) }
}

/// The prefix that `written` is: a name without what has a meaning in names on Redis.
pub(super) fn parse_prefix(written: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if written.is_empty() || written.len() > PREFIX_BYTES_MAX || !written.chars().all(plain) {
        return Err(format!("is no prefix: 1 to {PREFIX_BYTES_MAX} letters, digits and . _ - :"));
    }
    Ok(written.to_owned())
}

/// The filter that `written` is.
pub(super) fn parse_filter(written: &str) -> Result<Filter, String> {
    Filter::parse(written).map_err(|error| format!("is no filter such as \"prices.>\": it {error}"))
}

/// The policy that `written` names.
pub(super) fn parse_on_slow(written: &str) -> Result<OnSlow, String> {
    OnSlow::parse(written).ok_or_else(|| {
        let [first, second, third] = OnSlow::ALL.map(OnSlow::as_str);
        format!("is none of {first:?}, {second:?} and {third:?}")
    })
}

fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) => Ok(text),
        Raw::Boolean(_) | Raw::Integer(_) | Raw::List(_) | Raw::Other(_) => {
            Err("is no text; put it in quotes".to_owned())
        }
    }
}

fn count(raw: &Raw) -> Result<i128, String> {
    match raw {
        Raw::Integer(number) => Ok(i128::from(*number)),
        Raw::Boolean(_) | Raw::Text(_) | Raw::List(_) | Raw::Other(_) => Err("is no whole number".to_owned()),
    }
}

fn size(raw: &Raw) -> Result<i128, String> {
    let wrong = || "is no size such as \"64KiB\"".to_owned();
    match raw {
        Raw::Integer(number) => Ok(i128::from(*number)),
        Raw::Text(written) => {
            written.parse::<ByteSize>().map(|size| i128::from(size.as_u64())).map_err(|_| wrong())
        }
        Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => Err(wrong()),
    }
}

fn milliseconds(raw: &Raw) -> Result<i128, String> {
    match raw {
        Raw::Text(written) => match humantime::parse_duration(written) {
            Ok(duration) => Ok(i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)),
            Err(_) => Err("is no duration such as \"25s\", \"500ms\" or \"1h\"".to_owned()),
        },
        Raw::Integer(_) => Err("has no unit; write a duration such as \"25s\" or \"500ms\"".to_owned()),
        Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => Err("is no duration such as \"25s\"".to_owned()),
    }
}

/// A number of bytes in the largest unit that leaves no rest.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A number of milliseconds in as few units as it takes, the largest first.
pub(super) fn show_duration(ms: u64) -> String {
    let units = [(24 * 3_600_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit, name) in units {
        if rest >= unit {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        let size = || Kind::Size(0..=u64::MAX);
        let duration = || Kind::Duration(0..=u64::MAX);
        for (kind, number, written) in [
            (Kind::Count(0..=u64::MAX), 65_536, "65536"),
            (size(), 0, "0"),
            (size(), 1_000, "1000"),
            (size(), 1_024, "\"1KiB\""),
            (size(), 1_025, "1025"),
            (size(), 1_536 * 1_024, "\"1536KiB\""),
            (size(), 3 << 40, "\"3072GiB\""),
            (duration(), 0, "\"0s\""),
            (duration(), 1, "\"1ms\""),
            (duration(), 75_000, "\"1m 15s\""),
            (duration(), 60_000, "\"1m\""),
            (duration(), 365 * 24 * 3_600_000, "\"365d\""),
            (duration(), 90_061_001, "\"1d 1h 1m 1s 1ms\""),
        ] {
            let value = kind.write(number);
            assert_eq!(value.to_string(), written);
            let text = || Raw::Text(value.as_str().unwrap().to_owned());
            let raw = value.as_integer().map_or_else(text, Raw::Integer);
            assert_eq!(kind.number(&raw), Ok(number));
        }
    }
}
