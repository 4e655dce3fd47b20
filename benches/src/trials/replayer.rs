//! A client that is brought what it missed, over and over.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use fanfare_protocol::{Cursor, Encoding, Filter, Request, SubscribeOptions};
use serde_json::{Value, json};

use super::many_topics::publish_all;
use super::{Broker, PATIENCE, join};
use crate::load::client::{Buffers, Client};
use crate::load::crowd::{Crowd, Met};
use crate::wire::{self, Kind};

/// Over how many topics the messages are spread.
const TOPICS: usize = 10;
const FILTER: &str = "replay.>";

/// Messages in the past, and where they begin.
pub(super) struct Replayer {
    broker: Broker,
    messages: usize,
    after: Cursor,
}

impl Replayer {
    /// Publishes so many messages to topics with history.
    pub(super) fn prepare(broker: Broker, messages: usize, data_bytes: usize) -> Result<Replayer> {
        let mut crowd = Crowd::new()?;
        let greeting = wire::subscribe(FILTER, Encoding::Json);
        let cursors = join(&mut crowd, &broker, Buffers::Usual, &[greeting])?;
        drop(crowd);
        let topics: Vec<String> = (0..messages).map(|number| format!("replay.{}", number % TOPICS)).collect();
        publish_all(&broker, &topics, &wire::stamped(0, data_bytes))?;
        let Some(after) = cursors.into_iter().next() else { bail!("an `ok` without a cursor") };
        Ok(Replayer { broker, messages, after })
    }

    /// Has them replayed to one new session after the other until told to stop.
    pub(super) fn run(&self, stop: &AtomicBool) -> Result<Value> {
        let mut took_ms = Vec::new();
        while !stop.load(Relaxed) {
            took_ms.push(self.replay()?.as_secs_f64() * 1e3);
        }
        took_ms.sort_by(f64::total_cmp);
        Ok(json!({ "replays": took_ms.len(), "replay_p50_ms": took_ms.get(took_ms.len() / 2) }))
    }

    fn replay(&self) -> Result<Duration> {
        let begun = Instant::now();
        let options = SubscribeOptions { after: Some(self.after.clone()), ..SubscribeOptions::default() };
        let subscribe = Request::Subscribe { id: 1, filter: Filter::parse(FILTER)?, options };
        let greeting = wire::request(&subscribe);
        let mut crowd = Crowd::new()?;
        crowd.add_client(Client::connect(self.broker.address, Encoding::Json, Buffers::Usual, greeting)?)?;
        let (mut messages, mut is_live, mut newest) = (0, false, 0);
        while !is_live {
            ensure!(begun.elapsed() < PATIENCE, "a replay stands still after {messages} messages");
            crowd.turn(Duration::from_millis(100), &mut |met| {
                let Met::Frame(_, frame) = met else { bail!("a replay was cut") };
                match Kind::of(frame.payload) {
                    Kind::Replay => {
                        let seq = wire::seq(frame.payload).unwrap_or(0);
                        ensure!(seq > newest, "a replay has seq {seq} after {newest}");
                        (newest, messages) = (seq, messages + 1);
                    }
                    Kind::Live => is_live = true,
                    Kind::Welcome | Kind::Ok | Kind::Ping => {}
                    Kind::Message | Kind::Gap | Kind::Goodbye | Kind::Other => {
                        bail!("a replay got {}", String::from_utf8_lossy(frame.payload));
                    }
                }
                Ok(())
            })?;
        }
        ensure!(messages == self.messages, "a replay of {messages} of {} messages", self.messages);
        Ok(begun.elapsed())
    }
}
