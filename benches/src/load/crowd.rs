//! Many connections on one thread and one epoll.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::{Events, Interest, Poll, Token};

use super::client::Client;
use super::publisher::{Answer, Publisher};
use crate::wire::Frame;

/// Clients and publishers, each known by its number in the order in which it was added.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    pub(crate) clients: Vec<Client>,
    pub(crate) publishers: Vec<Publisher>,
}

/// What one of them has met.
pub(crate) enum Met<'a> {
    /// A client was sent a frame.
    Frame(usize, Frame<'a>),
    /// A client's connection is over, and not by its own doing.
    Cut(usize),
    /// A publisher was answered.
    Answer(Answer),
}

impl Crowd {
    /// A crowd of nobody.
    pub(crate) fn new() -> Result<Crowd> {
        Ok(Crowd {
            poll: Poll::new().context("opening epoll")?,
            events: Events::with_capacity(4096),
            scratch: vec![0; 512 << 10],
            clients: Vec::new(),
            publishers: Vec::new(),
        })
    }

    /// Adds a client; its number.
    pub(crate) fn add_client(&mut self, mut client: Client) -> Result<usize> {
        let number = self.clients.len();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut client.stream, Token(number * 2), both)?;
        self.clients.push(client);
        Ok(number)
    }

    /// Connects publishers to `server`.
    pub(crate) fn add_publishers(&mut self, server: SocketAddr, count: usize) -> Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        for _ in 0..count {
            let mut publisher = Publisher::connect(server)?;
            let token = Token(self.publishers.len() * 2 + 1);
            self.poll.registry().register(&mut publisher.stream, token, both)?;
            self.publishers.push(publisher);
        }
        Ok(())
    }

    /// Waits for events, at most `timeout`, and shows `meet` what they bring.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        meet: &mut impl FnMut(Met<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error).context("epoll");
            }
            Ok(()) | Err(_) => {}
        }
        for event in self.events.iter() {
            let Token(token) = event.token();
            let number = token / 2;
            if token % 2 == 1 {
                let publisher = &mut self.publishers[number];
                publisher.write()?;
                if let Some(answer) = publisher.read(&mut self.scratch)? {
                    meet(Met::Answer(answer))?;
                }
                continue;
            }
            let client = &mut self.clients[number];
            client.write()?;
            let ends = event.is_read_closed() || event.is_error();
            if !client.read(&mut self.scratch, ends, &mut |frame| meet(Met::Frame(number, frame)))? {
                meet(Met::Cut(number))?;
            }
        }
        Ok(())
    }

    /// Takes what comes for so long.
    pub(crate) fn rest(
        &mut self,
        time: Duration,
        meet: &mut impl FnMut(Met<'_>) -> Result<()>,
    ) -> Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(left.max(Duration::from_millis(1)), meet)?;
        }
        Ok(())
    }

    /// Lets a client, paused or not, read at most so many bytes.
    pub(crate) fn sip(
        &mut self,
        number: usize,
        bytes: usize,
        meet: &mut impl FnMut(Met<'_>) -> Result<()>,
    ) -> Result<()> {
        let client = &mut self.clients[number];
        let was_closed = client.is_closed();
        let frames = &mut |frame: Frame<'_>| meet(Met::Frame(number, frame));
        if !client.sip(bytes, &mut self.scratch, frames)? && !was_closed {
            meet(Met::Cut(number))?;
        }
        Ok(())
    }
}
