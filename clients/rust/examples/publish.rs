//! Publishes over HTTP, safely repeatable: `cargo run -p fanfare-client --example publish`.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use fanfare_client::{Publication, PublishError, Publisher};
use serde::Serialize;

#[derive(Serialize)]
struct Order {
    id: u32,
    total: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let publisher = Publisher::new("http://127.0.0.1:8900")?;
    let order = Order { id: 42, total: 9.5 };
    // With a key it is published once, however often it is tried.
    let key = format!("order-{}", order.id);
    let publication = Publication { idempotency_key: Some(key.into()), ..fanfare_client::json(&order)? };
    let published = loop {
        match publisher.publish("orders.eu.42", publication.clone()).await {
            Err(PublishError::Refused(refusal)) if refusal.retry_after_ms.is_some() => {
                let wait_ms = refusal.retry_after_ms.unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
            Err(PublishError::Unclear(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
            result => break result?,
        }
    };
    let heard = if published.heard { "someone" } else { "nobody" };
    writeln!(std::io::stdout(), "{} heard by {heard}", published.position)?;
    Ok(())
}
