//! The frames of the broker, read by a client: keys and elements that are not known are passed over.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::code::ErrorCode;
use crate::codec::element::{Element, shortened};
use crate::codec::error::FrameError;
use crate::codec::field::Elements;
use crate::encoding::Encoding;
use crate::frame::{Frame, Gap, Message, OkBody, Welcome};
use crate::payload::{Headers, Payload};
use crate::position::Position;
use crate::topic::{Filter, Topic};

impl Frame {
    /// Reads one frame of the broker.
    ///
    /// An error code of a later version is read as [`ErrorCode::Internal`], its word put before the reason.
    pub fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Frame, FrameError> {
        let elements = Elements::of_frame(encoding, bytes).map_err(FrameError::Malformed)?;
        let op = required(&elements, 0, "op")?;
        let op = text("op", op)?;
        match op.as_str() {
            "welcome" => welcome(&elements),
            "ok" => ok(encoding, &elements),
            "error" => error(&elements),
            "message" => message(&elements).map(Frame::Message),
            "gap" => gap(&elements).map(Frame::Gap),
            "replay" => replay(encoding, &elements),
            "live" => live(&elements),
            "unsubscribed" => unsubscribed(&elements),
            "ping" => Ok(Frame::Ping { cursor: parsed("cursor", required(&elements, 1, "cursor")?)? }),
            "goodbye" => goodbye(&elements),
            _ => Err(FrameError::UnknownOp(shortened(&op))),
        }
    }
}

fn welcome(elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let id = optional(elements.at(1), |id| number("id", id))?;
    let mut welcome = Welcome::default();
    entries("welcome", elements.at(2), |key, value| {
        match key {
            "session" => welcome.session = text(key, value)?,
            "resume" => welcome.resume = Some(text(key, value)?),
            "user" => welcome.user = Some(text(key, value)?),
            "heartbeat_ms" => welcome.heartbeat_ms = number(key, value)?,
            "limits" => {
                let limits = &mut welcome.limits;
                entries(key, Some(value), |name, limit| {
                    limits.insert(name.to_owned(), number(name, limit)?);
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(Frame::Welcome { id, welcome })
}

fn ok(encoding: Encoding, elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let id = number("id", required(elements, 1, "id")?)?;
    let mut body = OkBody::default();
    entries("body", elements.at(2), |key, value| {
        match key {
            "cursor" => body.cursor = Some(parsed(key, value)?),
            "resumed" => body.resumed = Some(boolean(key, value)?),
            "position" => body.position = Some(parsed(key, value)?),
            "heard" => body.heard = Some(boolean(key, value)?),
            "receivers" => body.receivers = Some(number(key, value)?),
            "repeated" => body.repeated = Some(boolean(key, value)?),
            "frames" => body.frames = Some(frames(encoding, value)?),
            "more" => body.more = Some(boolean(key, value)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Frame::Ok { id, body })
}

/// The frames of a history; those of a later version are passed over.
fn frames(encoding: Encoding, value: Element<'_>) -> Result<Vec<Frame>, FrameError> {
    let (mut frames, mut result) = (Vec::new(), Ok(()));
    let whole = value.elements(|frame| match message_or_gap(encoding, frame) {
        Ok(frame) => frames.push(frame),
        Err(FrameError::UnknownOp(_)) => {}
        Err(error) => result = Err(error),
    });
    whole.map_err(|flaw| malformed("frames", &flaw.0))?;
    result.map(|()| frames)
}

/// What a replay or a history holds; nothing in it holds frames in its turn.
fn message_or_gap(encoding: Encoding, frame: Element<'_>) -> Result<Frame, FrameError> {
    let elements = Elements::of_frame(encoding, frame.bytes()).map_err(FrameError::Malformed)?;
    let op = text("op", required(&elements, 0, "op")?)?;
    match op.as_str() {
        "message" => message(&elements).map(Frame::Message),
        "gap" => gap(&elements).map(Frame::Gap),
        _ => Err(FrameError::UnknownOp(shortened(&op))),
    }
}

fn error(elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let id = optional(elements.at(1), |id| number("id", id))?;
    let (code, reason) = code_and_reason(elements)?;
    Ok(Frame::Error { id, code, reason, retry_after_ms: option(elements.at(4), "retry_after_ms")? })
}

fn unsubscribed(elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let filter = filter(required(elements, 1, "filter")?)?;
    let (code, reason) = code_and_reason(elements)?;
    Ok(Frame::Unsubscribed {
        filter,
        code,
        reason,
        retry_after_ms: option(elements.at(4), "retry_after_ms")?,
    })
}

fn code_and_reason(elements: &Elements<'_>) -> Result<(ErrorCode, String), FrameError> {
    let word = text("code", required(elements, 2, "code")?)?;
    let reason = optional(elements.at(3), |reason| text("reason", reason))?.unwrap_or_default();
    Ok(match ErrorCode::parse(&word) {
        Some(code) => (code, reason),
        None => (ErrorCode::Internal, format!("{}: {reason}", shortened(&word))),
    })
}

fn replay(encoding: Encoding, elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let filter = filter(required(elements, 1, "filter")?)?;
    let frame = message_or_gap(encoding, required(elements, 2, "frame")?)?;
    Ok(Frame::Replay { filter, frame: Box::new(frame) })
}

fn live(elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let filter = optional(elements.at(1), filter)?;
    Ok(Frame::Live { filter, cursor: parsed("cursor", required(elements, 2, "cursor")?)? })
}

fn goodbye(elements: &Elements<'_>) -> Result<Frame, FrameError> {
    let code = number("code", required(elements, 1, "code")?)?;
    let code = u16::try_from(code).map_err(|_| malformed("code", "is no close code"))?;
    let reason = optional(elements.at(2), |reason| text("reason", reason))?.unwrap_or_default();
    Ok(Frame::Goodbye { code, reason, reconnect_after_ms: option(elements.at(3), "reconnect_after_ms")? })
}

fn gap(elements: &Elements<'_>) -> Result<Gap, FrameError> {
    Ok(Gap {
        topic: optional(elements.at(1), topic)?,
        from: parsed("from", required(elements, 2, "from")?)?,
        to: parsed("to", required(elements, 3, "to")?)?,
        count: option(elements.at(4), "count")?,
    })
}

fn message(elements: &Elements<'_>) -> Result<Message, FrameError> {
    let topic = topic(required(elements, 1, "topic")?)?;
    let position: Position = parsed("position", required(elements, 2, "position")?)?;
    let data = required(elements, 3, "data")?;
    let (mut media_type, mut is_base64, mut time, mut user, mut headers) = (None, false, None, None, None);
    entries("meta", elements.at(4), |key, value| {
        match key {
            "type" => media_type = Some(text(key, value)?.into_boxed_str()),
            "encoding" => is_base64 = text(key, value)? == "base64",
            "time" => time = Some(number(key, value)?),
            "user" => user = Some(text(key, value)?.into_boxed_str()),
            "headers" => headers = Some(Box::new(header_map(value)?)),
            _ => {}
        }
        Ok(())
    })?;
    let payload = payload(data, is_base64, media_type.is_some())?;
    Ok(Message { topic, position, payload, media_type, time, user, headers })
}

fn payload(data: Element<'_>, is_base64: bool, has_type: bool) -> Result<Payload, FrameError> {
    if let Some(bytes) = data.bin() {
        return Ok(Payload::Binary(Bytes::copy_from_slice(bytes)));
    }
    if is_base64 {
        let bytes = STANDARD.decode(text("data", data)?).map_err(|_| malformed("data", "is no base64"))?;
        return Ok(Payload::Binary(bytes.into()));
    }
    if has_type {
        return Ok(Payload::Text(text("data", data)?.into()));
    }
    let bytes = Bytes::copy_from_slice(data.bytes());
    Ok(match data {
        Element::Json(_) => Payload::Json(bytes),
        Element::MessagePack(_) => Payload::MessagePack(bytes),
    })
}

fn header_map(value: Element<'_>) -> Result<Headers, FrameError> {
    let mut headers = Headers::new();
    entries("headers", Some(value), |name, value| {
        headers.insert(name.to_owned(), text(name, value)?);
        Ok(())
    })?;
    Ok(headers)
}

fn entries<'a>(
    name: &str,
    element: Option<Element<'a>>,
    mut read: impl FnMut(&str, Element<'a>) -> Result<(), FrameError>,
) -> Result<(), FrameError> {
    let Some(element) = element.filter(|element| !element.is_null()) else { return Ok(()) };
    let mut result = Ok(());
    let whole = element.entries(|key, value| {
        if result.is_ok() && !value.is_null() {
            result = read(key, value);
        }
    });
    whole.map_err(|flaw| malformed(name, &flaw.0))?;
    result
}

/// The number under one key of a trailing map.
fn option(element: Option<Element<'_>>, wanted: &str) -> Result<Option<u64>, FrameError> {
    let mut found = None;
    entries("options", element, |key, value| {
        if key == wanted {
            found = Some(number(key, value)?);
        }
        Ok(())
    })?;
    Ok(found)
}

fn optional<'a, T>(
    element: Option<Element<'a>>,
    read: impl FnOnce(Element<'a>) -> Result<T, FrameError>,
) -> Result<Option<T>, FrameError> {
    element.filter(|element| !element.is_null()).map(read).transpose()
}

fn required<'a>(elements: &Elements<'a>, index: usize, name: &str) -> Result<Element<'a>, FrameError> {
    elements.at(index).ok_or_else(|| malformed(name, "is missing"))
}

fn text(name: &str, element: Element<'_>) -> Result<String, FrameError> {
    element.text().map(|text| text.into_owned()).map_err(|_| malformed(name, "is no string"))
}

fn number(name: &str, element: Element<'_>) -> Result<u64, FrameError> {
    element.number().ok_or_else(|| malformed(name, "is no whole number"))
}

fn boolean(name: &str, element: Element<'_>) -> Result<bool, FrameError> {
    element.boolean().ok_or_else(|| malformed(name, "is neither true nor false"))
}

fn topic(element: Element<'_>) -> Result<Topic, FrameError> {
    Topic::parse(&text("topic", element)?).map_err(|error| malformed("topic", &error.to_string()))
}

fn filter(element: Element<'_>) -> Result<Filter, FrameError> {
    Filter::parse(&text("filter", element)?).map_err(|error| malformed("filter", &error.to_string()))
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, element: Element<'_>) -> Result<T, FrameError> {
    text(name, element)?.parse().map_err(|error: T::Err| malformed(name, &error.to_string()))
}

fn malformed(name: &str, what: &str) -> FrameError {
    FrameError::Malformed(format!("{name} {what}"))
}
