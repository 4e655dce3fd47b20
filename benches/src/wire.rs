//! WebSocket frames, and events, as the floor and the generator read and write them: headers only, nothing checked
//! that a figure does not need.

use std::fmt::Display;

use fanfare_protocol::{Encoding, Request};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// The generator's mask. A constant one is as good as any between two programs that trust each other.
const MASK: [u8; 4] = [0x5a, 0x11, 0xc3, 0x78];
/// What stands before a moment in stamped data, which is written in so many digits.
const STAMP: &[u8] = br#"{"at":""#;
const STAMP_DIGITS: usize = 20;
/// What stands before the frame in an event.
const DATA: &[u8] = b"data: ";
/// The payload of lines that carry no frame.
const NO_DATA: &[u8] = br#"["ping"]"#;

/// One whole WebSocket frame at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The opcode of RFC 6455, section 5.2.
    pub opcode: u8,
    /// What is carried, still masked if `mask` is there.
    pub payload: &'a [u8],
    /// The mask, in frames from a client.
    pub mask: Option<[u8; 4]>,
    /// The frame's length on the wire, header included.
    pub bytes: usize,
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes`, or `None` while it is not whole.
    #[inline]
    pub fn first(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let [first, second, ..] = *bytes else { return None };
        let (mut start, length) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
            short => (2, usize::from(short)),
        };
        let mut mask = None;
        if second & MASKED != 0 {
            mask = Some(*bytes.get(start..)?.first_chunk()?);
            start += 4;
        }
        let end = start.checked_add(length)?;
        Some(Frame { opcode: first & 0x0f, payload: bytes.get(start..end)?, mask, bytes: end })
    }

    /// The frame in the first server-sent event of `bytes`, or `None` while it is not whole. Lines without data, as those
    /// of a heartbeat, are taken for a ping.
    #[inline]
    pub fn first_event(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let end = bytes.windows(2).position(|end| end == b"\n\n")?;
        let data = bytes[..end].windows(DATA.len()).position(|found| found == DATA);
        let payload = data.map_or(NO_DATA, |data| &bytes[data + DATA.len()..end]);
        Some(Frame { opcode: TEXT & 0x0f, payload, mask: None, bytes: end + 2 })
    }

    /// What is carried, in the clear.
    pub fn unmasked(&self) -> Vec<u8> {
        let mask = self.mask.unwrap_or_default();
        self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }
}

/// What a broker's frame is, told by the third and fourth byte of its payload: the same place in both encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `message`.
    Message,
    /// `welcome`.
    Welcome,
    /// `ok`.
    Ok,
    /// `ping`.
    Ping,
    /// `gap`.
    Gap,
    /// `replay`.
    Replay,
    /// `live`.
    Live,
    /// `goodbye`.
    Goodbye,
    /// Any other, an error or a close frame among them.
    Other,
}

impl Kind {
    /// The kind of a text or binary frame's payload.
    #[inline]
    pub fn of(payload: &[u8]) -> Kind {
        match payload.get(2..4) {
            Some(b"me") => Kind::Message,
            Some(b"we") => Kind::Welcome,
            Some(b"ok") => Kind::Ok,
            Some(b"pi") => Kind::Ping,
            Some(b"ga") => Kind::Gap,
            Some(b"re") => Kind::Replay,
            Some(b"li") => Kind::Live,
            Some(b"go") => Kind::Goodbye,
            _ => Kind::Other,
        }
    }
}

/// The seq in a message frame's payload: the digits after the first `:`, which no topic of these benches has.
pub fn seq(payload: &[u8]) -> Option<u64> {
    let digits = payload.iter().position(|byte| *byte == b':')? + 1;
    let seq = payload[digits..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(seq.fold(0, |seq, digit| seq * 10 + u64::from(digit - b'0')))
}

/// The moment in a JSON message frame whose data begin with [`stamped`]'s.
pub fn stamp(payload: &[u8]) -> Option<u64> {
    let begin = payload.windows(STAMP.len()).position(|found| found == STAMP)? + STAMP.len();
    let digits = payload.get(begin..begin + STAMP_DIGITS)?;
    Some(digits.iter().fold(0, |ns, digit| ns * 10 + u64::from(digit.wrapping_sub(b'0'))))
}

/// JSON data of so many bytes that carry the moment `ns`.
pub fn stamped(ns: u64, bytes: usize) -> String {
    let rest = bytes.saturating_sub(STAMP.len() + STAMP_DIGITS + r#"","x":""}"#.len());
    format!("{{\"at\":\"{ns:020}\",\"x\":\"{}\"}}", "x".repeat(rest))
}

/// Appends a broker's text frame that carries `parts`, one behind the other.
pub fn push_text(frame: &mut Vec<u8>, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    push_header(frame, TEXT, 0, length);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
}

/// The upgrade request of a client that speaks `encoding`.
pub fn upgrade_request(host: &str, encoding: Encoding) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        encoding.subprotocol()
    )
}

/// The request of a stream of events that follows `filter`.
pub fn stream_request(host: &str, filter: &str) -> String {
    format!("GET /v1/sse?topic={filter} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n")
}

/// The request that publishes `data`, a JSON text, to a topic.
pub fn publish_request(host: impl Display, topic: &str, data: &str) -> Vec<u8> {
    post_request(host, &format!("/v1/topics/{topic}"), data)
}

/// The request that publishes a batch.
pub fn batch_request(host: impl Display, items: &[String]) -> Vec<u8> {
    post_request(host, "/v1/publish", &format!("[{}]", items.join(",")))
}

/// One item of a batch.
pub fn batch_item(topic: &str, data: &str) -> String {
    format!("{{\"topic\":\"{topic}\",\"data\":{data}}}")
}

fn post_request(host: impl Display, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A client's `subscribe` with id 1, masked.
pub fn subscribe(filter: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => masked(TEXT, format!("[\"subscribe\",1,\"{filter}\",{{}}]").as_bytes()),
        Encoding::MessagePack => {
            let mut payload = vec![0x94, 0xa9];
            payload.extend_from_slice(b"subscribe\x01");
            payload.push(0xd9);
            payload.push(u8::try_from(filter.len()).expect("a filter has at most 255 bytes"));
            payload.extend_from_slice(filter.as_bytes());
            payload.push(0x80);
            masked(BINARY, &payload)
        }
    }
}

/// A client's request in JSON, masked.
pub fn request(request: &Request) -> Vec<u8> {
    let mut payload = Vec::new();
    request.encode(Encoding::Json, &mut payload);
    masked(TEXT, &payload)
}

/// A client's `pong`, masked.
pub fn pong(encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => masked(TEXT, b"[\"pong\"]"),
        Encoding::MessagePack => masked(BINARY, b"\x91\xa4pong"),
    }
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    push_header(&mut frame, opcode, MASKED, payload.len());
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn push_header(frame: &mut Vec<u8>, opcode: u8, mask: u8, length: usize) {
    frame.push(opcode);
    if let Ok(short @ 0..=125) = u8::try_from(length) {
        frame.push(mask | short);
    } else if let Ok(length) = u16::try_from(length) {
        frame.push(mask | 126);
        frame.extend_from_slice(&length.to_be_bytes());
    } else {
        frame.push(mask | 127);
        frame.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_each_length_are_read_as_they_are_written() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = Vec::new();
            push_text(&mut bytes, &[&payload, b""]);
            assert!(Frame::first(&bytes[..bytes.len() - 1]).is_none());
            bytes.push(TEXT);
            let frame = Frame::first(&bytes).unwrap();
            assert_eq!((frame.opcode, frame.payload, frame.bytes), (1, &*payload, bytes.len() - 1));
        }
    }

    #[test]
    fn events_are_read_whole() {
        let bytes = b"retry: 1000\n\nid: 0.b:7\ndata: [\"live\",null,\"0.b:7\"]\n\nid: 0";
        let retry = Frame::first_event(bytes).unwrap();
        assert_eq!(Kind::of(retry.payload), Kind::Ping);
        let live = Frame::first_event(&bytes[retry.bytes..]).unwrap();
        assert_eq!(Kind::of(live.payload), Kind::Live);
        assert!(Frame::first_event(&bytes[retry.bytes + live.bytes..]).is_none());
    }

    #[test]
    fn a_subscribe_says_the_same_in_both_encodings() {
        let json = subscribe("bench.0", Encoding::Json);
        assert_eq!(Frame::first(&json).unwrap().unmasked(), br#"["subscribe",1,"bench.0",{}]"#);
        let bytes = subscribe("bench.0", Encoding::MessagePack);
        let frame = Frame::first(&bytes).unwrap();
        let value = rmpv::decode::read_value(&mut frame.unmasked().as_slice()).unwrap();
        assert_eq!((frame.opcode, value.to_string().as_str()), (2, r#"["subscribe", 1, "bench.0", {}]"#));
    }

    #[test]
    fn kinds_are_told_in_both_encodings() {
        for (kind, json, msgpack) in [
            (Kind::Message, r#"["message","a","0.b:1",1]"#, &b"\x94\xa7message"[..]),
            (Kind::Welcome, r#"["welcome",null,{}]"#, b"\x93\xa7welcome"),
            (Kind::Ok, r#"["ok",1,{}]"#, b"\x93\xa2ok"),
            (Kind::Ping, r#"["ping","0.b:1"]"#, b"\x92\xa4ping"),
            (Kind::Gap, r#"["gap",null]"#, b"\x95\xa3gap"),
            (Kind::Replay, r#"["replay","a",["gap"]]"#, b"\x93\xa6replay"),
            (Kind::Live, r#"["live","a","0.b:1"]"#, b"\x93\xa4live"),
            (Kind::Goodbye, r#"["goodbye",1012]"#, b"\x94\xa7goodbye"),
            (Kind::Other, r#"["error",1,"limit"]"#, b"\x95\xa5error"),
            (Kind::Other, "", b""),
        ] {
            assert_eq!((Kind::of(json.as_bytes()), Kind::of(msgpack)), (kind, kind));
        }
    }

    #[test]
    fn a_seq_stands_after_the_first_colon() {
        assert_eq!(seq(br#"["message","a.b","0.k3:10492",{"x":7}]"#), Some(10_492));
        assert_eq!(seq(b"\x94\xa7message\xa1a\xa60.k3:7\xa1:"), Some(7));
        assert_eq!(seq(b"nothing"), None);
    }

    #[test]
    fn a_stamp_is_read_as_it_is_written() {
        let data = stamped(1_234_567_890_123, 128);
        assert_eq!(data.len(), 128);
        let frame = format!("[\"message\",\"a.b\",\"0.k3:7\",{data},{{\"time\":1}}]");
        assert_eq!(stamp(frame.as_bytes()), Some(1_234_567_890_123));
        assert_eq!(stamp(br#"["message","a.b","0.k3:7",{"at":"1"}]"#), None);
    }
}
