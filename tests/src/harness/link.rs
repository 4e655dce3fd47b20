//! A WebSocket that may end at any time: every failure is an answer, none a panic.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use fanfare_protocol::Encoding;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::socket::{CLOSE, FIN, frame, handshake};
use crate::value::{message_pack, value_of};

/// How long connecting, or one write, may take.
const STEP_MAX: Duration = Duration::from_secs(2);

/// What fits on a connection on which little fits: less, and reading itself takes long.
const NARROW_BYTES: u32 = 64 * 1024;

/// An upgraded connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    received: Vec<u8>,
    encoding: Encoding,
}

/// What the broker sent.
#[derive(Debug)]
pub(super) enum Heard {
    Frame(Value),
    Close(u16),
}

impl Link {
    pub(super) async fn open(address: SocketAddr, encoding: Encoding, is_narrow: bool) -> io::Result<Link> {
        timeout(STEP_MAX, Link::connect(address, encoding, is_narrow)).await?
    }

    async fn connect(address: SocketAddr, encoding: Encoding, is_narrow: bool) -> io::Result<Link> {
        let socket = TcpSocket::new_v4()?;
        if is_narrow {
            socket.set_recv_buffer_size(NARROW_BYTES)?;
        }
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&handshake(encoding).bytes(&address.to_string())).await?;
        let mut link = Link { stream, received: Vec::new(), encoding };
        let end = loop {
            let end = link.received.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => link.receive().await?,
            }
        };
        let head: Vec<u8> = link.received.drain(..end).collect();
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
        }
        Ok(link)
    }

    /// Sends frames in one write.
    pub(super) async fn send(&mut self, frames: &[Value]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for value in frames {
            match self.encoding {
                Encoding::Json => bytes.extend(frame(FIN | 1, value.to_string().as_bytes())),
                Encoding::MessagePack => bytes.extend(frame(FIN | 2, &message_pack(value))),
            }
        }
        timeout(STEP_MAX, self.stream.write_all(&bytes)).await?
    }

    /// What comes next. Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Heard> {
        loop {
            if let Some((opcode, payload)) = self.take_frame() {
                match opcode {
                    CLOSE => {
                        let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                        return Ok(Heard::Close(code));
                    }
                    1 | 2 => return Ok(Heard::Frame(value_of(self.encoding, &payload))),
                    _ => {}
                }
            } else {
                self.receive().await?;
            }
        }
    }

    /// True if something whole was received and not taken.
    pub(super) fn has_more(&self) -> bool {
        self.frame_length().is_some_and(|(head, length)| self.received.len() >= head + length)
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (head, length) = self.frame_length()?;
        if self.received.len() < head + length {
            return None;
        }
        let opcode = self.received[0] & 0x0f;
        let payload = self.received[head..head + length].to_vec();
        self.received.drain(..head + length);
        Some((opcode, payload))
    }

    /// The bytes of a frame's head and of its payload.
    fn frame_length(&self) -> Option<(usize, usize)> {
        let long = |count: usize| -> Option<usize> {
            let bytes = self.received.get(2..2 + count)?;
            Some(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        };
        match *self.received.get(1)? {
            126 => Some((4, long(2)?)),
            127 => Some((10, long(8)?)),
            length => Some((2, usize::from(length))),
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
