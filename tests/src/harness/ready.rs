//! Asks a node again and again whether it is ready.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::world::World;
use crate::checker::Event;
use crate::http::{Answer, Ask, read_answer};
use crate::watchdog::WATCHDOG;
use crate::wire::Wire;

/// The time between two questions, and the longest that one may take.
const EVERY: Duration = Duration::from_millis(200);
/// How long a question about figures may take before it is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub(super) async fn watch(node: usize, world: Arc<World>) {
    loop {
        // A node that does not answer says nothing.
        if let Some(answer) = ask(&world, node, "/readyz", EVERY).await {
            world.history.record(Event::Ready { node: world.node(node), ready: answer.status == 200 });
        }
        sleep(EVERY).await;
    }
}

/// What a node that listens answers to a `GET`; nothing if it does not answer in time.
pub(super) async fn ask(world: &World, node: usize, target: &str, max: Duration) -> Option<Answer> {
    let address = world.address(node).await;
    let answer = async {
        let mut wire = Wire::from(TcpStream::connect(address).await.ok()?);
        let ask = Ask::new("GET", target).header("connection", "close");
        wire.write(&ask.bytes(&address.to_string())).await.ok()?;
        read_answer(&mut wire).await
    };
    timeout(max, answer).await.ok().flatten()
}

/// A figure of a node; 0 if it has none of this name.
pub(super) async fn figure(world: &World, node: usize, name: &str) -> anyhow::Result<u64> {
    let answer = async {
        loop {
            if let Some(answer) = ask(world, node, "/metrics", ANSWER_MAX).await {
                break answer;
            }
        }
    };
    let answer = timeout(WATCHDOG, answer).await.context("a node tells its figures")?;
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    Ok(answer.text().lines().find_map(of).unwrap_or(0))
}
