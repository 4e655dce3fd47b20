//! One who publishes over HTTP, and tries again with the same key until it knows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::Position;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::world::World;
use crate::checker::{Event, Outcome};
use crate::http::{Answer, Ask, read_answer};
use crate::wire::Wire;

/// How long an answer may take: longer than a publish may wait in the broker.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long to wait before a retry.
const RETRY: Duration = Duration::from_millis(20);
/// One message in so many goes without a key, and is tried once.
const KEYLESS_ONCE_IN: usize = 4;

struct Publisher {
    name: String,
    world: Arc<World>,
    chance: Chance,
    connection: Option<(SocketAddr, Wire)>,
}

/// What became of one attempt.
struct Tried {
    outcome: Outcome,
    position: Option<Position>,
    repeated: bool,
    why: Option<String>,
}

pub(super) async fn run(number: usize, world: Arc<World>) {
    let chance = Chance::of(world.plan.seed).fork(1_000 + number);
    let mut publisher = Publisher { name: format!("p{}", number + 1), world, chance, connection: None };
    let mut count = 0;
    while publisher.world.is_pouring() {
        count += 1;
        publisher.publish(count).await;
        match publisher.world.plan.pace_ms {
            0 => tokio::task::yield_now().await,
            pace => sleep(Duration::from_millis(pace)).await,
        }
    }
}

impl Publisher {
    /// Publishes one message; while its outcome is unknown it is tried again, if it has a key.
    async fn publish(&mut self, count: u64) {
        let data = format!("{}-{count}", self.name);
        let topic = self.chance.one_of(&self.world.plan.topics).clone();
        let key = (!self.chance.once_in(KEYLESS_ONCE_IN)).then(|| data.clone());
        loop {
            let (node, address) = self.world.some_node(self.world.plan.publish_at, &mut self.chance).await;
            let start = self.world.history.now();
            let tried = self.attempt(address, &topic, &data, key.as_deref()).await;
            let (outcome, is_refusal) = (tried.outcome, tried.outcome == Outcome::Refused);
            self.world.history.record(Event::Publish {
                client: self.name.clone(),
                node: self.world.node(node),
                topic: topic.clone(),
                data: data.clone(),
                key: key.clone(),
                start,
                end: self.world.history.now(),
                outcome,
                position: tried.position,
                repeated: tried.repeated,
                why: tried.why,
            });
            if outcome == Outcome::Ok {
                return self.world.count_published(tried.repeated);
            }
            self.world.count_failed(is_refusal);
            if key.is_none() || (is_refusal && !self.world.is_pouring()) {
                return;
            }
            sleep(RETRY).await;
        }
    }

    async fn attempt(&mut self, address: SocketAddr, topic: &str, data: &str, key: Option<&str>) -> Tried {
        let padding = self.world.plan.data_bytes.saturating_sub(data.len());
        let padded = if padding == 0 { data.to_owned() } else { format!("{data} {}", "x".repeat(padding)) };
        let mut ask =
            Ask::new("POST", &format!("/v1/topics/{topic}")).header("content-type", "application/json");
        if let Some(key) = key {
            ask = ask.header("idempotency-key", key);
        }
        let bytes = ask.body(json!(padded).to_string()).bytes(&address.to_string());
        let lost_once_in = self.world.plan.answers_lost_once_in;
        let is_lost = lost_once_in > 0 && self.chance.once_in(lost_once_in);
        match timeout(ANSWER_MAX, self.exchange(address, &bytes, is_lost)).await {
            Ok(Ok(answer)) => tried(&answer),
            Ok(Err(error)) => self.unknown(error.to_string()),
            Err(_) => self.unknown("no answer in time".to_owned()),
        }
    }

    async fn exchange(&mut self, address: SocketAddr, bytes: &[u8], is_lost: bool) -> io::Result<Answer> {
        let wire = match &mut self.connection {
            Some((at, wire)) if *at == address => wire,
            connection => {
                let wire = Wire::from(TcpStream::connect(address).await?);
                &mut connection.insert((address, wire)).1
            }
        };
        wire.write(bytes).await?;
        if is_lost {
            // Who goes away at once may never have been heard; who goes with the answer on its way was.
            if self.chance.once_in(2) {
                drop(read_answer(wire).await);
            }
            return Err(io::Error::other("the answer is lost"));
        }
        read_answer(wire).await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn unknown(&mut self, why: String) -> Tried {
        self.connection = None;
        Tried { outcome: Outcome::Unknown, position: None, repeated: false, why: Some(why) }
    }
}

fn tried(answer: &Answer) -> Tried {
    if answer.status == 200 {
        let told = answer.json();
        let position = told["position"].as_str().and_then(|position| position.parse().ok());
        assert!(position.is_some(), "a success has a position: {told}");
        let repeated = told["repeated"] == Value::Bool(true);
        return Tried { outcome: Outcome::Ok, position, repeated, why: None };
    }
    let (status, code, _) = answer.problem();
    // Only these promise that nothing was published.
    let is_refused = status < 500 || ["overloaded", "storage_full"].contains(&code.as_str());
    let outcome = if is_refused { Outcome::Refused } else { Outcome::Unknown };
    Tried { outcome, position: None, repeated: false, why: Some(format!("{status} {code}")) }
}
