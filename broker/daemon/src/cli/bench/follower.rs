//! One subscriber: its handshake, and the count of what it gets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, bail};
use fanfare_protocol::Filter;
use mio::net::TcpStream;

use super::latencies::Latencies;
use super::plan::{Plan, published_ns};
use super::wire::{self, Kind};

/// What the subscribers of one thread have met.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) subscribed: usize,
    pub(super) messages: u64,
    pub(super) gaps: u64,
    pub(super) cuts: u64,
    pub(super) latencies: Latencies,
    /// The first frame that should not have come, or why the first connection broke.
    pub(super) trouble: Option<String>,
}

/// One subscriber's connection.
pub(super) struct Follower {
    pub(super) stream: TcpStream,
    topic: usize,
    stage: Stage,
    /// The beginning of a frame whose end has not come.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrading,
    Following,
    Cut,
}

impl Follower {
    /// Connects and asks for the upgrade.
    pub(super) fn connect(plan: &Plan, topic: usize) -> anyhow::Result<Follower> {
        let stream = std::net::TcpStream::connect(plan.server)
            .with_context(|| format!("a subscriber can't connect to {}", plan.authority))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        stream.write_all(wire::upgrade(&plan.authority, plan.encoding).as_bytes())?;
        Ok(Follower { stream, topic, stage: Stage::Upgrading, tail: Vec::new() })
    }

    /// Reads all that is there.
    pub(super) fn read(
        &mut self,
        plan: &Plan,
        begun: Instant,
        scratch: &mut [u8],
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        while self.stage != Stage::Cut {
            let kept = self.tail.len();
            scratch[..kept].copy_from_slice(&self.tail);
            let end = match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return self.cut(tally, "the broker closed a connection"),
                Ok(read) => kept + read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.cut(tally, &error.to_string()),
            };
            let taken = self.take(plan, begun, &scratch[..end], tally)?;
            self.tail.clear();
            self.tail.extend_from_slice(&scratch[taken..end]);
            if self.tail.len() == scratch.len() {
                bail!("a frame is longer than {} bytes", scratch.len());
            }
        }
        Ok(())
    }

    /// Takes what is whole of `bytes`; its length.
    fn take(
        &mut self,
        plan: &Plan,
        begun: Instant,
        bytes: &[u8],
        tally: &mut Tally,
    ) -> anyhow::Result<usize> {
        let mut taken = 0;
        if self.stage == Stage::Upgrading {
            let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                bail!("the broker refused a WebSocket: {}", String::from_utf8_lossy(bytes));
            }
            self.stage = Stage::Following;
            let filter = Filter::parse(&plan.topic(self.topic)).expect("the run's topics are names");
            self.stream.write_all(&wire::subscribe(filter, plan.encoding))?;
            taken = head + 4;
        }
        let now_ns = begun.elapsed().as_nanos() as u64;
        while let Some((frame, length)) = wire::first_frame(&bytes[taken..]) {
            taken += length;
            if wire::kind(frame) != Kind::Message {
                self.note(plan, frame, tally)?;
                continue;
            }
            tally.messages += 1;
            if let Some(published_ns) = published_ns(plan.encoding, frame) {
                tally.latencies.add(now_ns.saturating_sub(published_ns));
            }
        }
        Ok(taken)
    }

    #[cold]
    fn note(&mut self, plan: &Plan, frame: &[u8], tally: &mut Tally) -> anyhow::Result<()> {
        match wire::kind(frame) {
            Kind::Message | Kind::Welcome => {}
            Kind::Ok => tally.subscribed += 1,
            Kind::Gap => tally.gaps += 1,
            Kind::Ping => self.stream.write_all(&wire::pong(plan.encoding))?,
            Kind::Other => {
                tally.trouble.get_or_insert_with(|| String::from_utf8_lossy(frame).into_owned());
            }
        }
        Ok(())
    }

    fn cut(&mut self, tally: &mut Tally, why: &str) -> anyhow::Result<()> {
        if self.stage == Stage::Upgrading {
            bail!("{why} before it was a WebSocket");
        }
        self.stage = Stage::Cut;
        tally.cuts += 1;
        tally.trouble.get_or_insert_with(|| why.to_owned());
        Ok(())
    }
}
