//! A quiet topic beside a strain elsewhere.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use fanfare_protocol::{Encoding, Filter, OnSlow, Request, SubscribeOptions};
use serde_json::{Value, json};

use super::probe::Probe;
use super::replayer::Replayer;
use super::{Broker, PATIENCE, REST, join, outcome, priority};
use crate::load::client::Buffers;
use crate::load::crowd::{Crowd, Met};
use crate::load::{Edge, Engine, Plan};
use crate::wire::{self, Kind};

/// How long a strain goes on before and after the measured time, together.
const MARGIN: Duration = Duration::from_secs(2);
/// Messages of one replay.
const REPLAYED: usize = 10_000;
/// What the slow reader reads at a time, ten times a second: 10 KiB in all.
const SIP_BYTES: usize = 1024;
const SIP_EVERY: Duration = Duration::from_millis(100);

/// A strain that is ready: it goes on until told to stop, or for its time, and says what it did.
type Straining = Box<dyn FnOnce(&AtomicBool) -> Result<Value> + Send + Sync>;

/// What strains the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// A topic with 1,000 subscribers and 16 publishers that publish as fast as they are answered.
    Saturated,
    /// A subscriber that reads 10 KiB a second of a topic with 1,000 messages a second; what it can't take is dropped.
    Sluggish,
    /// Replays of 10,000 messages, one after the other.
    Replay,
}

/// A quiet topic beside one of the strains.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// What strains the broker.
    pub strain: Strain,
    /// Publishes a second to the quiet topic, which has one subscriber.
    pub rate: f64,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long each part is measured.
    pub time: Duration,
}

impl Isolation {
    /// Measures alone, then beside the strain.
    pub fn run(&self, broker: Broker) -> Result<Value> {
        let is_prior = priority::raise();
        let mut probe =
            Probe::connect(broker, vec!["quiet".to_owned()], "quiet", 1, self.rate, self.data_bytes)?;
        let alone = probe.warm_and_measure(REST, self.time)?;
        let strain = self.prepare(broker)?;
        let stop = AtomicBool::new(false);
        let (beside, strain) = thread::scope(|scope| -> Result<_> {
            let straining = scope.spawn(|| strain(&stop));
            let measured = probe.warm_and_measure(REST, self.time);
            stop.store(true, Relaxed);
            let strain = straining.join().map_err(|_| anyhow!("the strain panicked"))??;
            Ok((measured?, strain))
        })?;
        outcome(&beside, &alone, Vec::new(), json!({ "real_time": is_prior, "strain": strain }))
    }

    /// Connects what strains; it begins when it is called.
    fn prepare(&self, broker: Broker) -> Result<Straining> {
        let data_bytes = self.data_bytes;
        let plan = Plan {
            server: broker.address,
            server_pid: None,
            edge: Edge::WebSocket(Encoding::Json),
            subscribers: 1,
            topics: 1,
            publishers: 16,
            batch: 1,
            rate: None,
            data_bytes,
            duration: self.time + MARGIN,
            patience: PATIENCE,
        };
        Ok(match self.strain {
            Strain::Saturated => {
                let mut engine = Engine::new(Plan { subscribers: 1000, ..plan })?;
                engine.prepare()?;
                Box::new(move |_| flood(engine))
            }
            Strain::Sluggish => {
                let mut engine = Engine::new(Plan { rate: Some(1000.0), ..plan })?;
                engine.prepare()?;
                Box::new(move |stop| {
                    thread::scope(|scope| {
                        let sipping = scope.spawn(|| sip(&broker, stop));
                        let engine = flood(engine)?;
                        let sips = sipping.join().map_err(|_| anyhow!("the slow reader panicked"))??;
                        Ok(json!({ "topic": engine, "reader": sips }))
                    })
                })
            }
            Strain::Replay => {
                let replayer = Replayer::prepare(broker, REPLAYED, data_bytes)?;
                Box::new(move |stop| replayer.run(stop))
            }
        })
    }
}

fn flood(engine: Engine) -> Result<Value> {
    let outcome = serde_json::to_value(engine.run()?)?;
    ensure!(outcome["exact"] == true, "the strain was not exact: {outcome}");
    Ok(outcome)
}

/// Reads slowly, all the time.
fn sip(broker: &Broker, stop: &AtomicBool) -> Result<Value> {
    let options = SubscribeOptions { on_slow: Some(OnSlow::Drop), ..SubscribeOptions::default() };
    let filter = Filter::parse(&Plan::topic(0))?;
    let greeting = wire::request(&Request::Subscribe { id: 1, filter, options });
    let mut crowd = Crowd::new()?;
    join(&mut crowd, broker, Buffers::Small, &[greeting])?;
    crowd.clients[0].pause(true);
    let (mut messages, mut gaps) = (0, 0);
    let mut due = Instant::now();
    while !stop.load(Relaxed) {
        due += SIP_EVERY;
        crowd.rest(due.saturating_duration_since(Instant::now()), &mut |_| Ok(()))?;
        crowd.sip(0, SIP_BYTES, &mut |met| {
            let Met::Frame(_, frame) = met else { bail!("the slow reader was cut") };
            messages += u64::from(Kind::of(frame.payload) == Kind::Message);
            gaps += u64::from(Kind::of(frame.payload) == Kind::Gap);
            Ok(())
        })?;
    }
    Ok(json!({ "messages": messages, "gaps": gaps }))
}
