//! One WebSocket: its handshake, and frames in and out.

mod handshake;
mod reader;

use std::io;
use std::time::Duration;

use fanfare_protocol::Encoding;
use fastwebsockets::{Frame, Payload, Role, WebSocketError, WebSocketWrite};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{BufWriter, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use self::reader::Incoming;
use crate::endpoint::{Endpoint, within};
use crate::outcome::ConnectError;

/// How long the handshake may take once connected.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a broker may take no bytes before the connection is given up.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Messages that were read and not looked at; at the limit nothing more is read.
const INCOMING_MAX: usize = 64;

/// An open connection. Dropped, it is cut.
pub(crate) struct Socket {
    encoding: Encoding,
    incoming: mpsc::Receiver<Incoming>,
    writer: WebSocketWrite<BufWriter<WriteHalf<TokioIo<Upgraded>>>>,
    reader: JoinHandle<()>,
}

/// How a connection is made.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub(crate) endpoint: Endpoint,
    pub(crate) encoding: Encoding,
    pub(crate) token: Option<String>,
    pub(crate) message_bytes_max: usize,
}

impl Dial {
    /// A new connection.
    pub(crate) async fn open(self) -> Result<Socket, ConnectError> {
        let stream = self.endpoint.connect().await?;
        let upgrading = async { Ok(handshake::upgrade(&self, stream).await) };
        let upgraded = within(HANDSHAKE_MAX, upgrading).await;
        let upgraded = upgraded.map_err(|source| self.endpoint.unreachable(source))??;
        let (read, write) = tokio::io::split(TokioIo::new(upgraded));
        let write = BufWriter::new(write);
        let (mut read, writer) = fastwebsockets::after_handshake_split(read, write, Role::Client);
        read.set_auto_close(false);
        read.set_auto_pong(false);
        read.set_max_message_size(self.message_bytes_max);
        let (sender, incoming) = mpsc::channel(INCOMING_MAX);
        let reader = tokio::spawn(reader::read(read, self.encoding, self.message_bytes_max, sender));
        Ok(Socket { encoding: self.encoding, incoming, writer, reader })
    }
}

impl Socket {
    /// Appends what came to `batch`, at least one thing; the last thing is [`Incoming::End`].
    pub(crate) async fn receive(&mut self, batch: &mut Vec<Incoming>) {
        if self.incoming.recv_many(batch, INCOMING_MAX).await == 0 {
            batch.push(Incoming::End { code: None, reason: "the connection broke".to_owned() });
        }
    }

    /// Writes a frame of the protocol, to be flushed.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let payload = Payload::Owned(bytes);
        self.write_frame(match self.encoding {
            Encoding::Json => Frame::text(payload),
            Encoding::MessagePack => Frame::binary(payload),
        })
        .await
    }

    /// Answers a ping of WebSocket, to be flushed.
    pub(crate) async fn pong(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.write_frame(Frame::pong(Payload::Owned(bytes))).await
    }

    /// Says that this side closes.
    pub(crate) async fn close(mut self, code: u16) -> io::Result<()> {
        self.write_frame(Frame::close(code, b"")).await?;
        self.flush().await
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        within(WRITE_MAX, async { self.writer.flush().await.map_err(io_error) }).await
    }

    async fn write_frame(&mut self, frame: Frame<'_>) -> io::Result<()> {
        within(WRITE_MAX, async { self.writer.write_frame(frame).await.map_err(io_error) }).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn io_error(error: WebSocketError) -> io::Error {
    io::Error::other(error)
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}
