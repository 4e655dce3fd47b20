//! Sessions that follow many filters, and change them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use fanfare_protocol::{Encoding, Filter, Request, SubscribeOptions};

use super::{Broker, PATIENCE, join};
use crate::load::client::Buffers;
use crate::load::crowd::{Crowd, Met};
use crate::wire::{self, Kind};

/// Requests of one session that may wait for their answers.
const WAITING_MAX: usize = 256;

/// Sessions that follow `dev.<n>.*`, each its own share of the numbers.
pub(super) struct Followers {
    crowd: Crowd,
    sessions: Vec<Session>,
    filters_each: usize,
}

#[derive(Debug, Clone, Default)]
struct Session {
    followed: usize,
    waiting: usize,
}

impl Followers {
    /// Connects so many sessions; each follows only a topic of no concern.
    pub(super) fn connect(broker: &Broker, sessions: usize, filters: usize) -> Result<Followers> {
        ensure!(sessions > 0 && filters >= sessions, "at least a session, and a filter for each");
        let mut crowd = Crowd::new()?;
        let greeting = wire::subscribe("idle", Encoding::Json);
        join(&mut crowd, broker, Buffers::Usual, &vec![greeting; sessions])?;
        let filters_each = filters / sessions;
        Ok(Followers { crowd, sessions: vec![Session::default(); sessions], filters_each })
    }

    /// Follows all filters; how long that took.
    pub(super) fn follow_all(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut newest_at = begun;
        while self.sessions.iter().any(|session| session.waiting > 0 || session.followed < self.filters_each)
        {
            for number in 0..self.sessions.len() {
                let session = &mut self.sessions[number];
                let more = (WAITING_MAX - session.waiting).min(self.filters_each - session.followed);
                // In pieces of some size, as a client that has many filters would write them.
                if more < WAITING_MAX / 4 && session.followed + more < self.filters_each {
                    continue;
                }
                let numbers = session.followed..session.followed + more;
                (session.followed, session.waiting) = (numbers.end, session.waiting + more);
                let mut frames = Vec::new();
                for index in numbers {
                    frames
                        .extend(wire::subscribe(&filter(number * self.filters_each + index), Encoding::Json));
                }
                self.crowd.clients[number].say(&frames)?;
            }
            if self.turn(Duration::from_millis(100))? > 0 {
                newest_at = Instant::now();
            }
            ensure!(newest_at.elapsed() < PATIENCE, "the filters' answers do not come");
        }
        Ok(begun.elapsed())
    }

    /// Unsubscribes and subscribes one filter after the other until told to stop; counts what was answered.
    pub(super) fn change(mut self, rate: f64, stop: &AtomicBool, made: &AtomicU64) -> Result<()> {
        let (begun, mut asked, mut answers) = (Instant::now(), 0_usize, 0_u64);
        let mut stopped_at = None;
        loop {
            let mut timeout = Duration::from_millis(100);
            if stopped_at.is_none() && stop.load(Relaxed) {
                stopped_at = Some(Instant::now());
            }
            match stopped_at {
                None => {
                    let due = Duration::from_secs_f64(asked as f64 / rate);
                    let late = begun.elapsed().checked_sub(due);
                    if late.is_some() {
                        self.change_one(asked)?;
                        asked += 1;
                        continue;
                    }
                    timeout = timeout.min(due.saturating_sub(begun.elapsed()));
                }
                Some(at) if answers < asked as u64 * 2 => {
                    ensure!(at.elapsed() < PATIENCE, "{answers} answers to {asked} changes");
                }
                Some(_) => return Ok(()),
            }
            answers += self.turn(timeout)? as u64;
            made.store(answers / 2, Relaxed);
        }
    }

    fn change_one(&mut self, turn: usize) -> Result<()> {
        let number = turn % self.sessions.len();
        let index = (turn / self.sessions.len()) % self.filters_each;
        let session = &mut self.sessions[number];
        ensure!(session.waiting < WAITING_MAX, "the broker does not keep up with the changes");
        session.waiting += 2;
        let filter = Filter::parse(&filter(number * self.filters_each + index))?;
        let options = SubscribeOptions::default();
        let unsubscribe = Request::Unsubscribe { id: 2, filter: filter.clone() };
        let subscribe = Request::Subscribe { id: 3, filter, options };
        self.crowd.clients[number].say(&[wire::request(&unsubscribe), wire::request(&subscribe)].concat())
    }

    /// Takes what comes; how many answers that were.
    fn turn(&mut self, timeout: Duration) -> Result<usize> {
        let (sessions, mut answers) = (&mut self.sessions, 0);
        self.crowd.turn(timeout, &mut |met| {
            let Met::Frame(number, frame) = met else { bail!("a session was cut") };
            match Kind::of(frame.payload) {
                Kind::Ok => {
                    sessions[number].waiting -= 1;
                    answers += 1;
                }
                Kind::Welcome | Kind::Ping => {}
                Kind::Message | Kind::Gap | Kind::Replay | Kind::Live | Kind::Goodbye | Kind::Other => {
                    bail!("a session got {}", String::from_utf8_lossy(frame.payload));
                }
            }
            Ok(())
        })?;
        Ok(answers)
    }
}

fn filter(number: usize) -> String {
    format!("dev.{number}.*")
}
