//! Asks a node again and again whether it is ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::world::World;
use crate::checker::Event;
use crate::http::{Ask, read_answer};
use crate::wire::Wire;

/// The time between two questions, and the longest that one may take.
const EVERY: Duration = Duration::from_millis(200);

pub(super) async fn watch(node: usize, world: Arc<World>) {
    loop {
        let address = world.address(node).await;
        let ask = async {
            let mut wire = Wire::from(TcpStream::connect(address).await.ok()?);
            let ask = Ask::new("GET", "/readyz").header("connection", "close");
            wire.write(&ask.bytes(&address.to_string())).await.ok()?;
            read_answer(&mut wire).await
        };
        // A node that does not answer says nothing.
        if let Ok(Some(answer)) = timeout(EVERY, ask).await {
            world.history.record(Event::Ready { node: world.node(node), ready: answer.status == 200 });
        }
        sleep(EVERY).await;
    }
}
