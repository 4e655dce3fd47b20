//! The frames of clients: read by the broker, written by SDKs.

use crate::code::ErrorCode;
use crate::codec::element::{Element, shortened};
use crate::codec::error::RequestError;
use crate::codec::field::{self, Elements};
use crate::codec::publication::PublishOptions;
use crate::codec::writer::{Field, Writer};
use crate::encoding::Encoding;
use crate::frame::{OnSlow, Request, SubscribeOptions};
use crate::payload::Publication;

/// Reads one frame of a client; nothing in it is believed.
pub fn decode_request(encoding: Encoding, bytes: &[u8]) -> Result<Request, RequestError> {
    let elements =
        Elements::of_frame(encoding, bytes).map_err(|flaw| field::bad_frame(format!("frame {flaw}")))?;
    let op = elements.at(0).ok_or_else(|| field::bad_frame("op is missing".to_owned()))?;
    let op = op.text().map_err(|_| field::bad_frame(format!("op {} is no string", op.shown())))?;
    let Some(fields) = field_count(&op) else {
        let id = field::id(elements.at(1)).ok();
        return Err(RequestError { id, code: ErrorCode::UnknownOp, reason: unknown(&op) });
    };
    if op == "pong" {
        refuse_extra(&op, fields, &elements)?;
        options_of(&elements, fields, ignore)?;
        return Ok(Request::Pong);
    }
    let id = field::id(elements.at(1))?;
    refuse_extra(&op, fields, &elements).map_err(|error| error.of(id))?;
    decode_known(&op, id, &elements).map_err(|error| error.of(id))
}

/// How many elements stand before the trailing map, the op included.
fn field_count(op: &str) -> Option<usize> {
    match op {
        "pong" => Some(1),
        "connect" => Some(2),
        "subscribe" | "unsubscribe" | "history" | "presence" | "token" => Some(3),
        "publish" => Some(4),
        _ => None,
    }
}

fn refuse_extra(op: &str, fields: usize, elements: &Elements<'_>) -> Result<(), RequestError> {
    if elements.count > fields + 1 {
        let reason = format!("{op} has {} elements, the limit is {}", elements.count, fields + 1);
        return Err(field::bad_frame(reason));
    }
    Ok(())
}

fn unknown(op: &str) -> String {
    format!("op {:?} is unknown", shortened(op))
}

fn decode_known(op: &str, id: u64, elements: &Elements<'_>) -> Result<Request, RequestError> {
    match op {
        "connect" => connect(id, elements),
        "subscribe" => subscribe(id, elements),
        "unsubscribe" => {
            let filter = field::filter(elements.required(2, "filter")?)?;
            options_of(elements, 3, ignore)?;
            Ok(Request::Unsubscribe { id, filter })
        }
        "publish" => publish(id, elements),
        "history" => history(id, elements),
        "presence" => {
            let topic = field::topic(elements.required(2, "topic")?)?;
            options_of(elements, 3, ignore)?;
            Ok(Request::Presence { id, topic })
        }
        "token" => {
            let token = field::text("token", elements.required(2, "token")?)?.into_owned();
            options_of(elements, 3, ignore)?;
            Ok(Request::Token { id, token })
        }
        _ => Err(RequestError::new(ErrorCode::UnknownOp, unknown(op))),
    }
}

fn connect(id: u64, elements: &Elements<'_>) -> Result<Request, RequestError> {
    let (mut token, mut resume) = (None, None);
    options_of(elements, 2, |key, value| {
        match key {
            "token" => token = Some(field::text(key, value)?.into_owned()),
            "resume" => resume = Some(field::text(key, value)?.into_owned()),
            _ => field::ignored(key, value)?,
        }
        Ok(())
    })?;
    Ok(Request::Connect { id, token, resume })
}

fn subscribe(id: u64, elements: &Elements<'_>) -> Result<Request, RequestError> {
    let filter = field::filter(elements.required(2, "filter")?)?;
    let mut options = SubscribeOptions::default();
    options_of(elements, 3, |key, value| {
        match key {
            "after" => options.after = Some(field::cursor(key, value)?),
            "last" => options.last = Some(field::count(key, value)?),
            "on_slow" => options.on_slow = Some(on_slow(value)?),
            "presence" => options.presence = field::boolean(key, value)?,
            "echo" => options.echo = field::boolean(key, value)?,
            _ => field::ignored(key, value)?,
        }
        Ok(())
    })?;
    Ok(Request::Subscribe { id, filter, options })
}

fn publish(id: u64, elements: &Elements<'_>) -> Result<Request, RequestError> {
    let topic = field::topic(elements.required(2, "topic")?)?;
    let data = elements.required(3, "data")?;
    let mut options = PublishOptions::default();
    options_of(elements, 4, |key, value| options.read(key, value))?;
    Ok(Request::Publish { id, topic, publication: options.publication(data)? })
}

fn history(id: u64, elements: &Elements<'_>) -> Result<Request, RequestError> {
    let topic = field::topic(elements.required(2, "topic")?)?;
    let (mut after, mut limit) = (None, None);
    options_of(elements, 3, |key, value| {
        match key {
            "after" => after = Some(field::cursor(key, value)?),
            "limit" => limit = Some(field::count(key, value)?),
            _ => field::ignored(key, value)?,
        }
        Ok(())
    })?;
    Ok(Request::History { id, topic, after, limit })
}

/// Reads the trailing map at a place; an option that is null is absent.
fn options_of<'a>(
    elements: &Elements<'a>,
    index: usize,
    mut read: impl FnMut(&str, Element<'a>) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    field::map(
        "options",
        elements.at(index),
        |key, value| if value.is_null() { Ok(()) } else { read(key, value) },
    )
}

fn ignore(key: &str, value: Element<'_>) -> Result<(), RequestError> {
    field::ignored(key, value)
}

fn on_slow(value: Element<'_>) -> Result<OnSlow, RequestError> {
    let word = field::text("on_slow", value)?;
    OnSlow::parse(&word).ok_or_else(|| field::wrong("on_slow", value, "none of disconnect, drop, latest"))
}

impl Request {
    /// Appends the frame to `out`.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let mut writer = Writer::new(encoding, out);
        match self {
            Request::Connect { id, token, resume } => {
                let options = [
                    ("token", token.as_deref().map(Field::Text)),
                    ("resume", resume.as_deref().map(Field::Text)),
                ];
                writer.frame("connect", [Field::Number(*id)], &options);
            }
            Request::Subscribe { id, filter, options } => {
                let positional = [Field::Number(*id), Field::Text(filter.as_str())];
                writer.frame("subscribe", positional, &subscribe_fields(options));
            }
            Request::Unsubscribe { id, filter } => {
                writer.frame("unsubscribe", [Field::Number(*id), Field::Text(filter.as_str())], &[]);
            }
            Request::Publish { id, topic, publication } => {
                let data = Field::Data(&publication.payload);
                let positional = [Field::Number(*id), Field::Text(topic.as_str()), data];
                writer.frame("publish", positional, &publish_fields(encoding, publication));
            }
            Request::History { id, topic, after, limit } => {
                let options = [
                    ("after", after.as_ref().map(Field::Cursor)),
                    ("limit", limit.map(|limit| Field::Number(limit.into()))),
                ];
                writer.frame("history", [Field::Number(*id), Field::Text(topic.as_str())], &options);
            }
            Request::Presence { id, topic } => {
                writer.frame("presence", [Field::Number(*id), Field::Text(topic.as_str())], &[]);
            }
            Request::Token { id, token } => {
                writer.frame("token", [Field::Number(*id), Field::Text(token)], &[]);
            }
            Request::Pong => writer.frame("pong", [], &[]),
        }
    }
}

fn subscribe_fields(options: &SubscribeOptions) -> [(&'static str, Option<Field<'_>>); 5] {
    [
        ("after", options.after.as_ref().map(Field::Cursor)),
        ("last", options.last.map(|last| Field::Number(last.into()))),
        ("on_slow", options.on_slow.map(|on_slow| Field::Text(on_slow.as_str()))),
        ("presence", options.presence.then_some(Field::Boolean(true))),
        ("echo", (!options.echo).then_some(Field::Boolean(false))),
    ]
}

fn publish_fields(encoding: Encoding, publication: &Publication) -> [(&'static str, Option<Field<'_>>); 5] {
    let Publication { payload, media_type, headers, ttl_s, idempotency_key } = publication;
    [
        ("idempotency_key", idempotency_key.as_deref().map(Field::Text)),
        ("type", payload.written_type(media_type.as_deref()).map(Field::Text)),
        ("encoding", payload.written_encoding(encoding).map(Field::Text)),
        ("headers", headers.as_deref().map(Field::Headers)),
        ("ttl_s", ttl_s.map(|ttl_s| Field::Number(ttl_s.into()))),
    ]
}
