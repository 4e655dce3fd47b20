//! The scripts and the calls against a real Redis.

mod batches;
mod link;
mod lives;
mod publishing;
mod reading;

use fanfare_core::{
    Channel, HistoryRule, Numbered, Published, Refusal, SessionId, Ticket, TopicRead, Unnumbered,
};
use fanfare_protocol::{Payload, Publication, Topic};
use fanfare_tests::Redis;
use tokio::time::{Duration, timeout};

use super::address::Address;
use super::calls::{Bounds, Calls};
use super::connect::{Connected, Pushes, connect, follow};
use super::envelope::{Envelope, decode};
use super::fault::Fault;
use super::seen::Seen;

const PREFIX: &str = "fanfare";
const BOUNDS: Bounds =
    Bounds { topics: 100, idempotency_ms: 60_000, read_bytes: 1 << 20, numbering_ttl_ms: 60_000 };

/// A Redis and one node's connection to it.
struct Scene {
    redis: Redis,
    calls: Calls,
    connected: Connected,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with(BOUNDS).await
    }

    async fn with(bounds: Bounds) -> Scene {
        Scene::on(Redis::start(), bounds).await
    }

    async fn on(redis: Redis, bounds: Bounds) -> Scene {
        let connected = node(&redis, 1, bounds).await;
        Scene { redis, calls: connected.calls.clone(), connected }
    }

    /// Publishes a text; its position.
    async fn publish(&self, topic: &str, data: &str) -> Result<Published, Refusal> {
        published(&self.calls, draft(topic, data)).await
    }

    async fn read(&self, channels: &[Channel], above: u64) -> Vec<TopicRead> {
        self.calls.read(channels, above).await.unwrap().1
    }

    async fn follow(&self, channels: &[Channel]) {
        let names: Vec<String> = channels.iter().map(|one| self.calls.keys.channel(one)).collect();
        follow(&self.connected.subscription, "SSUBSCRIBE", &names).await.unwrap();
    }
}

/// Another node's connection.
async fn node(redis: &Redis, node: u64, bounds: Bounds) -> Connected {
    let address = Address::parse(&redis.url()).unwrap();
    driven(connect(&address, None, PREFIX, node, bounds, Seen::default()).await.unwrap())
}

/// The same connection, moved by a task of its own.
fn driven(mut connected: Connected) -> Connected {
    tokio::spawn(std::mem::replace(&mut connected.drivers, Box::pin(std::future::pending())));
    connected
}

async fn published(calls: &Calls, publish: Unnumbered) -> Result<Published, Refusal> {
    publish_all(calls, &[publish]).await.unwrap().remove(0)
}

/// Publishes what somebody waits for until the end.
async fn publish_all(calls: &Calls, batch: &[Unnumbered]) -> Result<Vec<Result<Published, Refusal>>, Fault> {
    calls.publish(&mut batch.to_vec(), |_| ()).await
}

fn draft(topic: &str, data: &str) -> Unnumbered {
    Unnumbered {
        ticket: Ticket::new(1),
        topic: name(topic),
        publication: Publication::new(Payload::Text(data.to_owned().into())),
        origin: None,
        rule: HistoryRule::default(),
    }
}

fn name(topic: &str) -> Topic {
    Topic::parse(topic).unwrap()
}

fn one(topic: &str) -> Channel {
    Channel::Topic(name(topic))
}

fn below(prefix: &str) -> Channel {
    Channel::Prefix(prefix.into())
}

/// The next envelope of what is followed, confirmations left out.
async fn heard(pushes: &mut Pushes, calls: &Calls) -> Envelope {
    let next = async {
        loop {
            let push = pushes.next().await.expect("the connection stands");
            if push.kind == redis::PushKind::SMessage
                && let Some(redis::Value::BulkString(bytes)) = push.data.into_iter().nth(1)
            {
                return decode(bytes.into(), calls.partition, None).unwrap();
            }
        }
    };
    timeout(Duration::from_secs(10), next).await.expect("something is heard")
}

fn seq(numbered: &Numbered) -> u64 {
    numbered.message.position.seq
}

/// What was read, as `topic last: seqs`.
fn shown(read: &[TopicRead]) -> Vec<String> {
    let line = |topic: &TopicRead| {
        let seqs: Vec<String> = topic.kept.iter().map(|one| format!("{}<{}", one.prev, seq(one))).collect();
        format!("{} {}: {}", topic.name.as_str(), topic.last, seqs.join(" ")).trim_end().to_owned()
    };
    read.iter().map(line).collect()
}
