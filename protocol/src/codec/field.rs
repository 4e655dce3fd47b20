//! Reading one field of a request; what is wrong with it names the field, the value and the limit.

use std::borrow::Cow;

use crate::code::ErrorCode;
use crate::codec::element::{Element, TextError, shortened};
use crate::codec::error::RequestError;
use crate::encoding::Encoding;
use crate::frame::ID_MAX;
use crate::position::Cursor;
use crate::topic::{Filter, NameError, Topic};

/// The most positional elements of a frame that are looked at; no frame has as many.
const ELEMENTS_MAX: usize = 6;

/// The elements of a frame, by their place.
pub(super) struct Elements<'a> {
    first: [Option<Element<'a>>; ELEMENTS_MAX],
    /// How many there are in all.
    pub(super) count: usize,
}

impl<'a> Elements<'a> {
    /// Parts a frame; nothing but its outline is checked.
    pub(super) fn of_frame(encoding: Encoding, bytes: &'a [u8]) -> Result<Elements<'a>, String> {
        Element::whole(encoding, bytes)
            .and_then(|frame| {
                let mut elements = Elements { first: [None; ELEMENTS_MAX], count: 0 };
                frame.elements(|element| {
                    if let Some(place) = elements.first.get_mut(elements.count) {
                        *place = Some(element);
                    }
                    elements.count += 1;
                })?;
                Ok(elements)
            })
            .map_err(|flaw| flaw.0.into_owned())
    }

    /// The element at a place.
    pub(super) fn at(&self, index: usize) -> Option<Element<'a>> {
        self.first.get(index).copied().flatten()
    }

    /// The element at a place where one must be.
    pub(super) fn required(&self, index: usize, name: &str) -> Result<Element<'a>, RequestError> {
        self.at(index).ok_or_else(|| missing(name))
    }
}

/// The request's id.
pub(super) fn id(element: Option<Element<'_>>) -> Result<u64, RequestError> {
    let Some(element) = element else { return Err(bad_frame("id is missing".to_owned())) };
    element
        .number()
        .filter(|id| (1..=ID_MAX).contains(id))
        .ok_or_else(|| bad_frame(format!("id {} is not an integer from 1 to {ID_MAX}", element.shown())))
}

/// Reads a map whose absence says as much as an empty one; `read` gets its keys and values, nulls too.
pub(super) fn map<'a>(
    name: &str,
    element: Option<Element<'a>>,
    mut read: impl FnMut(&str, Element<'a>) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    let Some(element) = element.filter(|element| !element.is_null()) else { return Ok(()) };
    if !element.is_map() {
        return Err(wrong(name, element, "no object"));
    }
    let mut result = Ok(());
    let whole = element.entries(|key, value| {
        if result.is_ok() {
            result = read(key, value);
        }
    });
    whole.map_err(|flaw| bad_frame(format!("{name} {}", flaw.0)))?;
    result
}

/// Checks what stands under a key that is not known.
pub(super) fn ignored(key: &str, value: Element<'_>) -> Result<(), RequestError> {
    value
        .check()
        .map_err(|flaw| RequestError::new(ErrorCode::BadData, format!("{:?} {}", shortened(key), flaw.0)))
}

/// A string.
pub(super) fn text<'a>(name: &str, element: Element<'a>) -> Result<Cow<'a, str>, RequestError> {
    element.text().map_err(|error| match error {
        TextError::NotText => wrong(name, element, "no string"),
        TextError::NotUnicode => bad_frame(format!("{name} is not Unicode")),
    })
}

/// The name of a topic.
pub(super) fn topic(element: Element<'_>) -> Result<Topic, RequestError> {
    let name = text("topic", element)?;
    Topic::parse(&name).map_err(|error| bad_name(ErrorCode::BadTopic, "topic", &name, &error))
}

/// A filter.
pub(super) fn filter(element: Element<'_>) -> Result<Filter, RequestError> {
    let name = text("filter", element)?;
    Filter::parse(&name).map_err(|error| bad_name(ErrorCode::BadFilter, "filter", &name, &error))
}

/// A cursor.
pub(super) fn cursor(name: &str, element: Element<'_>) -> Result<Cursor, RequestError> {
    let written = text(name, element)?;
    written.parse().map_err(|error| {
        RequestError::new(ErrorCode::BadCursor, format!("{name} {:?} {error}", shortened(&written)))
    })
}

/// A whole number from 1 that fits 32 bits.
pub(super) fn count(name: &str, element: Element<'_>) -> Result<u32, RequestError> {
    let number = element.number().and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| wrong(name, element, &format!("not an integer from 1 to {}", u32::MAX)))
}

/// True or false.
pub(super) fn boolean(name: &str, element: Element<'_>) -> Result<bool, RequestError> {
    element.boolean().ok_or_else(|| wrong(name, element, "neither true nor false"))
}

/// The error of a frame that can't be read.
pub(super) fn bad_frame(reason: String) -> RequestError {
    RequestError::new(ErrorCode::BadFrame, reason)
}

/// The error of a field that must be there.
pub(super) fn missing(name: &str) -> RequestError {
    RequestError::new(ErrorCode::BadRequest, format!("{name} is missing"))
}

/// The error of a field that is not what it must be.
pub(super) fn wrong(name: &str, element: Element<'_>, what: &str) -> RequestError {
    RequestError::new(ErrorCode::BadRequest, format!("{name} {} is {what}", element.shown()))
}

fn bad_name(code: ErrorCode, name: &str, written: &str, error: &NameError) -> RequestError {
    RequestError::new(code, format!("{name} {:?} {error}", shortened(written)))
}
