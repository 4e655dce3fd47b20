//! Writing frames: arrays of fields with a trailing map, in either encoding.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::codec::{json, message_pack};
use crate::encoding::Encoding;
use crate::frame::Frame;
use crate::payload::{Headers, Payload};
use crate::position::{Cursor, Position};

/// One value of a frame.
pub(super) enum Field<'a> {
    Null,
    Boolean(bool),
    Number(u64),
    Text(&'a str),
    Position(Position),
    Cursor(&'a Cursor),
    Data(&'a Payload),
    Headers(&'a Headers),
    Limits(&'a BTreeMap<String, u64>),
    /// A map that is written even if nothing is in it.
    Map(&'a [(&'static str, Option<Field<'a>>)]),
    Frame(&'a Frame),
    Frames(&'a [Frame]),
    /// Frames that are encoded already.
    Encoded(&'a [&'a [u8]]),
}

/// Appends to a `Vec`, in one encoding.
pub(super) struct Writer<'o> {
    encoding: Encoding,
    out: &'o mut Vec<u8>,
}

impl<'o> Writer<'o> {
    pub(super) fn new(encoding: Encoding, out: &'o mut Vec<u8>) -> Writer<'o> {
        Writer { encoding, out }
    }

    /// Writes a frame; what of `trailing` is there stands in a map at its end, if anything is.
    pub(super) fn frame<const N: usize>(
        &mut self,
        op: &'static str,
        positional: [Field<'_>; N],
        trailing: &[(&'static str, Option<Field<'_>>)],
    ) {
        let trails = trailing.iter().any(|(_, field)| field.is_some());
        self.open_array(1 + N + usize::from(trails));
        self.plain(op);
        for field in &positional {
            self.comma();
            self.field(field);
        }
        if trails {
            self.comma();
            self.map(trailing);
        }
        self.close_array();
    }

    /// Writes a replay frame as far as the frame that it wraps.
    pub(super) fn open_replay(&mut self, filter: &str) {
        self.open_array(3);
        self.plain("replay");
        self.comma();
        self.text(filter);
        self.comma();
    }

    /// Writes a map of the fields that are there.
    pub(super) fn map(&mut self, fields: &[(&'static str, Option<Field<'_>>)]) {
        let present = || fields.iter().filter_map(|(key, field)| Some((key, field.as_ref()?)));
        self.open_map(present().count());
        for (index, (key, field)) in present().enumerate() {
            if index > 0 {
                self.comma();
            }
            self.plain(key);
            self.colon();
            self.field(field);
        }
        self.close_map();
    }

    fn field(&mut self, field: &Field<'_>) {
        match field {
            Field::Null => self.null(),
            Field::Boolean(value) => self.boolean(*value),
            Field::Number(number) => self.number(*number),
            Field::Text(text) => self.text(text),
            Field::Position(position) => self.positions(std::slice::from_ref(position)),
            Field::Cursor(cursor) => self.positions(cursor.positions()),
            Field::Data(payload) => self.data(payload),
            Field::Headers(headers) => self.entries(headers, |writer, value| writer.text(value)),
            Field::Limits(limits) => self.entries(limits, |writer, value| writer.number(*value)),
            Field::Map(fields) => self.map(fields),
            Field::Frame(frame) => frame.encode(self.encoding, self.out),
            Field::Frames(frames) => {
                self.array(frames, |writer, frame| frame.encode(writer.encoding, writer.out));
            }
            Field::Encoded(frames) => self.array(frames, |writer, frame| writer.out.extend_from_slice(frame)),
        }
    }

    fn null(&mut self) {
        match self.encoding {
            Encoding::Json => self.out.extend_from_slice(b"null"),
            Encoding::MessagePack => message_pack::write_nil(self.out),
        }
    }

    fn boolean(&mut self, value: bool) {
        match self.encoding {
            Encoding::Json => self.out.extend_from_slice(if value { b"true" } else { b"false" }),
            Encoding::MessagePack => message_pack::write_boolean(self.out, value),
        }
    }

    fn number(&mut self, number: u64) {
        match self.encoding {
            Encoding::Json => self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
            Encoding::MessagePack => message_pack::write_unsigned(self.out, number),
        }
    }

    fn text(&mut self, text: &str) {
        match self.encoding {
            Encoding::Json => json::write_text(self.out, text),
            Encoding::MessagePack => message_pack::write_text(self.out, text),
        }
    }

    /// Writes a word of the protocol, in which nothing needs an escape.
    fn plain(&mut self, word: &'static str) {
        match self.encoding {
            Encoding::Json => {
                self.out.push(b'"');
                self.out.extend_from_slice(word.as_bytes());
                self.out.push(b'"');
            }
            Encoding::MessagePack => message_pack::write_text(self.out, word),
        }
    }

    fn positions(&mut self, positions: &[Position]) {
        match self.encoding {
            Encoding::Json => {
                self.out.push(b'"');
                write_positions(self.out, positions);
                self.out.push(b'"');
            }
            Encoding::MessagePack => {
                message_pack::write_text_with(self.out, |out| write_positions(out, positions))
            }
        }
    }

    fn data(&mut self, payload: &Payload) {
        match (self.encoding, payload) {
            (Encoding::Json, Payload::Json(bytes)) | (Encoding::MessagePack, Payload::MessagePack(bytes)) => {
                self.out.extend_from_slice(bytes);
            }
            (Encoding::Json, Payload::MessagePack(bytes)) => message_pack::transcode(bytes, self.out),
            (Encoding::MessagePack, Payload::Json(bytes)) => json::transcode(bytes, self.out),
            (_, Payload::Text(bytes)) => self.text(&String::from_utf8_lossy(bytes)),
            (Encoding::Json, Payload::Binary(bytes)) => {
                self.out.push(b'"');
                write_base64(self.out, bytes);
                self.out.push(b'"');
            }
            (Encoding::MessagePack, Payload::Binary(bytes)) => message_pack::write_bin(self.out, bytes),
        }
    }

    fn entries<V>(&mut self, entries: &BTreeMap<String, V>, write: fn(&mut Self, &V)) {
        self.open_map(entries.len());
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                self.comma();
            }
            self.text(key);
            self.colon();
            write(self, value);
        }
        self.close_map();
    }

    fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.open_array(items.len());
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.comma();
            }
            write(self, item);
        }
        self.close_array();
    }

    fn open_array(&mut self, count: usize) {
        match self.encoding {
            Encoding::Json => self.out.push(b'['),
            Encoding::MessagePack => message_pack::write_array(self.out, count),
        }
    }

    fn close_array(&mut self) {
        self.only_json(b']');
    }

    fn open_map(&mut self, count: usize) {
        match self.encoding {
            Encoding::Json => self.out.push(b'{'),
            Encoding::MessagePack => message_pack::write_map(self.out, count),
        }
    }

    fn close_map(&mut self) {
        self.only_json(b'}');
    }

    fn comma(&mut self) {
        self.only_json(b',');
    }

    fn colon(&mut self) {
        self.only_json(b':');
    }

    fn only_json(&mut self, byte: u8) {
        if self.encoding == Encoding::Json {
            self.out.push(byte);
        }
    }
}

fn write_positions(out: &mut Vec<u8>, positions: &[Position]) {
    for (index, position) in positions.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        position.write(out);
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).expect("what is in memory has a base64 that fits");
    out.resize(start + length, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the room was made for it");
}
