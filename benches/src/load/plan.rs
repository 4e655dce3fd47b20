//! What one run does.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::Edge;
use crate::wire;

/// Who subscribes, who publishes, what, how fast and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's address.
    pub server: SocketAddr,
    /// The server's process, for its CPU and memory.
    pub server_pid: Option<u32>,
    /// How the subscribers are connected.
    pub edge: Edge,
    /// How many connections subscribe to one topic each.
    pub subscribers: usize,
    /// Over how many topics they and the publishes are spread, in turn.
    pub topics: usize,
    /// How many connections publish, each waiting for its answer before the next.
    pub publishers: usize,
    /// Messages in one publish; 1 is a publish by `POST /v1/topics/{topic}`.
    pub batch: usize,
    /// Publishes a second in all; `None` is as fast as the answers come.
    pub rate: Option<f64>,
    /// The length of a message's data.
    pub data_bytes: usize,
    /// For how long publishes begin.
    pub duration: Duration,
    /// How long nothing may arrive before the rest is given up.
    pub patience: Duration,
}

impl Plan {
    /// The name of one of the topics.
    pub fn topic(index: usize) -> String {
        format!("bench.{index}")
    }

    /// How many subscribers one of the topics has.
    pub fn subscribers_of(&self, topic: usize) -> usize {
        let rest = self.subscribers % self.topics;
        self.subscribers / self.topics + usize::from(topic < rest)
    }

    /// The request that publishes to one of the topics: one message, or a batch.
    pub fn publish_request(&self, topic: usize) -> Vec<u8> {
        let topic = Plan::topic(topic);
        let fill = "x".repeat(self.data_bytes.saturating_sub(r#"{"x":""}"#.len()));
        let data = format!("{{\"x\":\"{fill}\"}}");
        if self.batch == 1 {
            return wire::publish_request(self.server, &topic, &data);
        }
        wire::batch_request(self.server, &vec![wire::batch_item(&topic, &data); self.batch])
    }
}
