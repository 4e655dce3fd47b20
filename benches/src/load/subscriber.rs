//! One subscriber: its handshake and the count of what it received.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Result, ensure};
use fanfare_protocol::Encoding;
use mio::net::TcpStream;

use super::outcome::Tally;
use super::plan::Plan;
use crate::wire::{self, Frame, Kind};

/// One subscriber's connection.
pub(super) struct Subscriber {
    pub(super) stream: TcpStream,
    pub(super) topic: usize,
    pub(super) received: u64,
    encoding: Encoding,
    stage: Stage,
    /// The beginning of a frame whose end has not come yet.
    tail: Vec<u8>,
    /// The newest seq, at the subscribers that look.
    newest: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrading,
    Following,
    Closed,
}

impl Subscriber {
    /// Connects and asks for the upgrade; `looks` at every seq if told to.
    pub(super) fn connect(plan: &Plan, topic: usize, looks: bool) -> Result<Subscriber> {
        let stream = std::net::TcpStream::connect(plan.server).context("connecting a subscriber")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut subscriber = Subscriber {
            stream: TcpStream::from_std(stream),
            topic,
            received: 0,
            encoding: plan.encoding,
            stage: Stage::Upgrading,
            tail: Vec::new(),
            newest: looks.then_some(0),
        };
        subscriber.stream.write_all(wire::upgrade_request(&plan.host(), plan.encoding).as_bytes())?;
        Ok(subscriber)
    }

    /// Reads all that is there. `ends` says that the server's end is closed already, so that the end of the
    /// stream has to be read too.
    pub(super) fn read(&mut self, scratch: &mut [u8], ends: bool, tally: &mut Tally) -> Result<()> {
        while self.stage != Stage::Closed {
            let kept = self.tail.len();
            scratch[..kept].copy_from_slice(&self.tail);
            let end = match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return self.close(tally),
                Ok(read) => kept + read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.close(tally),
            };
            let taken = self.take(&scratch[..end], tally)?;
            self.tail.clear();
            self.tail.extend_from_slice(&scratch[taken..end]);
            ensure!(self.tail.len() < scratch.len(), "a frame longer than {} bytes", scratch.len());
            // A read that left room has emptied the socket: what comes later is another event (epoll(7)).
            if end < scratch.len() && !ends {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes what is whole of `bytes`; its length.
    fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        let mut taken = 0;
        if self.stage == Stage::Upgrading {
            let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(0) };
            let switched = bytes.starts_with(b"HTTP/1.1 101 ");
            ensure!(switched, "the upgrade was refused: {}", String::from_utf8_lossy(bytes));
            self.stage = Stage::Following;
            self.stream.write_all(&wire::subscribe(&Plan::topic(self.topic), self.encoding))?;
            taken = head + 4;
        }
        let before = self.received;
        while let Some(frame) = Frame::first(&bytes[taken..]) {
            taken += frame.bytes;
            let kind = Kind::of(frame.payload);
            if kind == Kind::Message {
                self.received += 1;
                self.look(frame.payload, tally);
            } else {
                self.note(kind, &frame, tally)?;
            }
        }
        tally.messages += self.received - before;
        Ok(taken)
    }

    #[inline]
    fn look(&mut self, payload: &[u8], tally: &mut Tally) {
        let Some(newest) = &mut self.newest else { return };
        let seq = wire::seq(payload).unwrap_or(0);
        tally.disordered += u64::from(seq <= *newest);
        *newest = seq;
    }

    #[cold]
    fn note(&mut self, kind: Kind, frame: &Frame<'_>, tally: &mut Tally) -> io::Result<()> {
        match kind {
            Kind::Message | Kind::Welcome => {}
            Kind::Ok => tally.subscribed += 1,
            Kind::Ping => self.stream.write_all(&wire::pong(self.encoding))?,
            Kind::Gap => tally.gaps += 1,
            Kind::Other => {
                tally.unexpected += 1;
                let text = || String::from_utf8_lossy(frame.payload).into_owned();
                tally.unexpected_first.get_or_insert_with(text);
            }
        }
        Ok(())
    }

    fn close(&mut self, tally: &mut Tally) -> Result<()> {
        ensure!(self.stage == Stage::Following, "the server closed a connection before its upgrade");
        self.stage = Stage::Closed;
        tally.cuts += 1;
        Ok(())
    }
}
