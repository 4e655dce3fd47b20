//! Follows a filter and prints what comes: `cargo run -p fanfare-client --example follow -- 'orders.>'`.

use std::error::Error;
use std::io::Write as _;

use fanfare_client::{Client, Event, SubscribeOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = std::env::args().nth(1).unwrap_or_else(|| "orders.>".to_owned());
    let client = Client::connect("http://127.0.0.1:8900").await?;
    let options = SubscribeOptions { last: Some(10), ..SubscribeOptions::default() };
    let mut subscription = client.subscribe(&filter, options).await?;
    let mut out = std::io::stdout();
    while let Some(event) = subscription.next().await {
        match event {
            Event::Message(message) => {
                let data = String::from_utf8_lossy(message.payload.bytes());
                writeln!(out, "{} {} {data}", message.topic, message.position)?;
            }
            // Never silence: what is missing is told, and a program can fetch it from where it came.
            Event::Gap(gap) => writeln!(out, "missing: after {} up to {}", gap.from, gap.to)?,
            Event::Live(cursor) => writeln!(out, "live at {cursor}")?,
            Event::Unsubscribed { code, reason } => {
                writeln!(out, "refused: {reason} ({})", code.as_str())?;
            }
            Event::Closed { code, reason } => writeln!(out, "closed: {reason} ({code})")?,
        }
    }
    Ok(())
}
