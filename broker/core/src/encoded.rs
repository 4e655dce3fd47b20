//! One frame in one encoding, WebSocket header included: what is encoded once and shared.

use fanfare_protocol::{Encoding, Message};

use crate::event;

/// The longest WebSocket header that a server writes (RFC 6455, section 5.2, without a mask).
const HEADER_BYTES_MAX: usize = 10;
/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// The bytes of one unfragmented, unmasked WebSocket message, and where its payload begins. Before it stands what makes
/// the payload of a message an event, so that streams of events share it too.
#[derive(Debug)]
pub struct Encoded {
    bytes: Box<[u8]>,
    header_at: u8,
    payload_at: u8,
}

impl Encoded {
    /// The message whose payload `write` appends.
    pub fn new(encoding: Encoding, write: impl FnOnce(&mut Vec<u8>)) -> Encoded {
        Encoded::behind(&[], encoding, write)
    }

    /// The `message` frame.
    pub(crate) fn message(encoding: Encoding, message: &Message) -> Encoded {
        let event_head = match encoding {
            Encoding::Json => event::head(message.position),
            Encoding::MessagePack => Vec::new(),
        };
        Encoded::behind(&event_head, encoding, |out| message.encode(encoding, out))
    }

    fn behind(event_head: &[u8], encoding: Encoding, write: impl FnOnce(&mut Vec<u8>)) -> Encoded {
        let header_at = event_head.len();
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(event_head);
        bytes.extend_from_slice(&[0; HEADER_BYTES_MAX]);
        write(&mut bytes);
        let (header, length) = header(encoding, bytes.len() - header_at - HEADER_BYTES_MAX);
        let payload_at = header_at + length;
        bytes.drain(payload_at..header_at + HEADER_BYTES_MAX);
        bytes[header_at..payload_at].copy_from_slice(&header[..length]);
        Encoded { bytes: bytes.into_boxed_slice(), header_at: header_at as u8, payload_at: payload_at as u8 }
    }

    /// Header and payload, as they are written to a WebSocket.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.header_at)..]
    }

    /// What stands before the payload in an event; a message in JSON has it.
    pub(crate) fn event_head(&self) -> &[u8] {
        &self.bytes[..usize::from(self.header_at)]
    }

    /// Header and payload, given away.
    pub(crate) fn into_bytes(self) -> Box<[u8]> {
        assert_eq!(self.header_at, 0, "a message is shared");
        self.bytes
    }

    /// The payload alone: one frame of the subprotocol.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.payload_at)..]
    }
}

/// A close frame (RFC 6455, section 5.5.1); what of the reason is over 123 bytes is left out.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let mut frame = vec![0x88, 2 + reason.len() as u8];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

/// A pong frame that answers `ping`, a payload of at most 125 bytes.
pub(crate) fn pong_frame(ping: &[u8]) -> Vec<u8> {
    assert!(ping.len() <= CONTROL_BYTES_MAX, "the reader refuses longer control frames");
    let mut frame = vec![0x8a, ping.len() as u8];
    frame.extend_from_slice(ping);
    frame
}

/// The header of a final text (JSON) or binary (MessagePack) frame, and how many bytes of it count.
pub(crate) fn header(encoding: Encoding, payload_bytes: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = match encoding {
        Encoding::Json => 0x81,
        Encoding::MessagePack => 0x82,
    };
    let length = match payload_bytes {
        0..=125 => {
            header[1] = payload_bytes as u8;
            2
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
            10
        }
    };
    (header, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_grow_with_the_payload() {
        for (length, expected) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let encoded = Encoded::new(Encoding::Json, |out| out.resize(out.len() + length, b'x'));
            assert_eq!(encoded.bytes()[..expected.len()], expected);
            assert_eq!(encoded.payload().len(), length);
            assert!(encoded.payload().iter().all(|byte| *byte == b'x'));
        }
        assert_eq!(Encoded::new(Encoding::MessagePack, |out| out.push(7)).bytes(), [0x82, 1, 7]);
    }
}
