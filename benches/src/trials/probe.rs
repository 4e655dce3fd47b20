//! A topic, or many in turn, published to at a steady rate, with the moment of the publish in each message.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fanfare_protocol::Encoding;

use super::window::{Samples, Window};
use super::{Broker, PATIENCE, join};
use crate::load::client::Buffers;
use crate::load::crowd::{Crowd, Met};
use crate::wire::{self, Frame, Kind};

/// Connections that publish, so that one late answer does not hold up the next publish.
const PUBLISHERS: usize = 8;
/// Between two topics in turn: a prime, so that no order of theirs in memory is followed.
const STRIDE: usize = 7919;

/// One probe: its topics, its readers and what they have seen.
pub(super) struct Probe {
    /// The first is published to, the last is read from.
    brokers: Vec<Broker>,
    topics: Vec<String>,
    rate: f64,
    data_bytes: usize,
    crowd: Crowd,
    readers: Vec<Reader>,
    origin: Instant,
    turns: usize,
    samples: Samples,
}

/// What one reader has received.
#[derive(Debug, Clone, Default)]
struct Reader {
    newest: u64,
    received: usize,
}

impl Probe {
    /// Connects; all readers follow `filter`.
    pub(super) fn connect(
        broker: Broker,
        topics: Vec<String>,
        filter: &str,
        readers: usize,
        rate: f64,
        data_bytes: usize,
    ) -> Result<Probe> {
        Probe::connect_across(vec![broker], topics, filter, readers, rate, data_bytes)
    }

    /// Connects to nodes of one broker: publishers to the first, readers to the last.
    pub(super) fn connect_across(
        brokers: Vec<Broker>,
        topics: Vec<String>,
        filter: &str,
        readers: usize,
        rate: f64,
        data_bytes: usize,
    ) -> Result<Probe> {
        ensure!(!topics.is_empty() && rate > 0.0, "a probe has a topic and a rate");
        let mut crowd = Crowd::new()?;
        let greeting = wire::subscribe(filter, Encoding::Json);
        let (first, last) = (brokers.first(), brokers.last());
        let (first, last) = first.zip(last).context("a probe has a broker")?;
        join(&mut crowd, last, Buffers::Usual, &vec![greeting; readers])?;
        crowd.add_publishers(first.address, PUBLISHERS)?;
        let (origin, samples) = (Instant::now(), Samples::default());
        let readers = vec![Reader::default(); readers];
        Ok(Probe { brokers, topics, rate, data_bytes, crowd, readers, origin, turns: 0, samples })
    }

    /// The newest seq that a reader has.
    pub(super) fn newest(&self) -> u64 {
        self.readers.iter().map(|reader| reader.newest).max().unwrap_or(0)
    }

    /// Publishes for so long, forgets it, and does so again to measure.
    pub(super) fn warm_and_measure(&mut self, warm_up: Duration, time: Duration) -> Result<Window> {
        let warm = self.measure(warm_up)?;
        let mut window = self.measure(time)?;
        window.faults.splice(0..0, warm.faults);
        window.exact = window.faults.is_empty();
        Ok(window)
    }

    /// Publishes for so long and waits until every reader has everything.
    pub(super) fn measure(&mut self, time: Duration) -> Result<Window> {
        let before = self.cpu_ns()?;
        let begun = Instant::now();
        let (mut asked, mut newest, mut newest_at) = (0, 0, begun);
        loop {
            let elapsed = begun.elapsed();
            let mut timeout = Duration::from_millis(100);
            if elapsed < time {
                timeout = self.publish_due(&mut asked, elapsed)?.min(time - elapsed);
            } else if self.is_complete(asked) || newest_at.elapsed() > PATIENCE {
                break;
            }
            self.turn(timeout)?;
            if self.samples.delivery_ns.len() + self.samples.answer_ns.len() > newest {
                newest = self.samples.delivery_ns.len() + self.samples.answer_ns.len();
                newest_at = Instant::now();
            }
        }
        let (seconds, after) = ((newest_at - begun).as_secs_f64(), self.cpu_ns()?);
        let mut samples = std::mem::take(&mut self.samples);
        if samples.answer_ns.len() != asked {
            samples.faults.note(|| format!("{} of {asked} publishes were answered", samples.answer_ns.len()));
        }
        let wrong = self.readers.iter().map(|reader| reader.received).find(|received| *received != asked);
        if let Some(received) = wrong {
            samples.faults.note(|| format!("a reader got {received} of {asked} messages"));
        }
        self.readers.iter_mut().for_each(|reader| reader.received = 0);
        Ok(Window::new(samples, seconds, after.saturating_sub(before)))
    }

    /// Takes what comes for so long; the server's CPU in that time, in milliseconds.
    pub(super) fn rest(&mut self, time: Duration) -> Result<f64> {
        let before = self.cpu_ns()?;
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(left.max(Duration::from_millis(1)))?;
        }
        Ok(self.cpu_ns()?.saturating_sub(before) as f64 / 1e6)
    }

    /// The CPU of all the brokers.
    fn cpu_ns(&self) -> Result<u64> {
        self.brokers.iter().map(|broker| Ok(broker.usage()?.cpu_ns)).sum()
    }

    /// True if all of so many publishes were answered and delivered.
    fn is_complete(&self, asked: usize) -> bool {
        self.samples.answer_ns.len() >= asked && self.samples.delivery_ns.len() >= asked * self.readers.len()
    }

    /// Begins the publishes that are due; how long to sleep until the next.
    fn publish_due(&mut self, asked: &mut usize, elapsed: Duration) -> Result<Duration> {
        loop {
            let due = Duration::from_secs_f64(*asked as f64 / self.rate);
            if due > elapsed {
                return Ok(due - elapsed);
            }
            // In turn: a connection that asks nothing for long is closed.
            let mut numbers = (self.turns..self.turns + PUBLISHERS).map(|turn| turn % PUBLISHERS);
            let Some(free) = numbers.find(|number| self.crowd.publishers[*number].is_free()) else {
                return Ok(Duration::from_millis(100));
            };
            let topic = (self.turns * STRIDE) % self.topics.len();
            let at = u64::try_from(self.origin.elapsed().as_nanos())?;
            let data = wire::stamped(at, self.data_bytes);
            let request = wire::publish_request(self.brokers[0].address, &self.topics[topic], &data);
            self.crowd.publishers[free].ask(request.into(), topic)?;
            self.turns += 1;
            *asked += 1;
        }
    }

    fn turn(&mut self, timeout: Duration) -> Result<()> {
        let Probe { crowd, readers, samples, origin, .. } = self;
        crowd.turn(timeout, &mut |met| {
            match met {
                Met::Frame(reader, frame) => readers[reader].take(&frame, *origin, samples),
                Met::Cut(_) => samples.faults.note(|| "a reader was cut".to_owned()),
                Met::Answer(answer) => {
                    samples.answer_ns.push(answer.ns);
                    if answer.accepted != 1 {
                        samples.faults.note(|| "a publish was refused".to_owned());
                    }
                }
            }
            Ok(())
        })
    }
}

impl Reader {
    fn take(&mut self, frame: &Frame<'_>, origin: Instant, samples: &mut Samples) {
        let Samples { delivery_ns, faults, .. } = samples;
        match Kind::of(frame.payload) {
            Kind::Message => {
                let now = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let (at, seq) =
                    (wire::stamp(frame.payload).unwrap_or(0), wire::seq(frame.payload).unwrap_or(0));
                delivery_ns.push(u32::try_from(now - at.min(now)).unwrap_or(u32::MAX));
                if seq <= self.newest {
                    faults.note(|| format!("seq {seq} after {}", self.newest));
                }
                (self.newest, self.received) = (seq, self.received + 1);
            }
            Kind::Welcome | Kind::Ok | Kind::Ping => {}
            Kind::Gap | Kind::Replay | Kind::Live | Kind::Goodbye | Kind::Other => {
                faults.note(|| format!("a reader got {}", String::from_utf8_lossy(frame.payload)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::start_floor;

    #[test]
    fn every_reader_is_timed_for_every_publish() {
        let broker = Broker { address: start_floor(), pid: std::process::id() };
        let mut probe = Probe::connect(broker, vec!["a.b".to_owned()], "a.b", 3, 500.0, 128).unwrap();
        for _ in 0..2 {
            let window = probe.measure(Duration::from_millis(200)).unwrap();
            assert!(window.exact && window.published > 10, "{window:?}");
            assert_eq!(window.delivered, window.published * 3);
            assert!(window.delivery_p50_us > 0.0 && window.delivery_p50_us <= window.delivery_max_us);
        }
    }

    #[test]
    fn topics_without_readers_are_published_to_in_turn() {
        let broker = Broker { address: start_floor(), pid: std::process::id() };
        let topics = (0..50).map(|number| format!("many.{number}")).collect();
        let mut probe = Probe::connect(broker, topics, "many.0", 0, 500.0, 128).unwrap();
        let window = probe.measure(Duration::from_millis(200)).unwrap();
        assert!(window.exact && window.published > 10 && window.delivered == 0, "{window:?}");
    }
}
