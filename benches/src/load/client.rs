//! One client, of a WebSocket or of a stream of events: its request, what it has to say, the frames that it is sent.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use fanfare_protocol::Encoding;
use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use crate::wire::{self, Frame, Kind};

/// The receive buffer of a client whose buffers are small; the kernel doubles it.
const SMALL_RECEIVE_BYTES: usize = 4096;
/// The segments of such a client: the server's side allots its send buffer by them, and loopback's own are 64 KiB.
const SMALL_SEGMENT_BYTES: u32 = 1448;

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// By a WebSocket, both ways.
    WebSocket(Encoding),
    /// By server-sent events: it says nothing after its request.
    Events,
}

/// How much the kernel holds for a client that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// As much as it sees fit: megabytes.
    Usual,
    /// Little, as on a network with small segments.
    Small,
}

/// One client's connection.
pub(crate) struct Client {
    pub(super) stream: TcpStream,
    edge: Edge,
    stage: Stage,
    /// What is said once the upgrade is done, or could not be written yet.
    unsent: Vec<u8>,
    /// The beginning of a frame whose end has not come yet.
    tail: Vec<u8>,
    /// True while it does not read.
    is_paused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asking,
    Open,
    Closed,
}

/// What a read has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// The buffer is full: there may be more.
    Full,
    /// The socket is empty.
    All,
    /// The connection is over.
    End,
}

impl Client {
    /// Connects and asks for the upgrade; says `greeting` once that is done.
    pub(crate) fn connect(
        server: SocketAddr,
        encoding: Encoding,
        buffers: Buffers,
        greeting: Vec<u8>,
    ) -> Result<Client> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        if buffers == Buffers::Small {
            socket.set_recv_buffer_size(SMALL_RECEIVE_BYTES)?;
            socket.set_tcp_mss(SMALL_SEGMENT_BYTES)?;
        }
        let request = wire::upgrade_request(&server.to_string(), encoding);
        Client::ask(socket, server, Edge::WebSocket(encoding), &request, greeting)
    }

    /// Connects and asks for the stream of one topic.
    pub(crate) fn stream(server: SocketAddr, topic: &str) -> Result<Client> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        let request = wire::stream_request(&server.to_string(), topic);
        Client::ask(socket, server, Edge::Events, &request, Vec::new())
    }

    fn ask(socket: Socket, server: SocketAddr, edge: Edge, request: &str, unsent: Vec<u8>) -> Result<Client> {
        socket.connect(&server.into()).context("connecting a client")?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(socket.into());
        stream.write_all(request.as_bytes())?;
        let (stage, tail) = (Stage::Asking, Vec::new());
        Ok(Client { stream, edge, stage, unsent, tail, is_paused: false })
    }

    /// Says something now, or as soon as the socket takes it.
    pub(crate) fn say(&mut self, frames: &[u8]) -> Result<()> {
        self.unsent.extend_from_slice(frames);
        self.write()
    }

    /// Stops reading, or begins again with the next event.
    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// True once the connection is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Writes what the socket takes of what is to be said.
    pub(super) fn write(&mut self) -> Result<()> {
        while self.stage == Stage::Open && !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // That the connection is over is seen by who reads it.
                Err(_) => self.unsent.clear(),
            }
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads all that is there and shows `meet` each frame; false once the connection is over. `ends` says that
    /// the server's end is closed already, so that the end of the stream has to be read too.
    #[inline]
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        ends: bool,
        meet: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<bool> {
        while self.stage != Stage::Closed && !self.is_paused {
            match self.read_once(scratch, meet)? {
                Taken::Full => {
                    let is_long = self.tail.len() == scratch.len();
                    ensure!(!is_long, "a frame longer than {} bytes", scratch.len());
                }
                // A read that left room has emptied the socket: what comes later is another event (epoll(7)).
                Taken::All if !ends => return Ok(true),
                Taken::All => {}
                Taken::End => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads at most `bytes` of what is there; false once the connection is over.
    pub(super) fn sip(
        &mut self,
        bytes: usize,
        scratch: &mut [u8],
        meet: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<bool> {
        let end = (self.tail.len() + bytes).min(scratch.len());
        Ok(self.stage != Stage::Closed && self.read_once(&mut scratch[..end], meet)? != Taken::End)
    }

    #[inline]
    fn read_once(
        &mut self,
        scratch: &mut [u8],
        meet: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<Taken> {
        let kept = self.tail.len();
        scratch[..kept].copy_from_slice(&self.tail);
        let end = match self.stream.read(&mut scratch[kept..]) {
            Ok(read) if read > 0 => kept + read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Taken::All),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Taken::Full),
            Ok(_) | Err(_) => {
                ensure!(self.stage == Stage::Open, "the server closed a connection before its answer");
                self.stage = Stage::Closed;
                return Ok(Taken::End);
            }
        };
        let taken = self.take(&scratch[..end], meet)?;
        self.tail.clear();
        self.tail.extend_from_slice(&scratch[taken..end]);
        Ok(if end < scratch.len() { Taken::All } else { Taken::Full })
    }

    /// Takes what is whole of `bytes`; its length.
    #[inline]
    fn take(&mut self, bytes: &[u8], meet: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<usize> {
        let mut taken = 0;
        if self.stage == Stage::Asking {
            let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(0) };
            let granted: &[u8] = match self.edge {
                Edge::WebSocket(_) => b"HTTP/1.1 101 ",
                Edge::Events => b"HTTP/1.1 200 ",
            };
            ensure!(bytes.starts_with(granted), "it was refused: {}", String::from_utf8_lossy(bytes));
            self.stage = Stage::Open;
            self.write()?;
            taken = head + 4;
        }
        let first = match self.edge {
            Edge::WebSocket(_) => Frame::first,
            Edge::Events => Frame::first_event,
        };
        while let Some(frame) = first(&bytes[taken..]) {
            taken += frame.bytes;
            if let Edge::WebSocket(encoding) = self.edge
                && Kind::of(frame.payload) == Kind::Ping
            {
                self.say(&wire::pong(encoding))?;
            }
            meet(frame)?;
        }
        Ok(taken)
    }
}
