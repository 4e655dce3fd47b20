//! Topics and filters: how they are written and which match.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest topic or filter, in bytes.
pub const TOPIC_BYTES_MAX: usize = 255;
/// The most segments of a topic or filter.
pub const SEGMENTS_MAX: usize = 16;
/// The most filters of a stream of events, or of a call for the history of several.
pub const FILTERS_MAX: usize = 64;

/// The checked name of a topic: 1 to 255 bytes, 1 to 16 segments parted by dots, no wildcard. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// A topic, or one with wildcards: `*` is one segment, `>` at the end one or more. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(Arc<str>);

/// Why a text is no topic or no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// More than [`TOPIC_BYTES_MAX`] bytes; the length found.
    #[error("has {0} bytes, the limit is {TOPIC_BYTES_MAX}")]
    TooLong(usize),
    /// More than [`SEGMENTS_MAX`] segments; the number found.
    #[error("has {0} segments, the limit is {SEGMENTS_MAX}")]
    TooManySegments(usize),
    /// Two dots in a row, or one at an end; which segment, from 1.
    #[error("has an empty segment ({0})")]
    EmptySegment(usize),
    /// A character that names can't have.
    #[error("has {0:?}, which no name may have")]
    Character(char),
    /// A wildcard in a topic.
    #[error("has the wildcard {0:?}, which only filters may have")]
    Wildcard(char),
    /// A wildcard beside other characters of a segment, or `>` before the end.
    #[error("has {0:?} where it is no whole segment, or `>` before the end")]
    MisplacedWildcard(char),
    /// A first segment that begins with `$`.
    #[error("begins with \"$\", which is reserved")]
    Reserved,
}

impl Topic {
    /// Checks a topic without keeping it.
    pub fn check(text: &str) -> Result<(), NameError> {
        check(text, false)
    }

    /// The topic that `text` writes.
    pub fn parse(text: &str) -> Result<Topic, NameError> {
        check(text, false)?;
        Ok(Topic(text.into()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Filter {
    /// The filter that `text` writes.
    pub fn parse(text: &str) -> Result<Filter, NameError> {
        check(text, true)?;
        Ok(Filter(text.into()))
    }

    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if there is no wildcard: the filter is the name of one topic.
    pub fn is_topic(&self) -> bool {
        !self.0.bytes().any(|byte| byte == b'*' || byte == b'>')
    }

    /// The part before the first wildcard, its dot included: `orders.` of `orders.*.paid`, all of a topic.
    pub fn literal_prefix(&self) -> &str {
        let end = self.0.find(['*', '>']).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// True if a message to `topic`, a checked name, belongs to this filter.
    pub fn matches(&self, topic: &str) -> bool {
        let mut names = topic.split('.');
        for part in self.0.split('.') {
            match (part, names.next()) {
                (">", Some(_)) => return true,
                (_, None) => return false,
                ("*", Some(_)) => {}
                (part, Some(name)) if part == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Filter {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&Topic> for Filter {
    fn from(topic: &Topic) -> Filter {
        Filter(topic.0.clone())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

fn check(text: &str, wildcards: bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    if text.starts_with('$') {
        return Err(NameError::Reserved);
    }
    let segments = text.bytes().filter(|byte| *byte == b'.').count() + 1;
    if segments > SEGMENTS_MAX {
        return Err(NameError::TooManySegments(segments));
    }
    for (index, segment) in text.split('.').enumerate() {
        check_segment(segment, wildcards, index + 1, segments)?;
    }
    Ok(())
}

fn check_segment(segment: &str, wildcards: bool, number: usize, segments: usize) -> Result<(), NameError> {
    if segment.is_empty() {
        return Err(NameError::EmptySegment(number));
    }
    if let Some(bad) = segment.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(NameError::Character(bad));
    }
    let Some(wildcard) = segment.chars().find(|c| matches!(c, '*' | '>')) else { return Ok(()) };
    if !wildcards {
        return Err(NameError::Wildcard(wildcard));
    }
    if segment == "*" || (segment == ">" && number == segments) {
        return Ok(());
    }
    Err(NameError::MisplacedWildcard(wildcard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_checked() {
        for good in ["a", "orders.eu.42", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "ä.ö", "a$"] {
            assert_eq!(Topic::parse(good).map(|topic| topic.to_string()), Ok(good.to_owned()));
        }
        assert!(Topic::parse(&"x".repeat(255)).is_ok());
        for (bad, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptySegment(2)),
            (".a", NameError::EmptySegment(1)),
            ("a.", NameError::EmptySegment(2)),
            ("a b", NameError::Character(' ')),
            ("a\u{7}", NameError::Character('\u{7}')),
            ("a.*", NameError::Wildcard('*')),
            (">", NameError::Wildcard('>')),
            ("$sys.x", NameError::Reserved),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", NameError::TooManySegments(17)),
            (&"x".repeat(256), NameError::TooLong(256)),
        ] {
            assert_eq!(Topic::parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn filters_match_whole_segments() {
        for (filter, topic, matches) in [
            ("a", "a", true),
            ("a", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("*.b", "a.b", true),
            ("*", "a", true),
            (">", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("a.*.>", "a.b", false),
            ("a.*.c", "a.b.c", true),
            ("ab", "a", false),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().matches(topic), matches, "{filter} against {topic}");
        }
    }

    #[test]
    fn misplaced_wildcards_are_refused() {
        for bad in ["a.>.b", "a*", "a.b>", "**", ">>"] {
            assert!(matches!(Filter::parse(bad), Err(NameError::MisplacedWildcard(_))), "{bad}");
        }
    }

    #[test]
    fn a_literal_prefix_ends_before_the_first_wildcard() {
        for (filter, prefix) in [("orders.*.x", "orders."), (">", ""), ("a.b", "a.b"), ("a.>", "a.")] {
            assert_eq!(Filter::parse(filter).unwrap().literal_prefix(), prefix);
        }
    }
}
