//! What one run does.

use std::net::SocketAddr;
use std::time::Duration;

use fanfare_protocol::Encoding;

/// Who subscribes, who publishes, what, how fast and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's address.
    pub server: SocketAddr,
    /// The server's process, for its CPU and memory.
    pub server_pid: Option<u32>,
    /// The subscribers' subprotocol.
    pub encoding: Encoding,
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

    /// The name of the server in requests.
    pub fn host(&self) -> String {
        self.server.to_string()
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
        let (path, body) = if self.batch == 1 {
            (format!("/v1/topics/{topic}"), data)
        } else {
            let item = format!("{{\"topic\":\"{topic}\",\"data\":{data}}}");
            ("/v1/publish".to_owned(), format!("[{}]", vec![item; self.batch].join(",")))
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host(),
            body.len()
        )
        .into_bytes()
    }
}
