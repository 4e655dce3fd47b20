//! A WebSocket by hand (RFC 6455): frames as a hostile client may write them, and the broker's read strictly.

use std::net::SocketAddr;

use fanfare_protocol::Encoding;

use crate::http::{Ask, read_answer};
use crate::wire::Wire;

/// The bit of a frame that ends its message.
pub const FIN: u8 = 0x80;
/// A further fragment.
pub const CONTINUATION: u8 = 0x0;
/// A text message.
pub const TEXT: u8 = 0x1;
/// A binary message.
pub const BINARY: u8 = 0x2;
/// A close.
pub const CLOSE: u8 = 0x8;
/// A ping.
pub const PING: u8 = 0x9;
/// A pong.
pub const PONG: u8 = 0xa;

/// The key of RFC 6455, section 1.3, and what a server makes of it.
const KEY: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An upgraded connection.
#[derive(Debug)]
pub struct Socket {
    /// What is beneath.
    pub wire: Wire,
    /// What was agreed on.
    pub encoding: Encoding,
}

/// What the broker sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole message of the agreed type.
    Message(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close with its code and reason.
    Close(u16, String),
    /// The end of the connection.
    End,
}

impl Socket {
    /// Connects and upgrades.
    pub async fn open(address: SocketAddr, encoding: Encoding) -> Socket {
        let mut wire = Wire::open(address).await;
        wire.write(&handshake(encoding).bytes(&address.to_string())).await.expect("the broker reads");
        Socket::upgraded(wire, encoding).await
    }

    /// Reads the answer to a handshake that was sent.
    pub async fn upgraded(mut wire: Wire, encoding: Encoding) -> Socket {
        let answer = read_answer(&mut wire).await.expect("an answer to the handshake");
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some(KEY.1));
        assert_eq!(answer.header("sec-websocket-protocol"), Some(encoding.subprotocol()));
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        Socket { wire, encoding }
    }

    /// The first byte of a whole message of the agreed type.
    pub fn message_byte(&self) -> u8 {
        FIN | if self.encoding == Encoding::Json { TEXT } else { BINARY }
    }

    /// Sends bytes as they are; the broker may be gone already.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        // Whoever is cut off while writing reads why.
        drop(self.wire.write(bytes).await);
    }

    /// Sends one frame with this first byte; the broker may be gone already.
    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_raw(&frame(first, payload)).await;
    }

    /// Sends one message of the agreed type.
    pub async fn send_message(&mut self, payload: &[u8]) {
        self.send_frame(self.message_byte(), payload).await;
    }

    /// What the broker sends next.
    pub async fn next(&mut self) -> Heard {
        let Some(head) = self.wire.take(2).await else { return Heard::End };
        assert_eq!(head[0] & 0xf0, FIN, "the broker neither fragments nor sets reserved bits");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length_bytes = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(length) = self.wire.take(length_bytes).await else { return Heard::End };
        let long = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let count = if length_bytes == 0 { usize::from(head[1]) } else { long };
        let Some(payload) = self.wire.take(count).await else { return Heard::End };
        match head[0] & 0x0f {
            opcode if FIN | opcode == self.message_byte() => Heard::Message(payload),
            PING => Heard::Ping(payload),
            PONG => Heard::Pong(payload),
            CLOSE => {
                let (code, reason) = payload.split_first_chunk().expect("the broker closes with a code");
                let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
                Heard::Close(u16::from_be_bytes(*code), reason)
            }
            opcode => panic!("the broker sent a frame of opcode {opcode:#x}"),
        }
    }
}

/// The request to upgrade.
pub fn handshake(encoding: Encoding) -> Ask {
    Ask::new("GET", "/v1/ws")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY.0)
        .header("sec-websocket-protocol", encoding.subprotocol())
}

/// A masked frame with this first byte; its length is in the shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
