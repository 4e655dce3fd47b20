//! One who subscribes, comes back with its cursors, and writes down all that it sees.

mod standing;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::{Cursor, Position};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::chance::Chance;
use super::link::{Heard, Link};
use super::plan::Habits;
use super::reads::data;
use super::world::{Stage, World};
use crate::checker::Event;
use standing::{Standing, Step};

/// How long to wait before coming back.
const COME_BACK: Duration = Duration::from_millis(20);
/// Without a welcome, so much silence is the end.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// A cursor of another broker.
const FOREIGN: &str = "0.f0re1gn:7";

/// A subscriber with its books.
pub(super) struct Subscriber {
    name: String,
    own_number: usize,
    habits: Habits,
    world: Arc<World>,
    chance: Chance,
    stage: watch::Receiver<Stage>,
    standings: Vec<Standing>,
    /// Cursors that it had once.
    old: Vec<Cursor>,
    is_there: bool,
}

/// One connection of it.
struct Session {
    link: Link,
    number: u64,
    node: usize,
    next_id: u64,
    /// The filters, by number, whose answers are awaited, by the request's id.
    asked: BTreeMap<u64, (usize, Asked)>,
    /// After so much silence the connection is given up.
    silence_max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Subscribe,
    Unsubscribe,
}

impl Subscriber {
    pub(super) fn new(number: usize, world: Arc<World>) -> Subscriber {
        let habits = world.plan.subscribers[number].clone();
        Subscriber {
            name: format!("s{}", number + 1),
            own_number: number,
            chance: Chance::of(world.plan.seed).fork(number),
            stage: world.stage(),
            standings: habits.filters.iter().map(|filter| Standing::new(filter)).collect(),
            old: Vec::new(),
            is_there: false,
            habits,
            world,
        }
    }

    /// Connects, follows and comes back until the run is over.
    pub(super) async fn run(mut self) {
        while *self.stage.borrow() != Stage::Over {
            let (node, address) = self.world.some_node(self.world.plan.subscribe_at, &mut self.chance).await;
            if let Ok(link) = Link::open(address, self.habits.encoding, self.habits.is_narrow).await {
                self.follow(link, node).await;
            }
            sleep(COME_BACK).await;
        }
    }

    async fn follow(&mut self, link: Link, node: usize) {
        let number = self.world.open_session();
        let mut session =
            Session { link, number, node, next_id: 0, asked: BTreeMap::new(), silence_max: SILENCE_MAX };
        let (client, node) = (self.name.clone(), self.world.node(node));
        self.world.history.record(Event::Open { session: number, client, node });
        self.standings.iter_mut().for_each(|standing| standing.step = Step::Away);
        let end = self.converse(&mut session).await;
        self.world.set_following(self.own_number, false);
        let code = end.ok();
        self.world.history.record(Event::Close { session: number, code });
    }

    /// Follows everything until the end of the session; the code that it was closed with.
    async fn converse(&mut self, session: &mut Session) -> io::Result<u16> {
        for filter in 0..self.standings.len() {
            let after = self.after(filter);
            self.subscribe(session, filter, after).await?;
        }
        loop {
            let deadline = Instant::now() + session.silence_max;
            let heard = tokio::select! {
                biased;
                changed = self.stage.changed() => {
                    changed.expect("the world holds the sender");
                    if *self.stage.borrow() == Stage::Over {
                        return Ok(1000);
                    }
                    self.look_around();
                    continue;
                }
                heard = session.link.next() => heard?,
                () = sleep_until(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            };
            match heard {
                Heard::Close(code) => return Ok(code),
                Heard::Frame(frame) => self.hear(session, &frame).await?,
            }
            self.look_around();
            if self.world.is_pouring() {
                self.be_itself(session).await?;
            }
        }
    }

    /// Does what it is in the habit of.
    async fn be_itself(&mut self, session: &mut Session) -> io::Result<()> {
        let habits = &self.habits;
        let mut is_time = |once_in: usize| once_in > 0 && self.chance.once_in(once_in);
        if is_time(habits.cuts_once_in) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let (pauses, leaves) = (is_time(habits.pauses_once_in), is_time(habits.leaves_once_in));
        if pauses && !session.link.has_more() {
            let mut stage = self.stage.clone();
            let pause = self.world.until_published(habits.pause_publishes);
            tokio::select! { () = pause => {}, _ = stage.changed() => {} }
        }
        let filter = self.chance.below(self.standings.len());
        if leaves && matches!(self.standings[filter].step, Step::Live | Step::Replayed) {
            self.standings[filter].step = Step::Leaving;
            let name = self.standings[filter].filter.clone();
            self.world.history.record(Event::Unsubscribe { session: session.number, filter: name.clone() });
            let id = session.ask(filter, Asked::Unsubscribe);
            session.link.send(&[json!(["unsubscribe", id, name])]).await?;
        }
        Ok(())
    }

    /// The cursor to come back with: its own, or one that it has no right to.
    fn after(&mut self, filter: usize) -> Option<String> {
        let own = self.standings[filter].cursor.clone()?;
        if self.old.len() < 64 {
            self.old.push(own.clone());
        }
        let lies = self.habits.lies_once_in;
        if lies == 0 || !self.world.is_pouring() || !self.chance.once_in(lies) {
            return Some(own.to_string());
        }
        let first = own.positions()[0];
        Some(match self.chance.below(4) {
            0 => self.chance.one_of(&self.old).to_string(),
            1 => Position { seq: first.seq + 1_000_000, ..first }.to_string(),
            2 => FOREIGN.to_owned(),
            _ => "garbage:".to_owned(),
        })
    }

    async fn subscribe(
        &mut self,
        session: &mut Session,
        filter: usize,
        after: Option<String>,
    ) -> io::Result<()> {
        let last = self.habits.last.filter(|_| after.is_none());
        let standing = &mut self.standings[filter];
        standing.step = Step::Asked { is_replayed: after.is_some() || last.is_some() };
        self.world.history.record(Event::Subscribe {
            session: session.number,
            filter: standing.filter.clone(),
            after: after.clone(),
            last,
            latest: self.habits.latest,
        });
        let options = json!({"after": after, "last": last, "on_slow": self.habits.on_slow});
        let name = standing.filter.clone();
        let id = session.ask(filter, Asked::Subscribe);
        session.link.send(&[json!(["subscribe", id, name, options])]).await
    }

    async fn hear(&mut self, session: &mut Session, frame: &Value) -> io::Result<()> {
        match frame[0].as_str() {
            Some("welcome") => {
                let heartbeat = frame[2]["heartbeat_ms"].as_u64().unwrap_or(25_000);
                session.silence_max = Duration::from_millis(2 * heartbeat);
            }
            Some("ok") => self.hear_ok(session, frame).await?,
            Some("error") => self.hear_error(session, frame).await?,
            Some("message") => {
                self.hear_message(session.number, frame, None);
                self.world.count_heard(session.node);
            }
            Some("gap") => self.hear_gap(session.number, frame, None),
            Some("replay") => {
                let filter = frame[1].as_str().expect("a replay has a filter").to_owned();
                match frame[2][0].as_str() {
                    Some("gap") => self.hear_gap(session.number, &frame[2], Some(filter)),
                    _ => self.hear_message(session.number, &frame[2], Some(filter)),
                }
            }
            Some("live") => {
                let filter = frame[1].as_str().expect("live has a filter here").to_owned();
                let cursor = cursor(&frame[2]);
                self.standings.iter_mut().for_each(|standing| standing.live(&filter, &cursor));
                self.world.history.record(Event::Live { session: session.number, filter, cursor });
            }
            Some("ping") => {
                let cursor = cursor(&frame[1]);
                self.standings.iter_mut().for_each(|standing| standing.ping(&cursor));
                self.world.history.record(Event::Ping { session: session.number, cursor });
                session.link.send(&[json!(["pong"])]).await?;
            }
            Some("unsubscribed") => {
                let filter = frame[1].as_str().expect("it names the filter").to_owned();
                let number = self.standings.iter().position(|standing| standing.filter == filter);
                self.world.history.record(Event::Unsubscribed { session: session.number, filter });
                if let Some(number) = number {
                    let after = self.after(number);
                    self.subscribe(session, number, after).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn hear_ok(&mut self, session: &mut Session, frame: &Value) -> io::Result<()> {
        let Some((number, asked)) = frame[1].as_u64().and_then(|id| session.asked.remove(&id)) else {
            return Ok(());
        };
        let standing = &mut self.standings[number];
        let (session_number, filter) = (session.number, standing.filter.clone());
        if asked == Asked::Subscribe {
            let cursor = cursor(&frame[2]["cursor"]);
            let is_clean = standing.step == Step::Asked { is_replayed: false };
            standing.begin(&cursor);
            let resumed = frame[2]["resumed"].as_bool();
            self.world.history.record(Event::Ok { session: session_number, filter, cursor, resumed });
            self.world.count_joined(is_clean);
            return Ok(());
        }
        self.world.history.record(Event::Unsubscribed { session: session_number, filter });
        let is_back_from_now = self.chance.once_in(2);
        let after = if is_back_from_now { None } else { self.after(number) };
        self.subscribe(session, number, after).await
    }

    async fn hear_error(&mut self, session: &mut Session, frame: &Value) -> io::Result<()> {
        let Some((number, Asked::Subscribe)) = frame[1].as_u64().and_then(|id| session.asked.remove(&id))
        else {
            return Err(io::Error::other(frame.to_string()));
        };
        let code = frame[2].as_str().unwrap_or_default().to_owned();
        let filter = self.standings[number].filter.clone();
        let is_lie = code == "bad_cursor";
        self.world.history.record(Event::Refused { session: session.number, filter, code });
        if !is_lie {
            return Err(io::Error::other(frame.to_string()));
        }
        let own = self.standings[number].cursor.as_ref().map(ToString::to_string);
        self.subscribe(session, number, own).await
    }

    fn hear_message(&mut self, session: u64, frame: &Value, replay: Option<String>) {
        let topic = frame[1].as_str().expect("a message has a topic").to_owned();
        let position = position(&frame[2]);
        self.standings.iter_mut().for_each(|standing| standing.message(&topic, position, replay.as_deref()));
        let data = data(&frame[3]);
        self.world.history.record(Event::Message { session, topic, position, data, replay });
    }

    fn hear_gap(&mut self, session: u64, frame: &Value, replay: Option<String>) {
        let topic = frame[1].as_str().map(str::to_owned);
        let (from, to) = (position(&frame[2]), position(&frame[3]));
        if topic.is_none() {
            self.standings.iter_mut().for_each(|standing| standing.gap(to, replay.as_deref()));
        }
        self.world.history.record(Event::Gap { session, topic, from, to, replay });
    }

    /// Tells whether it follows everything and, once, that it is at the end of it.
    fn look_around(&mut self) {
        let follows = self.standings.iter().all(|standing| standing.step == Step::Live);
        self.world.set_following(self.own_number, follows);
        let Stage::Settling(end) = *self.stage.borrow() else { return };
        if !self.is_there && self.standings.iter().all(|standing| standing.is_at(end)) {
            self.is_there = true;
            self.world.count_there();
        }
    }
}

impl Session {
    fn ask(&mut self, filter: usize, asked: Asked) -> u64 {
        self.next_id += 1;
        self.asked.insert(self.next_id, (filter, asked));
        self.next_id
    }
}

fn position(value: &Value) -> Position {
    value.as_str().and_then(|text| text.parse().ok()).expect("the broker writes positions")
}

fn cursor(value: &Value) -> Cursor {
    value.as_str().and_then(|text| text.parse().ok()).expect("the broker writes cursors")
}
