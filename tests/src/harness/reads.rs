//! Reads what is kept once nothing is published any more, and where each life of numbering has ended.

use std::time::Duration;

use anyhow::{Context as _, bail};
use fanfare_protocol::Position;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::world::World;
use crate::checker::Event;
use crate::http::{Ask, read_answer};
use crate::watchdog::within;
use crate::wire::Wire;

/// How long a node may say that it can't read, and the time between two questions.
const HEALS_WITHIN: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);
/// The most frames of one answer.
const PAGE: usize = 1_000;

/// Reads every topic, and the start and the end of every life, at every node.
pub(super) async fn read_all(world: &World) -> anyhow::Result<()> {
    let current = top(world).await?.epoch;
    for node in 0..world.plan.nodes {
        let mut reader = Reader::open(world, node).await?;
        for topic in &world.plan.topics {
            reader.read(topic, Position { epoch: current, seq: 0 }, true).await?;
        }
        read_lives(world, node).await?;
    }
    Ok(())
}

/// Reads from the start and from the end of every life but the one that goes on.
pub(super) async fn read_lives(world: &World, node: usize) -> anyhow::Result<()> {
    let current = top(world).await?.epoch;
    let mut reader = Reader::open(world, node).await?;
    for (epoch, newest) in world.history.newest().into_iter().filter(|(epoch, _)| *epoch != current) {
        for seq in [0, newest] {
            reader.read(&world.plan.topics[0], Position { epoch, seq }, false).await?;
        }
    }
    Ok(())
}

/// Clears every topic, on all nodes.
pub(super) async fn clear_all(world: &World) -> anyhow::Result<()> {
    let mut reader = Reader::open(world, 0).await?;
    for topic in &world.plan.topics {
        let ask = Ask::new("DELETE", &format!("/v1/topics/{topic}/messages"));
        reader.wire.write(&ask.bytes("localhost")).await?;
        let answer = read_answer(&mut reader.wire).await.context("the node does not answer")?;
        anyhow::ensure!(answer.status == 200, "{topic:?} can't be cleared: {}", answer.text());
    }
    Ok(())
}

/// The position of the newest message.
pub(super) async fn top(world: &World) -> anyhow::Result<Position> {
    let mut reader = Reader::open(world, 0).await?;
    let page = reader.page("no.such.topic", None, 1).await?;
    position(&page["cursor"])
}

struct Reader<'a> {
    world: &'a World,
    node: usize,
    wire: Wire,
}

impl Reader<'_> {
    async fn open(world: &World, node: usize) -> anyhow::Result<Reader<'_>> {
        let address = world.address(node).await;
        let stream = within("connecting", TcpStream::connect(address)).await?;
        Ok(Reader { world, node, wire: Wire::from(stream) })
    }

    /// Reads one topic, all of it or one page.
    async fn read(&mut self, topic: &str, after: Position, is_whole: bool) -> anyhow::Result<()> {
        let (read, node) = (self.world.open_read(), self.world.node(self.node));
        self.world.history.record(Event::Read { read, node, topic: topic.to_owned(), after });
        let mut cursor = after;
        loop {
            let page = self.page(topic, Some(cursor), if is_whole { PAGE } else { 1 }).await?;
            for frame in page["frames"].as_array().context("an answer has frames")? {
                self.world.history.record(kept(read, frame)?);
            }
            cursor = position(&page["cursor"])?;
            if !is_whole || page["more"] != true {
                break;
            }
        }
        self.world.history.record(Event::ReadEnd { read, cursor });
        Ok(())
    }

    async fn page(&mut self, topic: &str, after: Option<Position>, limit: usize) -> anyhow::Result<Value> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        let ask = Ask::new("GET", &format!("/v1/topics/{topic}/messages?limit={limit}{after}"));
        let begun = Instant::now();
        loop {
            self.wire.write(&ask.bytes("localhost")).await?;
            let answer = read_answer(&mut self.wire).await.context("the node does not answer")?;
            match answer.status {
                200 => return Ok(answer.json()),
                503 if begun.elapsed() < HEALS_WITHIN => sleep(AGAIN).await,
                _ => bail!("the history of {topic:?} can't be read: {}", answer.text()),
            }
        }
    }
}

fn kept(read: u64, frame: &Value) -> anyhow::Result<Event> {
    let topic = frame[1].as_str().map(str::to_owned);
    if frame[0] == "gap" {
        return Ok(Event::Hole { read, topic, from: position(&frame[2])?, to: position(&frame[3])? });
    }
    let topic = topic.context("a message has a topic")?;
    Ok(Event::Kept { read, topic, position: position(&frame[2])?, data: data(&frame[3]) })
}

/// The position that a frame has there.
pub(super) fn position(value: &Value) -> anyhow::Result<Position> {
    let text = value.as_str().with_context(|| format!("{value} is no position"))?;
    text.parse().with_context(|| format!("{text:?}"))
}

/// The name of a message: its data without what fills it up.
pub(super) fn data(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.split(' ').next().unwrap_or_default().to_owned()
}
