//! A topic beside filters that other sessions follow and change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::followers::Followers;
use super::probe::Probe;
use super::{Broker, REST, Window, outcome, priority};

/// A topic among the filters: it is under the same first segment, and none of them matches it.
const TOPIC: &str = "dev.none.state";

/// A topic beside many filters that change.
#[derive(Debug, Clone)]
pub struct ManyFilters {
    /// How many filters are followed.
    pub filters: usize,
    /// By how many sessions.
    pub sessions: usize,
    /// Changes a second: an unsubscribe and a subscribe each.
    pub changes_per_s: f64,
    /// Publishes a second.
    pub rate: f64,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long each part is measured.
    pub time: Duration,
}

/// A topic beside one session that follows many filters, and goes.
#[derive(Debug, Clone)]
pub struct OneSession {
    /// How many filters it follows.
    pub filters: usize,
    /// Publishes a second.
    pub rate: f64,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long each part is measured.
    pub time: Duration,
}

impl ManyFilters {
    /// Measures alone, beside filters that stay (`still`), and beside filters that change.
    pub fn run(&self, broker: Broker) -> Result<Value> {
        let is_prior = priority::raise();
        let mut probe = Probe::connect(broker, vec![TOPIC.to_owned()], TOPIC, 1, self.rate, self.data_bytes)?;
        let alone = probe.warm_and_measure(REST, self.time)?;

        let mut followers = Followers::connect(&broker, self.sessions, self.filters)?;
        probe.rest(REST)?;
        let before = broker.usage()?;
        let took = followers.follow_all()?;
        probe.rest(REST)?;
        let after = broker.usage()?;
        let still = probe.warm_and_measure(REST, self.time)?;

        let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut beside, us_per_change, changes) = thread::scope(|scope| {
            let changing = scope.spawn(|| followers.change(self.changes_per_s, &stop, &made));
            let measured = self.beside_changes(&mut probe, &made);
            stop.store(true, Relaxed);
            changing.join().map_err(|_| anyhow!("the changes panicked"))??;
            measured
        })?;
        beside.faults.extend(still.faults.iter().map(|fault| format!("still: {fault}")));
        let each = |used: f64| used / self.filters as f64;
        let details = json!({ "real_time": is_prior, "follow_s": took.as_secs_f64(), "changes": changes });
        let mut outcome = outcome(&beside, &alone, Vec::new(), details)?;
        outcome["still"] = serde_json::to_value(&still)?;
        outcome["server_us_per_change"] = json!(us_per_change);
        outcome["server_us_per_filter"] = json!(each((after.cpu_ns - before.cpu_ns) as f64 / 1e3));
        let grown = after.resident_bytes as f64 - before.resident_bytes as f64;
        outcome["server_bytes_per_filter"] = json!(each(grown));
        Ok(outcome)
    }

    /// First the changes by themselves, then the publishes among them, with the changes' own CPU taken out.
    fn beside_changes(&self, probe: &mut Probe, made: &AtomicU64) -> Result<(Window, f64, Value)> {
        probe.rest(REST)?;
        let (before, begun) = (made.load(Relaxed), Instant::now());
        let cpu_ms = probe.rest(self.time)?;
        let changes = (made.load(Relaxed) - before) as f64;
        let us_per_change = cpu_ms * 1e3 / changes.max(1.0);
        let per_s = changes / begun.elapsed().as_secs_f64();
        probe.measure(REST)?;
        let before = made.load(Relaxed);
        let mut window = probe.measure(self.time)?;
        let changes = (made.load(Relaxed) - before) as f64;
        let cpu_ms = window.server_cpu_ms;
        // Woken for both at once the server spends less on each: what is taken out is an upper bound.
        window.deduct(changes * us_per_change / 1e3);
        Ok((window, us_per_change, json!({ "per_s": per_s, "server_cpu_ms_with_publishes": cpu_ms })))
    }
}

impl OneSession {
    /// Measures alone; then what the filters cost; then beside a session that follows them all and goes, again and
    /// again.
    pub fn run(&self, broker: Broker) -> Result<Value> {
        let is_prior = priority::raise();
        let mut probe = Probe::connect(broker, vec![TOPIC.to_owned()], TOPIC, 1, self.rate, self.data_bytes)?;
        let alone = probe.warm_and_measure(REST, self.time)?;

        let mut followers = Followers::connect(&broker, 1, self.filters)?;
        probe.rest(REST)?;
        let before = broker.usage()?;
        let follow_s = followers.follow_all()?.as_secs_f64();
        probe.rest(REST)?;
        let follow_ns = broker.usage()?.cpu_ns - before.cpu_ns;
        drop(followers);
        let close_ms = probe.rest(REST)?;

        let (stop, (done, rounds)) = (AtomicBool::new(false), mpsc::sync_channel::<()>(1024));
        let mut beside = thread::scope(|scope| {
            let coming_and_going = scope.spawn(|| -> Result<()> {
                while !stop.load(Relaxed) {
                    let mut followers = Followers::connect(&broker, 1, self.filters)?;
                    followers.follow_all()?;
                    drop(followers);
                    // A round that is not counted is no loss.
                    _ = done.try_send(());
                }
                Ok(())
            });
            let measured = probe.warm_and_measure(REST, self.time);
            stop.store(true, Relaxed);
            coming_and_going.join().map_err(|_| anyhow!("the sessions panicked"))??;
            measured
        })?;
        let rounds = rounds.try_iter().count();
        if rounds == 0 {
            beside.faults.push("no session could follow and go".to_owned());
        }
        let details = json!({ "real_time": is_prior, "rounds": rounds });
        let mut outcome = outcome(&beside, &alone, Vec::new(), details)?;
        outcome["follow_ms"] = json!(follow_s * 1e3);
        outcome["server_us_per_filter"] = json!(follow_ns as f64 / 1e3 / self.filters as f64);
        outcome["server_us_per_filter_closed"] = json!(close_ms * 1e3 / self.filters as f64);
        Ok(outcome)
    }
}
