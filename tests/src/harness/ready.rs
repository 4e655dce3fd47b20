//! Asks a node again and again whether it is ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::world::World;
use crate::checker::Event;
use crate::http::{Answer, Ask, read_answer};
use crate::wire::Wire;

/// The time between two questions, and the longest that one may take.
const EVERY: Duration = Duration::from_millis(200);

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
