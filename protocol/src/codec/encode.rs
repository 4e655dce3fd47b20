//! The frames of the broker, written; a message is written once for all who get it.

use crate::codec::writer::{Field, Writer};
use crate::encoding::Encoding;
use crate::frame::{Frame, Gap, Message, OkBody, Welcome};
use crate::position::Cursor;
use crate::topic::Filter;

impl Frame {
    /// Appends the frame to `out`.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let mut writer = Writer::new(encoding, out);
        match self {
            Frame::Welcome { id, welcome } => {
                writer.frame("welcome", [number_or_null(*id), Field::Map(&welcome_fields(welcome))], &[]);
            }
            Frame::Ok { id, body } => {
                writer.frame("ok", [Field::Number(*id), Field::Map(&ok_fields(body))], &[]);
            }
            Frame::Error { id, code, reason, retry_after_ms } => {
                let positional = [number_or_null(*id), Field::Text(code.as_str()), Field::Text(reason)];
                writer.frame("error", positional, &[("retry_after_ms", retry_after_ms.map(Field::Number))]);
            }
            Frame::Message(message) => message.encode(encoding, out),
            Frame::Gap(gap) => gap.encode(encoding, out),
            Frame::Replay { filter, frame } => {
                writer.frame("replay", [Field::Text(filter.as_str()), Field::Frame(frame)], &[]);
            }
            Frame::Live { filter, cursor } => {
                writer.frame(
                    "live",
                    [text_or_null(filter.as_ref().map(Filter::as_str)), Field::Cursor(cursor)],
                    &[],
                );
            }
            Frame::Unsubscribed { filter, code, reason, retry_after_ms } => {
                let positional =
                    [Field::Text(filter.as_str()), Field::Text(code.as_str()), Field::Text(reason)];
                let options = [("retry_after_ms", retry_after_ms.map(Field::Number))];
                writer.frame("unsubscribed", positional, &options);
            }
            Frame::Ping { cursor } => writer.frame("ping", [Field::Cursor(cursor)], &[]),
            Frame::Goodbye { code, reason, reconnect_after_ms } => {
                let options = [("reconnect_after_ms", reconnect_after_ms.map(Field::Number))];
                writer.frame("goodbye", [Field::Number((*code).into()), Field::Text(reason)], &options);
            }
        }
    }
}

impl Message {
    /// Appends the frame to `out`; data of kind json that was never checked and can't be transcoded is null.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let Message { topic, position, payload, media_type, time, user, headers } = self;
        let positional = [Field::Text(topic.as_str()), Field::Position(*position), Field::Data(payload)];
        let meta = [
            ("type", payload.written_type(media_type.as_deref()).map(Field::Text)),
            ("encoding", payload.written_encoding(encoding).map(Field::Text)),
            ("time", time.map(Field::Number)),
            ("user", user.as_deref().map(Field::Text)),
            ("headers", headers.as_deref().map(Field::Headers)),
        ];
        Writer::new(encoding, out).frame("message", positional, &meta);
    }
}

impl Gap {
    /// Appends the frame to `out`.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let topic = text_or_null(self.topic.as_ref().map(|topic| topic.as_str()));
        let positional = [topic, Field::Position(self.from), Field::Position(self.to)];
        Writer::new(encoding, out).frame("gap", positional, &[("count", self.count.map(Field::Number))]);
    }
}

/// Appends what stands before the bytes of a message or gap frame that is replayed for a filter.
pub fn replay_prefix(encoding: Encoding, filter: &Filter, out: &mut Vec<u8>) {
    Writer::new(encoding, out).open_replay(filter.as_str());
}

/// What stands after them.
pub fn replay_suffix(encoding: Encoding) -> &'static [u8] {
    match encoding {
        Encoding::Json => b"]",
        Encoding::MessagePack => b"",
    }
}

/// Appends the `ok` of `history`; `frames` are message and gap frames, encoded already.
pub fn encode_history_ok(
    encoding: Encoding,
    id: u64,
    frames: &[&[u8]],
    cursor: &Cursor,
    more: bool,
    out: &mut Vec<u8>,
) {
    let body = history_fields(frames, cursor, more);
    Writer::new(encoding, out).frame("ok", [Field::Number(id), Field::Map(&body)], &[]);
}

/// Appends the same as a JSON body; `frames` are encoded as JSON.
pub fn encode_history_body(frames: &[&[u8]], cursor: &Cursor, more: bool, out: &mut Vec<u8>) {
    Writer::new(Encoding::Json, out).map(&history_fields(frames, cursor, more));
}

type Named<'a> = (&'static str, Option<Field<'a>>);

fn history_fields<'a>(frames: &'a [&'a [u8]], cursor: &'a Cursor, more: bool) -> [Named<'a>; 3] {
    [
        ("frames", Some(Field::Encoded(frames))),
        ("cursor", Some(Field::Cursor(cursor))),
        ("more", Some(Field::Boolean(more))),
    ]
}

fn welcome_fields(welcome: &Welcome) -> [Named<'_>; 5] {
    let Welcome { session, resume, user, heartbeat_ms, limits } = welcome;
    [
        ("session", Some(Field::Text(session))),
        ("resume", resume.as_deref().map(Field::Text)),
        ("user", user.as_deref().map(Field::Text)),
        ("heartbeat_ms", Some(Field::Number(*heartbeat_ms))),
        ("limits", Some(Field::Limits(limits))),
    ]
}

fn ok_fields(body: &OkBody) -> [Named<'_>; 8] {
    let OkBody { cursor, resumed, position, heard, receivers, repeated, frames, more } = body;
    [
        ("cursor", cursor.as_ref().map(Field::Cursor)),
        ("resumed", resumed.map(Field::Boolean)),
        ("position", position.map(Field::Position)),
        ("heard", heard.map(Field::Boolean)),
        ("receivers", receivers.map(Field::Number)),
        ("repeated", repeated.map(Field::Boolean)),
        ("frames", frames.as_deref().map(Field::Frames)),
        ("more", more.map(Field::Boolean)),
    ]
}

fn number_or_null(number: Option<u64>) -> Field<'static> {
    number.map_or(Field::Null, Field::Number)
}

fn text_or_null(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Null, Field::Text)
}
