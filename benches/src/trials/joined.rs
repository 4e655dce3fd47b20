//! Nodes joined by a Redis: what a message costs across them, what those are sent that follow nothing, and how soon a
//! Redis that comes back is used again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fanfare_protocol::{Encoding, Filter, Request, SubscribeOptions};
use serde_json::{Value, json};

use super::many_topics::publish_all;
use super::probe::Probe;
use super::{Broker, PATIENCE, REST, priority};
use crate::load::client::{Buffers, Client};
use crate::load::crowd::{Crowd, Met};
use crate::load::{Edge, Engine, Plan};
use crate::wire::{self, Kind};

/// What a node was sent for what it follows, in its metrics.
const RECEIVED: &str = "fanfare_backplane_received_bytes_total";
/// How often a node has lost its Redis, in its metrics.
const LOSSES: &str = "fanfare_backplane_losses_total";
/// Between two questions whether something is there again.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// One in so many followed topics is published to when the Redis is back.
const SHARE: usize = 100;

/// Nodes of one broker, and what joins them.
#[derive(Debug, Clone)]
pub struct Nodes {
    /// The nodes; one that is joined to nothing is measured for comparison.
    pub nodes: Vec<Broker>,
    /// Where their Redis listens.
    pub redis: Option<SocketAddr>,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long each part is measured.
    pub time: Duration,
}

impl Nodes {
    /// One topic, published to on the first node, with a subscriber on the last.
    pub fn cross(&self, rate: f64) -> Result<Value> {
        let is_prior = priority::raise();
        let topics = vec!["across".to_owned()];
        let mut probe =
            Probe::connect_across(self.nodes.clone(), topics, "across", 1, rate, self.data_bytes)?;
        probe.measure(REST)?;
        let before = (self.calls()?, self.first()?.usage()?.cpu_ns);
        let window = probe.measure(self.time)?;
        let after = (self.calls()?, self.first()?.usage()?.cpu_ns);
        let mut outcome = serde_json::to_value(&window)?;
        let published = window.published.max(1) as f64;
        outcome["calls_per_publish"] = json!((after.0 - before.0) as f64 / published);
        outcome["publishing_us_per_publish"] = json!((after.1 - before.1) as f64 / 1e3 / published);
        outcome["real_time"] = json!(is_prior);
        Ok(outcome)
    }

    /// Many publishes and all subscribers on the first node; what the others are sent meanwhile.
    pub fn interest(&self, rate: f64) -> Result<Value> {
        let mut engine = Engine::new(Plan {
            server: self.first()?.address,
            server_pid: None,
            edge: Edge::WebSocket(Encoding::Json),
            subscribers: 10,
            topics: 10,
            publishers: 64,
            batch: 1,
            rate: Some(rate),
            data_bytes: self.data_bytes,
            duration: self.time,
            patience: PATIENCE,
        })?;
        let (begun, before) = (Instant::now(), self.received()?);
        rest(self.time)?;
        let (rested, between) = (begun.elapsed().as_secs_f64(), self.received()?);
        engine.prepare()?;
        let begun = Instant::now();
        let load = engine.run()?;
        let (whole, after) = (begun.elapsed().as_secs_f64(), self.received()?);
        let others = 1..self.nodes.len();
        let probes = |node: usize| (between[node] - before[node]) / rested;
        // The run goes on a little after its last publish: what comes then are probes.
        let beside =
            |node: usize| (after[node] - between[node] - probes(node) * whole).max(0.0) / load.seconds;
        let most = |rate: &dyn Fn(usize) -> f64| others.clone().map(rate).fold(0.0, f64::max);
        let mut outcome = serde_json::to_value(&load)?;
        outcome["probe_bytes_per_s"] = json!(most(&probes));
        outcome["other_bytes_per_s"] = json!(most(&beside));
        outcome["published_per_s"] = json!(load.acknowledged as f64 / load.seconds);
        Ok(outcome)
    }

    /// One session on the first node follows topics; how soon they are heard again when the Redis was started anew.
    pub fn refollow(&self, topics: usize) -> Result<Value> {
        let (broker, redis) = (self.first()?, self.redis.context("this trial needs a Redis")?);
        let names: Vec<String> = (0..topics).map(|number| format!("again.{number}")).collect();
        let data = wire::stamped(0, self.data_bytes);
        let (mut crowd, mut met) = (Crowd::new()?, Heard::default());
        let greeting = |name: &String| -> Result<Vec<u8>> {
            let (filter, options) = (Filter::parse(name)?, SubscribeOptions::default());
            Ok(wire::request(&Request::Subscribe { id: 1, filter, options }))
        };
        let greetings: Vec<Vec<u8>> = names.iter().map(greeting).collect::<Result<_>>()?;
        let begun = Instant::now();
        crowd.add_client(Client::connect(
            broker.address,
            Encoding::Json,
            Buffers::Usual,
            greetings.concat(),
        )?)?;
        until(|| Ok(met.hear(&mut crowd)?.oks == topics))?;
        let followed = begun.elapsed();
        publish_all(&broker, &names, &data)?;
        until(|| Ok(met.hear(&mut crowd)?.messages == topics))?;

        // With this it writes down what it has before it ends.
        info(redis, "CONFIG SET save \"3600 1\"")?;
        info(redis, "DEBUG RESTART")?;
        until(|| Ok(counted(&broker, LOSSES)? > 0.0))?;
        until(|| Ok(info(redis, "PING").is_ok_and(|answer| answer.contains("PONG"))))?;
        let back = Instant::now();
        until(|| is_ready(broker.address))?;
        let ready = back.elapsed();
        let some: Vec<String> = names.iter().rev().step_by(SHARE).cloned().collect();
        publish_all(&broker, &some, &data)?;
        until(|| Ok(met.hear(&mut crowd)?.messages == topics + some.len()))?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (follow_ms, ready_ms, heard_ms) = (ms(followed), ms(ready), ms(back.elapsed()));
        Ok(json!({ "exact": true, "follow_ms": follow_ms, "ready_ms": ready_ms, "heard_ms": heard_ms }))
    }

    fn first(&self) -> Result<Broker> {
        self.nodes.first().copied().context("a trial has a node")
    }

    /// How many scripts the Redis has run.
    fn calls(&self) -> Result<u64> {
        let Some(redis) = self.redis else { return Ok(0) };
        let stats = info(redis, "INFO commandstats")?;
        let calls = stats.split("cmdstat_evalsha:calls=").nth(1).and_then(|rest| rest.split(',').next());
        calls.unwrap_or("0").parse().context("the number of calls")
    }

    /// What each node was sent for what it follows.
    fn received(&self) -> Result<Vec<f64>> {
        self.nodes.iter().map(|node| counted(node, RECEIVED)).collect()
    }
}

/// What a session was told.
#[derive(Debug, Default)]
struct Heard {
    oks: usize,
    messages: usize,
}

impl Heard {
    /// Takes what has come: a gap or an error ends the trial.
    fn hear(&mut self, crowd: &mut Crowd) -> Result<&Heard> {
        crowd.turn(ASK_EVERY, &mut |met| {
            let Met::Frame(_, frame) = met else { bail!("the session was cut") };
            match Kind::of(frame.payload) {
                Kind::Ok => self.oks += 1,
                Kind::Message => self.messages += 1,
                Kind::Welcome | Kind::Ping | Kind::Live => {}
                Kind::Gap | Kind::Replay | Kind::Goodbye | Kind::Other => {
                    bail!("the session got {}", String::from_utf8_lossy(frame.payload));
                }
            }
            Ok(())
        })?;
        Ok(self)
    }
}

/// Asks again and again, within patience.
fn until(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < 3 * PATIENCE, "waited for {:?} in vain", 3 * PATIENCE);
        rest(ASK_EVERY)?;
    }
    Ok(())
}

fn rest(time: Duration) -> Result<()> {
    Crowd::new()?.rest(time, &mut |_| Ok(()))
}

/// A counter in a node's metrics.
fn counted(node: &Broker, name: &str) -> Result<f64> {
    let page = http(node.address, "/metrics")?;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.with_context(|| format!("no {name}"))?.trim().parse().context("a number in the metrics")
}

fn is_ready(node: SocketAddr) -> Result<bool> {
    Ok(http(node, "/readyz")?.starts_with("HTTP/1.1 200"))
}

/// What a Redis says to a command; nothing if it closes at once.
fn info(redis: SocketAddr, command: &str) -> Result<String> {
    ask(redis, &format!("{command}\r\nQUIT\r\n"))
}

fn http(node: SocketAddr, path: &str) -> Result<String> {
    ask(node, &format!("GET {path} HTTP/1.1\r\nHost: {node}\r\nConnection: close\r\n\r\n"))
}

/// All that a server says until it closes.
fn ask(server: SocketAddr, question: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server).with_context(|| format!("connecting to {server}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // A server that is started anew resets its connections.
        Ok(_) | Err(_) => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}
