//! Subscribers that read beside as many that stopped.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fanfare_protocol::{Filter, OnSlow, Request, SubscribeOptions};
use serde_json::{Value, json};

use super::probe::Probe;
use super::stopped::Stopped;
use super::window::Faults;
use super::{Broker, REST, join, outcome, priority};
use crate::load::client::Buffers;
use crate::load::crowd::{Crowd, Met};
use crate::wire;

const FILTER: &str = "slow.>";

/// Readers beside subscribers that stop reading.
#[derive(Debug, Clone)]
pub struct Slow {
    /// What the broker is to do with those that stopped.
    pub policy: OnSlow,
    /// How many read.
    pub readers: usize,
    /// How many stop.
    pub stopped: usize,
    /// Over how many topics the publishes are spread, in turn; everybody follows all of them.
    pub topics: usize,
    /// Publishes a second.
    pub rate: f64,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long it takes until those that stopped have no room left, with some to spare.
    pub fill: Duration,
    /// How long each part is measured; beside the stopped ones `fill` comes on top, measured as well.
    pub time: Duration,
}

impl Slow {
    /// Measures alone, then beside those that stopped; lets these read and looks at what they find.
    pub fn run(&self, broker: Broker) -> Result<Value> {
        let is_prior = priority::raise();
        let topics = (0..self.topics).map(|number| format!("slow.{number}")).collect();
        let mut probe = Probe::connect(broker, topics, FILTER, self.readers, self.rate, self.data_bytes)?;
        let alone = probe.warm_and_measure(REST, self.time)?;

        let mut crowd = Crowd::new()?;
        let mut stopped = self.stop(&broker, &mut crowd)?;
        probe.rest(REST)?;
        let before = broker.usage()?;
        let beside = probe.measure(self.fill + self.time)?;
        let after = broker.usage()?;

        let faults = self.read_again(&mut crowd, &mut stopped, probe.newest())?;
        let count = |is_so: fn(&Stopped) -> bool| stopped.iter().filter(|stopped| is_so(stopped)).count();
        let prefixes = stopped.iter().map(Stopped::prefix);
        let grown = after.resident_bytes_peak.saturating_sub(before.resident_bytes) as f64;
        let details = json!({
            "real_time": is_prior,
            "cut": count(|stopped| stopped.is_cut),
            "said_goodbye": count(|stopped| stopped.said_goodbye),
            "with_gap": count(|stopped| stopped.gaps > 0),
            "with_jump": count(|stopped| stopped.jumps > 0),
            "prefix_min": prefixes.clone().min(),
            "prefix_max": prefixes.max(),
            "server_mib_before": before.resident_bytes as f64 / f64::from(1 << 20),
            "server_mib_after": after.resident_bytes as f64 / f64::from(1 << 20),
            "server_mib_peak": after.resident_bytes_peak as f64 / f64::from(1 << 20),
        });
        let mut outcome = outcome(&beside, &alone, faults, details)?;
        outcome["server_bytes_per_stopped"] = json!(grown / self.stopped.max(1) as f64);
        Ok(outcome)
    }

    /// Subscribes those that stop, and stops them.
    fn stop(&self, broker: &Broker, crowd: &mut Crowd) -> Result<Vec<Stopped>> {
        let options = SubscribeOptions { on_slow: Some(self.policy), ..SubscribeOptions::default() };
        let greeting = wire::request(&Request::Subscribe { id: 1, filter: Filter::parse(FILTER)?, options });
        let cursors = join(crowd, broker, Buffers::Small, &vec![greeting; self.stopped])?;
        ensure!(cursors.len() == self.stopped, "an `ok` without a cursor");
        crowd.clients.iter_mut().for_each(|client| client.pause(true));
        let start = |positions: &[fanfare_protocol::Position]| positions.first().map_or(0, |first| first.seq);
        Ok(cursors.iter().map(|cursor| Stopped::new(self.policy, start(cursor.positions()))).collect())
    }

    /// Lets those that stopped read all that is there for them; what is wrong with that, the first few.
    fn read_again(&self, crowd: &mut Crowd, stopped: &mut [Stopped], last: u64) -> Result<Vec<String>> {
        let mut newest_at = Instant::now();
        let mut is_begun = false;
        while newest_at.elapsed() < Duration::from_secs(2) {
            let mut meet = |met: Met<'_>| {
                newest_at = Instant::now();
                match met {
                    Met::Frame(number, frame) => stopped[number].take(frame.payload)?,
                    Met::Cut(number) => stopped[number].is_cut = true,
                    Met::Answer(_) => {}
                }
                Ok(())
            };
            if !is_begun {
                // The event of what came long ago is past.
                for number in 0..crowd.clients.len() {
                    crowd.clients[number].pause(false);
                    crowd.sip(number, usize::MAX / 2, &mut meet)?;
                }
                is_begun = true;
            }
            crowd.turn(Duration::from_millis(100), &mut meet)?;
        }
        let mut faults = Faults::default();
        for (number, stopped) in stopped.iter().enumerate() {
            if let Some(fault) = stopped.verdict(last, self.topics as u64) {
                faults.note(|| format!("stopped subscriber {number}: {fault}"));
            }
        }
        Ok(faults.into_inner())
    }
}
