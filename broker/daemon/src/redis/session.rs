//! One connection's life: what the core asks goes out, what comes in is told, until something breaks.

mod leaving;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_core::{Ask, Channel, Told, Unnumbered};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Interval;

use self::leaving::Leaving;
use self::work::{Done, READS_MAX};
use super::Core;
use super::calls::{Calls, DEADLINE, silent};
use super::connect::{Connected, Drivers, Pushes, closed, size};
use super::envelope::{Envelope, EnvelopeError, decode};
use super::fault::Fault;
use super::health::Figures;
use super::link::Link;

/// How often it is looked at what is overdue.
const TICK: Duration = Duration::from_millis(250);
/// How often the server is asked whether it keeps what it is given.
const CHECK: Duration = Duration::from_secs(5);
/// How many pushes are handled before anything else gets its turn.
const PUSHES_PER_TURN: usize = 256;

/// A connection that is served.
pub(super) struct Session<'a, C> {
    link: &'a mut Link<C>,
    calls: Calls,
    subscription: MultiplexedConnection,
    pushes: Pushes,
    drivers: Drivers,
    /// Publishes that are not under way, alone or in batches; those that somebody waits for are bounded by the core, and
    /// the others go as soon as it is their turn.
    outgoing: VecDeque<Vec<Unnumbered>>,
    /// How many writes of publishes are under way.
    writes: usize,
    /// What is under way; bounded by what the core asks at once, and by the writes.
    under_way: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// Places for reads.
    places: Rc<Semaphore>,
    /// Probes that are not back, with when they were asked for.
    probes: BTreeMap<u64, Instant>,
    /// Channels that the node leaves; as many as the core asked for.
    leaving: Leaving,
    checked: Instant,
    swept: Instant,
}

impl<'a, C: Core> Session<'a, C> {
    pub(super) fn new(connected: Connected, link: &'a mut Link<C>) -> Session<'a, C> {
        let Connected { calls, subscription, pushes, drivers, .. } = connected;
        let now = Instant::now();
        Session {
            link,
            calls,
            subscription,
            pushes,
            drivers,
            outgoing: VecDeque::new(),
            writes: 0,
            under_way: FuturesUnordered::new(),
            places: Rc::new(Semaphore::new(READS_MAX)),
            probes: BTreeMap::new(),
            leaving: Leaving::default(),
            checked: now,
            swept: now,
        }
    }

    /// Serves until something breaks: what; none if the broker has ended.
    pub(super) async fn serve(mut self) -> Option<Fault> {
        let wake = self.link.wake.clone();
        let mut ticks = tokio::time::interval(TICK);
        let mut drivers = std::mem::replace(&mut self.drivers, std::future::pending().boxed());
        loop {
            // First what moves the connections: what it brings is then seen in the same turn.
            let outcome = tokio::select! {
                biased;
                () = &mut drivers => Err(closed()),
                outcome = self.turn(&wake, &mut ticks) => outcome?,
            };
            if let Err(fault) = outcome {
                return Some(fault);
            }
        }
    }

    /// Does what is there to do, one thing of those that wait, by chance; none if the broker has ended.
    async fn turn(&mut self, wake: &Notify, ticks: &mut Interval) -> Option<Result<(), Fault>> {
        Some(tokio::select! {
            push = self.pushes.next() => self.on_pushes(push),
            Some(done) = self.under_way.next(), if !self.under_way.is_empty() => self.on_done(done),
            () = wake.notified() => {
                let asks = self.link.core.take_asks();
                let done = asks.into_iter().try_for_each(|ask| self.on_ask(ask));
                self.send_publishes();
                done
            }
            question = self.link.questions.recv() => {
                self.on_question(question?);
                Ok(())
            }
            _ = ticks.tick() => self.on_tick(),
        })
    }

    fn on_ask(&mut self, ask: Ask) -> Result<(), Fault> {
        match ask {
            Ask::Publish(publishes) => self.outgoing.push_back(publishes),
            Ask::Follow(channels) => {
                let names: Vec<String> = channels.iter().map(|one| self.calls.keys.channel(one)).collect();
                self.start_following("SSUBSCRIBE", names);
            }
            Ask::Leave(channels) => {
                let names: Vec<String> = channels.iter().map(|one| self.calls.keys.channel(one)).collect();
                names.iter().for_each(|name| self.leaving.begin(name));
                self.start_following("SUNSUBSCRIBE", names);
            }
            Ask::Probe { probe } => {
                self.probes.insert(probe, Instant::now());
                self.start_probe(probe);
            }
            Ask::Read { read, channels, above } => self.start_read(read, channels, above),
            Ask::Clear { ticket, topic } => self.start_clear(ticket, topic),
            Ask::Reconnect(reason) => return Err(Fault::Away(reason)),
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) -> Result<(), Fault> {
        match done {
            Done::Nothing => {}
            Done::Told(told) => self.link.core.told(told),
            Done::Published { told, rest, took } => {
                self.link.health.figures.publish.add(took.as_micros() as u64);
                self.writes -= 1;
                told.into_iter().for_each(|told| self.link.core.told(told));
                if !rest.is_empty() {
                    // At the end, so that a long batch holds nobody up for long.
                    self.outgoing.push_back(rest);
                }
                self.send_publishes();
            }
            Done::Checked(danger) => self.link.health.up(danger),
            Done::Broke(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Handles a push and those behind it; confirmations that come together are told together.
    fn on_pushes(&mut self, first: Option<PushInfo>) -> Result<(), Fault> {
        let mut next = Some(first.ok_or_else(closed)?);
        let mut confirmed: Vec<Channel> = Vec::new();
        let mut left = PUSHES_PER_TURN;
        let figures = &self.link.health.figures;
        while let Some(push) = next {
            figures.bytes.fetch_add(size(&push) as u64, Ordering::Relaxed);
            if push.kind == PushKind::SSubscribe {
                let name = text(push.data.first());
                confirmed.extend(name.and_then(|name| self.calls.keys.parse(name)));
            } else {
                if !confirmed.is_empty() {
                    self.link.core.told(Told::Confirmed(std::mem::take(&mut confirmed)));
                }
                let told = on_push(push, &self.calls, &mut self.probes, &mut self.leaving, figures)?;
                told.into_iter().for_each(|told| self.link.core.told(told));
            }
            left -= 1;
            next = if left > 0 { self.pushes.try_next() } else { None };
        }
        if !confirmed.is_empty() {
            self.link.core.told(Told::Confirmed(confirmed));
        }
        if self.pushes.has_overflowed() {
            return Err(Fault::Away("messages came from Redis faster than they could be taken".to_owned()));
        }
        Ok(())
    }

    fn on_tick(&mut self) -> Result<(), Fault> {
        if self.probes.values().any(|asked| asked.elapsed() > DEADLINE) {
            return Err(silent());
        }
        if self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            self.start_check();
        }
        if self.swept.elapsed() >= self.calls.sweep_interval() {
            self.swept = Instant::now();
            self.start_sweep();
        }
        Ok(())
    }
}

fn on_push(
    push: PushInfo,
    calls: &Calls,
    probes: &mut BTreeMap<u64, Instant>,
    leaving: &mut Leaving,
    figures: &Figures,
) -> Result<Option<Told>, Fault> {
    let PushInfo { kind, data } = push;
    if kind == PushKind::SMessage {
        figures.messages.fetch_add(1, Ordering::Relaxed);
        let Some(Value::BulkString(bytes)) = data.into_iter().nth(1) else {
            return Err(Fault::odd("what is followed"));
        };
        return on_envelope(bytes.into(), calls, probes, figures);
    }
    if kind == PushKind::SUnsubscribe && !text(data.first()).is_some_and(|name| leaving.end(name)) {
        return Err(Fault::Away("Redis took a channel away".to_owned()));
    }
    if kind == PushKind::Disconnection { Err(closed()) } else { Ok(None) }
}

fn on_envelope(
    bytes: Bytes,
    calls: &Calls,
    probes: &mut BTreeMap<u64, Instant>,
    figures: &Figures,
) -> Result<Option<Told>, Fault> {
    Ok(match decode(bytes, calls.partition, None) {
        Ok(Envelope::Message(numbered)) => {
            let position = numbered.message.position;
            calls.seen.note(position.epoch.life, position.seq);
            Some(Told::Message(*numbered))
        }
        Ok(Envelope::Cleared { topic, to }) => Some(Told::Cleared { topic, to }),
        Ok(Envelope::Probed { probe, record }) => {
            calls.seen.note(record.epoch.life, record.seq);
            if let Some(asked) = probes.remove(&probe) {
                figures.probe.add(asked.elapsed().as_micros() as u64);
            }
            Some(Told::Probed { probe, record })
        }
        // The script that numbered it ends this node's connections in any case: nothing behind it may be taken.
        Err(EnvelopeError::Version { found }) => return Err(Fault::of_version(found)),
        Err(error) => {
            figures.unreadable.fetch_add(1, Ordering::Relaxed);
            // What it was is unknown, and so what is missing without it: that is read on the next connection.
            return Err(Fault::Away(format!("what another node has sent can't be read: {error}")));
        }
    })
}

fn text(value: Option<&Value>) -> Option<&str> {
    let Some(Value::BulkString(bytes)) = value else { return None };
    std::str::from_utf8(bytes).ok()
}
