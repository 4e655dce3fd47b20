//! What stands between a node's core and the servers: two connections, one for calls and one for channels, each in
//! its own order, and neither sure.

use std::collections::{BTreeSet, VecDeque};

use fanfare_core::{Ask, Channel, Record, Ticket, Told, Unnumbered};

use super::redis::{Call, Seen, Server};
use super::settings::Sabotage;
use super::truth::Truth;

/// A node's connections to one server; none: it is away.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    pub(super) connection: Option<Connection>,
    /// What the node has seen, over all its connections.
    pub(super) seen: Seen,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// The server that is called, and the one whose channels are followed.
    pub(super) server: usize,
    pub(super) channels_of: usize,
    /// Nothing comes from the server any more, and nobody has noticed.
    pub(super) is_dead: bool,
    /// The channels come from nowhere any more; calls are answered.
    pub(super) is_deaf: bool,
    pub(super) channels: BTreeSet<Channel>,
    /// Asked, and not carried out: what concerns the channels, and the rest.
    pub(super) channel_asks: VecDeque<Ask>,
    pub(super) calls: VecDeque<Ask>,
    /// What the channels brought.
    pub(super) heard: VecDeque<Told>,
    pub(super) replies: VecDeque<Told>,
    /// What was asked as a part of a batch: these are answered in order.
    batched: BTreeSet<Ticket>,
    sabotage: Option<Sabotage>,
    /// The core wants another connection.
    pub(super) is_given_up: bool,
}

/// What a call leaves for all who follow the topic.
pub(super) enum Spread {
    Nothing,
    Message(fanfare_core::Numbered),
    Cleared { topic: fanfare_protocol::Topic, to: fanfare_protocol::Position },
}

impl Connection {
    pub(super) fn new(server: usize, record: Record, sabotage: Option<Sabotage>) -> Connection {
        Connection {
            server,
            channels_of: server,
            is_dead: false,
            is_deaf: false,
            channels: BTreeSet::new(),
            channel_asks: VecDeque::new(),
            calls: VecDeque::new(),
            heard: VecDeque::from([Told::Up(record)]),
            replies: VecDeque::new(),
            batched: BTreeSet::new(),
            sabotage,
            is_given_up: false,
        }
    }

    /// Takes what the core asks for.
    pub(super) fn take(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::Follow(_) | Ask::Leave(_) => self.channel_asks.push_back(ask),
                // Something may come between any two of a batch.
                Ask::Publish(batch) => {
                    let tickets = batch.iter().map(|one| one.ticket);
                    self.batched.extend(tickets.filter(|_| batch.len() > 1));
                    self.calls.extend(batch.into_iter().map(|one| Ask::Publish(vec![one])))
                }
                Ask::Probe { .. } | Ask::Read { .. } | Ask::Clear { .. } => self.calls.push_back(ask),
                Ask::Reconnect(_) => self.is_given_up = true,
            }
        }
    }

    /// Takes a reply; of those to batches the first.
    pub(super) fn reply(&mut self, index: usize) -> Option<Told> {
        let is_batched =
            |told: &Told| matches!(told, Told::Published { ticket, .. } if self.batched.contains(ticket));
        let first = self.replies.iter().take(index).position(is_batched);
        let is_of_batch = self.replies.get(index).is_some_and(is_batched);
        self.replies.remove(first.filter(|_| is_of_batch).unwrap_or(index))
    }

    /// Follows and leaves channels.
    pub(super) fn carry_out_next(&mut self) -> bool {
        match self.channel_asks.pop_front() {
            Some(Ask::Follow(channels)) => {
                if !self.is_deaf && !self.is_dead {
                    self.channels.extend(channels.iter().cloned());
                    if self.sabotage != Some(Sabotage::NoConfirmation) {
                        self.heard.push_back(Told::Confirmed(channels));
                    }
                }
            }
            Some(Ask::Leave(channels)) => {
                channels.iter().for_each(|channel| _ = self.channels.remove(channel));
            }
            Some(ask) => panic!("{ask:?} is a call"),
            None => return false,
        }
        true
    }

    /// True if it reaches a server in one way or the other.
    pub(super) fn reaches(&self, server: usize) -> bool {
        self.server == server || self.channels_of == server
    }

    /// Brings what was spread on each channel that this node follows: as often as it follows one.
    pub(super) fn hear(&mut self, topic: &str, told: impl Fn() -> Told) {
        if !self.is_dead && !self.is_deaf {
            let followed = self.channels.iter().filter(|channel| channel.covers(topic));
            self.heard.extend(followed.map(|_| told()));
        }
    }
}

impl Daemon {
    /// Carries out the next call at its server; what it spreads is the caller's to bring to all.
    pub(super) fn call_next(
        &mut self,
        node: u64,
        server: &mut Server,
        truth: &mut Truth,
        now_ms: u64,
    ) -> Option<Spread> {
        let Daemon { connection: Some(connection), seen } = self else { return None };
        let mut spread = Spread::Nothing;
        let reply = match connection.calls.pop_front()? {
            Ask::Publish(mut alone) => {
                let Unnumbered { ticket, topic, publication, origin, rule } = alone.pop()?;
                let origin = origin.map(|session| (node, session));
                let call = Call { seen, topic, publication, origin, rule, now_ms };
                let (result, numbered) = server.publish(call, truth);
                spread = numbered.map_or(Spread::Nothing, Spread::Message);
                Told::Published { ticket, result }
            }
            Ask::Probe { probe } => {
                let record = server.fence(seen, truth).clone();
                if connection.sabotage == Some(Sabotage::HastyProbe) {
                    connection.heard.push_front(Told::Probed { probe, record });
                } else if !connection.is_dead
                    && !connection.is_deaf
                    && connection.channels_of == connection.server
                {
                    connection.heard.push_back(Told::Probed { probe, record });
                }
                return Some(Spread::Nothing);
            }
            Ask::Read { read, channels, above } => {
                let record = server.fence(seen, truth).clone();
                let result = Ok((record, server.read(&channels, above, now_ms)));
                Told::Read { read, result }
            }
            Ask::Clear { ticket, topic } => {
                let epoch = server.fence(seen, truth).epoch;
                let (count, seq) = server.clear(&topic);
                let to = fanfare_protocol::Position { epoch, seq };
                spread = Spread::Cleared { topic, to };
                Told::ClearDone { ticket, result: Ok(count) }
            }
            ask @ (Ask::Follow(_) | Ask::Leave(_) | Ask::Reconnect(_)) => panic!("{ask:?} is not a call"),
        };
        if !connection.is_dead {
            connection.replies.push_back(reply);
        }
        Some(spread)
    }

    /// Notes what the node sees by this.
    pub(super) fn note(&mut self, told: &Told) {
        let position = match told {
            Told::Up(record) | Told::Probed { record, .. } => Some((record.epoch.life, record.seq)),
            Told::Message(numbered) => {
                let position = numbered.message.position;
                Some((position.epoch.life, position.seq))
            }
            Told::Read { result, .. } => {
                result.as_ref().ok().map(|(record, _)| (record.epoch.life, record.seq))
            }
            Told::Published { result, .. } => {
                result.as_ref().ok().map(|published| (published.position.epoch.life, published.position.seq))
            }
            Told::Down(_) | Told::Confirmed(_) | Told::Cleared { .. } | Told::ClearDone { .. } => None,
        };
        if let Some((life, seq)) = position {
            let known = self.seen.entry(life).or_default();
            *known = seq.max(*known);
        }
    }
}
