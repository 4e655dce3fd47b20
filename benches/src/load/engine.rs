//! The generator's event loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::client::{Buffers, Client, Edge};
use super::crowd::{Crowd, Met};
use super::outcome::{FanOut, Idle, Tally, percentile_us};
use super::plan::Plan;
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::usage::Usage;
use crate::wire;

/// Connections that are being made at a time.
const CONNECTING_MAX: usize = 64;
/// One subscriber in so many looks at each seq.
const LOOKING_EVERY: usize = 64;
/// Connections that warm a server up before its memory is looked at.
const WARM_UP: usize = 100;
/// A publish that begins later than this is counted as late.
const LATE: Duration = Duration::from_millis(10);
/// Time for a server to come to rest before it is measured.
const REST: Duration = Duration::from_millis(500);

/// All connections of one run, driven by one thread.
pub struct Engine {
    plan: Plan,
    crowd: Crowd,
    subscribers: Vec<Subscriber>,
    requests_by_topic: Vec<Arc<[u8]>>,
    acknowledged_by_topic: Vec<u64>,
    publishes: usize,
    late: u64,
    answer_ns: Vec<u32>,
    tally: Tally,
}

impl Engine {
    /// An engine without connections.
    pub fn new(plan: Plan) -> Result<Engine> {
        ensure!(plan.topics > 0 && plan.batch > 0, "at least one topic and one message a publish");
        Ok(Engine {
            crowd: Crowd::new()?,
            subscribers: Vec::new(),
            requests_by_topic: (0..plan.topics).map(|topic| plan.publish_request(topic).into()).collect(),
            acknowledged_by_topic: vec![0; plan.topics],
            publishes: 0,
            late: 0,
            answer_ns: Vec::new(),
            tally: Tally::default(),
            plan,
        })
    }

    /// Subscribes, publishes and waits until everything acknowledged has arrived.
    pub fn fan_out(mut self) -> Result<FanOut> {
        self.prepare()?;
        self.run()
    }

    /// Connects everybody and subscribes.
    pub fn prepare(&mut self) -> Result<()> {
        self.subscribe(self.plan.subscribers)?;
        self.crowd.add_publishers(self.plan.server, self.plan.publishers)?;
        self.rest(REST)
    }

    /// Publishes and waits until everything acknowledged has arrived; after [`Engine::prepare`].
    pub fn run(mut self) -> Result<FanOut> {
        let (server_before, own_before) = (self.server_usage()?, Usage::own()?);
        let begun = Instant::now();
        let ended = self.publish(begun)?;
        let (server_after, own_after) = (self.server_usage()?, Usage::own()?);
        let server_ns = server_before
            .zip(server_after)
            .map(|(before, after)| after.cpu_ns.saturating_sub(before.cpu_ns) as f64);
        let own_ns = own_after.cpu_ns.saturating_sub(own_before.cpu_ns) as f64;
        // What should not come has time to.
        self.rest(REST)?;
        Ok(self.outcome((ended - begun).as_secs_f64(), server_ns, own_ns))
    }

    /// Subscribes, rests and looks at what that cost the server.
    pub fn idle(mut self) -> Result<Idle> {
        self.subscribe(WARM_UP)?;
        self.rest(REST)?;
        let before = self.server_usage()?;
        let begun = Instant::now();
        self.subscribe(WARM_UP + self.plan.subscribers)?;
        let seconds = begun.elapsed().as_secs_f64();
        self.rest(REST)?;
        let after = self.server_usage()?;
        let connections = self.plan.subscribers;
        let each = |used: f64| used / connections as f64;
        let both = before.zip(after);
        Ok(Idle {
            exact: self.tally.cuts + self.tally.unexpected + self.tally.messages == 0,
            connections,
            seconds,
            server_bytes_per_connection: both
                .map(|(before, after)| each(after.resident_bytes as f64 - before.resident_bytes as f64)),
            server_us_per_connection: both
                .map(|(before, after)| each(after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e3)),
            tally: self.tally,
        })
    }

    /// Connects and subscribes until there are `goal` subscribers.
    fn subscribe(&mut self, goal: usize) -> Result<()> {
        let mut progress = (0, Instant::now());
        while self.tally.subscribed < goal {
            while self.subscribers.len() < goal
                && self.subscribers.len() < self.tally.subscribed + CONNECTING_MAX
            {
                self.connect()?;
            }
            self.turn(Duration::from_secs(1))?;
            if self.tally.subscribed > progress.0 {
                progress = (self.tally.subscribed, Instant::now());
            }
            let Tally { subscribed, cuts, unexpected, ref unexpected_first, .. } = self.tally;
            ensure!(
                cuts + unexpected == 0,
                "after {subscribed} subscribers: {cuts} cuts, {unexpected_first:?}"
            );
            ensure!(
                progress.1.elapsed() < self.plan.patience,
                "no more than {subscribed} of {goal} could subscribe"
            );
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<()> {
        let index = self.subscribers.len();
        let looks = index.is_multiple_of(LOOKING_EVERY);
        let topic = index % self.plan.topics;
        let (server, name) = (self.plan.server, Plan::topic(topic));
        let client = match self.plan.edge {
            Edge::WebSocket(encoding) => {
                Client::connect(server, encoding, Buffers::Usual, wire::subscribe(&name, encoding))?
            }
            Edge::Events => Client::stream(server, &name)?,
        };
        self.crowd.add_client(client)?;
        self.subscribers.push(Subscriber::new(topic, looks, self.plan.edge));
        Ok(())
    }

    fn rest(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(left.max(Duration::from_millis(1)))?;
        }
        Ok(())
    }

    /// Publishes for the planned time, then waits for what is still to come; when the last of it came.
    fn publish(&mut self, begun: Instant) -> Result<Instant> {
        let end = begun + self.plan.duration;
        let (mut newest, mut newest_at) = (self.tally.messages, begun);
        loop {
            let now = Instant::now();
            let mut timeout = Duration::from_millis(100);
            if now < end {
                timeout = self.begin_publishes(now - begun)?.min(end - now);
            }
            if now >= end {
                let is_answered = self.crowd.publishers.iter().all(Publisher::is_free);
                let is_over = is_answered && self.awaited() <= self.tally.messages;
                let is_hopeless = newest_at.max(end).elapsed() > self.plan.patience;
                ensure!(
                    is_answered || !is_hopeless,
                    "a publish was not answered within {:?}",
                    self.plan.patience
                );
                if is_over || is_hopeless {
                    return Ok(newest_at);
                }
            }
            self.turn(timeout)?;
            if self.tally.messages > newest {
                (newest, newest_at) = (self.tally.messages, Instant::now());
            }
        }
    }

    /// Begins what is due; how long to sleep until more is.
    fn begin_publishes(&mut self, elapsed: Duration) -> Result<Duration> {
        // In turn: a connection that asks nothing for long is closed.
        let (first, count) = (self.publishes, self.crowd.publishers.len());
        for index in (first..first + count).map(|turn| turn % count) {
            if !self.crowd.publishers[index].is_free() {
                continue;
            }
            if let Some(rate) = self.plan.rate {
                let due = Duration::from_secs_f64(self.publishes as f64 / rate);
                let Some(lateness) = elapsed.checked_sub(due) else {
                    // epoll's clock is in milliseconds: the last one is spent awake.
                    return Ok((due - elapsed).saturating_sub(Duration::from_millis(1)));
                };
                self.late += u64::from(lateness > LATE);
            }
            let topic = self.publishes % self.plan.topics;
            self.crowd.publishers[index].ask(self.requests_by_topic[topic].clone(), topic)?;
            self.publishes += 1;
        }
        Ok(Duration::from_millis(100))
    }

    /// Waits for events, at most `timeout`, and takes what they bring.
    fn turn(&mut self, timeout: Duration) -> Result<()> {
        let Engine { plan, crowd, subscribers, acknowledged_by_topic, answer_ns, tally, .. } = self;
        crowd.turn(timeout, &mut |met| {
            match met {
                Met::Frame(index, frame) => subscribers[index].take(&frame, tally),
                Met::Cut(_) => tally.cuts += 1,
                Met::Answer(answer) => {
                    acknowledged_by_topic[answer.topic] += answer.accepted as u64;
                    tally.refusals += (plan.batch - answer.accepted) as u64;
                    answer_ns.push(answer.ns);
                }
            }
            Ok(())
        })
    }

    fn server_usage(&self) -> Result<Option<Usage>> {
        self.plan.server_pid.map(Usage::of).transpose()
    }

    /// How many messages all subscribers together should have by now.
    fn awaited(&self) -> u64 {
        let by_topic = self.acknowledged_by_topic.iter().enumerate();
        by_topic.map(|(topic, acknowledged)| acknowledged * self.plan.subscribers_of(topic) as u64).sum()
    }

    fn outcome(mut self, seconds: f64, server_ns: Option<f64>, own_ns: f64) -> FanOut {
        let (mut missing, mut surplus) = (0, 0);
        for subscriber in &self.subscribers {
            let due = self.acknowledged_by_topic[subscriber.topic];
            missing += due.saturating_sub(subscriber.received);
            surplus += subscriber.received.saturating_sub(due);
        }
        self.answer_ns.sort_unstable();
        let Tally { messages, gaps, cuts, disordered, refusals, unexpected, .. } = self.tally;
        let acknowledged = self.acknowledged_by_topic.iter().sum::<u64>();
        let us_each = |ns: f64, number: u64| ns / 1e3 / number.max(1) as f64;
        FanOut {
            exact: missing + surplus + gaps + cuts + disordered + refusals + unexpected == 0
                && acknowledged > 0,
            paced: self.plan.rate.is_some(),
            acknowledged,
            deliveries: messages,
            missing,
            surplus,
            seconds,
            deliveries_per_s: messages as f64 / seconds,
            late: self.late,
            server_us_per_delivery: server_ns.map(|ns| us_each(ns, messages)),
            server_us_per_publish: server_ns.map(|ns| us_each(ns, acknowledged)),
            server_load: server_ns.map(|ns| ns / 1e9 / seconds),
            generator_us_per_delivery: us_each(own_ns, messages),
            generator_load: own_ns / 1e9 / seconds,
            answer_p50_us: percentile_us(&self.answer_ns, 0.5),
            answer_p99_us: percentile_us(&self.answer_ns, 0.99),
            tally: self.tally,
        }
    }
}
