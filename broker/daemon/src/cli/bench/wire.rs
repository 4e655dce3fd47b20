//! WebSocket frames, read by their headers only: what comes is a broker's, and nothing of it is kept.

use fanfare_protocol::{Encoding, Filter, Request, SubscribeOptions};

/// A client masks what it sends; one mask is as good as another between two programs of the same people.
const MASK: [u8; 4] = [0x4b, 0x12, 0xe9, 0x70];
const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// The kinds of frames that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Welcome,
    Ok,
    Gap,
    Ping,
    /// Any other, an error or a goodbye among them.
    Other,
}

/// The first frame of `bytes` and its length on the wire; `None` while it is not whole.
#[inline]
pub(super) fn first_frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (start, length): (usize, usize) = match *bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    let end = start.checked_add(length)?;
    Some((bytes.get(start..end)?, end))
}

/// The kind of a frame, told by two letters of its op, which stand at the same place in both encodings.
#[inline]
pub(super) fn kind(frame: &[u8]) -> Kind {
    match frame.get(2..4) {
        Some(b"me") => Kind::Message,
        Some(b"we") => Kind::Welcome,
        Some(b"ok") => Kind::Ok,
        Some(b"ga") => Kind::Gap,
        Some(b"pi") => Kind::Ping,
        _ => Kind::Other,
    }
}

/// The request that asks for a WebSocket.
pub(super) fn upgrade(authority: &str, encoding: Encoding) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZmFuZmFyZSBiZW5jaCAwMA==\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        encoding.subprotocol()
    )
}

/// A `subscribe`, ready to be sent.
pub(super) fn subscribe(filter: Filter, encoding: Encoding) -> Vec<u8> {
    masked(&Request::Subscribe { id: 1, filter, options: SubscribeOptions::default() }, encoding)
}

/// A `pong`, ready to be sent.
pub(super) fn pong(encoding: Encoding) -> Vec<u8> {
    masked(&Request::Pong, encoding)
}

fn masked(request: &Request, encoding: Encoding) -> Vec<u8> {
    let mut frame = Vec::new();
    request.encode(encoding, &mut frame);
    let opcode = if encoding == Encoding::Json { TEXT } else { BINARY };
    let mut bytes = vec![FIN | opcode];
    match u8::try_from(frame.len()) {
        Ok(short @ 0..=125) => bytes.push(0x80 | short),
        _ => {
            let length = u16::try_from(frame.len()).expect("a filter has at most 255 bytes");
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(frame.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::{Frame, Gap};

    use super::*;

    #[test]
    fn frames_are_taken_one_by_one_once_they_are_whole() {
        for length in [0_usize, 125, 126, 65_535, 65_536] {
            let mut bytes = vec![FIN | TEXT];
            match length {
                0..=125 => bytes.push(length as u8),
                126..=65_535 => bytes.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
                _ => bytes.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
            }
            bytes.extend(std::iter::repeat_n(b'x', length));
            assert_eq!(first_frame(&bytes[..bytes.len() - 1]), None);
            let whole = bytes.len();
            bytes.push(FIN | TEXT);
            let (frame, taken) = first_frame(&bytes).unwrap();
            assert_eq!((frame.len(), taken), (length, whole));
        }
    }

    #[test]
    fn kinds_are_told_in_both_encodings() {
        let position = "0.k:1".parse().unwrap();
        for (kind, frame) in [
            (Kind::Gap, Frame::Gap(Gap { topic: None, from: position, to: position, count: None })),
            (Kind::Ping, Frame::Ping { cursor: position.into() }),
            (Kind::Ok, Frame::Ok { id: 1, body: Default::default() }),
            (Kind::Welcome, Frame::Welcome { id: None, welcome: Default::default() }),
            (Kind::Other, Frame::Goodbye { code: 1012, reason: String::new(), reconnect_after_ms: None }),
        ] {
            for encoding in Encoding::ALL {
                let mut bytes = Vec::new();
                frame.encode(encoding, &mut bytes);
                assert_eq!(super::kind(&bytes), kind, "{frame:?}");
            }
        }
    }

    #[test]
    fn what_is_sent_is_masked() {
        let bytes = pong(Encoding::Json);
        assert_eq!(bytes[..2], [0x81, 0x88]);
        let clear: Vec<u8> =
            bytes[6..].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(clear, br#"["pong"]"#);
        let long = subscribe(Filter::parse(&"x".repeat(255)).unwrap(), Encoding::MessagePack);
        assert_eq!(long[..2], [0x82, 0xfe]);
        assert_eq!(usize::from(u16::from_be_bytes([long[2], long[3]])), long.len() - 8);
    }
}
