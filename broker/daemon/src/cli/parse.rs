//! Values of arguments, checked as they are read.

use fanfare_protocol::{Cursor, Filter, NameError, PositionError, Topic};

/// A topic.
pub(super) fn topic(text: &str) -> Result<Topic, NameError> {
    Topic::parse(text)
}

/// A filter.
pub(super) fn filter(text: &str) -> Result<Filter, NameError> {
    Filter::parse(text)
}

/// A cursor.
pub(super) fn cursor(text: &str) -> Result<Cursor, PositionError> {
    text.parse()
}
