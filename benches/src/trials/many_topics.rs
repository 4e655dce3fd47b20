//! Publishes to many topics in turn, beside publishes to few.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::probe::Probe;
use super::{Broker, PATIENCE, REST, outcome, priority};
use crate::load::crowd::{Crowd, Met};
use crate::wire;

/// Messages in one publish of those that make the topics known.
const BATCH: usize = 500;
/// What readers would follow; there are none.
const FILTER: &str = "many.>";

/// Few topics, then many.
#[derive(Debug, Clone)]
pub struct ManyTopics {
    /// How many there are at last.
    pub topics: usize,
    /// How many there are at first.
    pub few: usize,
    /// Publishes a second.
    pub rate: f64,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// How long each part is measured.
    pub time: Duration,
}

impl ManyTopics {
    /// Measures with few topics, and then with many; each topic has a message before.
    pub fn run(&self, broker: Broker) -> Result<Value> {
        ensure!(self.few > 0 && self.topics > self.few, "more than a few topics");
        let is_prior = priority::raise();
        let names = |count: usize| (0..count).map(|number| format!("many.{number}")).collect::<Vec<_>>();
        let data = wire::stamped(0, self.data_bytes);

        let few = names(self.few);
        publish_all(&broker, &few, &data)?;
        let mut probe = Probe::connect(broker, few, FILTER, 0, self.rate, self.data_bytes)?;
        let alone = probe.warm_and_measure(REST, self.time)?;

        let many = names(self.topics);
        let before = broker.usage()?;
        publish_all(&broker, &many[self.few..], &data)?;
        probe.rest(REST)?;
        let after = broker.usage()?;
        let mut probe = Probe::connect(broker, many, FILTER, 0, self.rate, self.data_bytes)?;
        let beside = probe.warm_and_measure(REST, self.time)?;

        let mut outcome = outcome(&beside, &alone, Vec::new(), json!({ "real_time": is_prior }))?;
        let grown = after.resident_bytes as f64 - before.resident_bytes as f64;
        outcome["server_bytes_per_topic"] = json!(grown / (self.topics - self.few) as f64);
        Ok(outcome)
    }
}

/// Publishes one message to each topic, in batches.
pub(super) fn publish_all(broker: &Broker, topics: &[String], data: &str) -> Result<()> {
    let mut crowd = Crowd::new()?;
    crowd.add_publishers(broker.address, 1)?;
    for batch in topics.chunks(BATCH) {
        let items: Vec<String> = batch.iter().map(|topic| wire::batch_item(topic, data)).collect();
        crowd.publishers[0].ask(wire::batch_request(broker.address, &items).into(), 0)?;
        let (begun, mut accepted) = (Instant::now(), None);
        while accepted.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "a batch was not answered");
            crowd.turn(Duration::from_millis(100), &mut |met| {
                if let Met::Answer(answer) = met {
                    accepted = Some(answer.accepted);
                }
                Ok(())
            })?;
        }
        ensure!(accepted == Some(batch.len()), "of a batch of {} {accepted:?} were accepted", batch.len());
    }
    Ok(())
}
