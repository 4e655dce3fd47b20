//! Trials: a topic is measured alone, and then beside what strains the broker elsewhere.
//!
//! What is measured is done by the first thread of the process, at real-time priority, so that it shares a core
//! with the strain and does not wait for it. Each trial prints what it measured beside the strain, with what it
//! measured alone under `alone`.

mod followers;
mod isolation;
mod joined;
mod many_filters;
mod many_topics;
mod priority;
mod probe;
mod replayer;
mod slow;
mod stopped;
mod window;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use fanfare_protocol::{Cursor, Encoding, Frame};
use serde_json::{Value, json};

use crate::load::client::{Buffers, Client};
use crate::load::crowd::{Crowd, Met};
use crate::usage::Usage;
use crate::wire::Kind;

pub use isolation::{Isolation, Strain};
pub use joined::Nodes;
pub use many_filters::{ManyFilters, OneSession};
pub use many_topics::ManyTopics;
pub use slow::Slow;
pub use window::Window;

/// How long nothing may arrive before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for a broker to come to rest before it is measured.
const REST: Duration = Duration::from_millis(500);
/// Connections that are being made at a time.
const CONNECTING_MAX: usize = 64;

/// The broker under trial.
#[derive(Debug, Clone, Copy)]
pub struct Broker {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

impl Broker {
    fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }
}

/// The outcome of a trial.
fn outcome(beside: &Window, alone: &Window, mut faults: Vec<String>, details: Value) -> Result<Value> {
    for (what, window) in [("beside", beside), ("alone", alone)] {
        faults.extend(window.faults.iter().map(|fault| format!("{what}: {fault}")));
    }
    let mut outcome = serde_json::to_value(beside)?;
    outcome["alone"] = serde_json::to_value(alone)?;
    outcome["exact"] = json!(faults.is_empty());
    outcome["faults"] = json!(faults);
    outcome["details"] = details;
    Ok(outcome)
}

/// Adds clients that say these greetings and waits until each has its `ok`; the cursors in those.
fn join(crowd: &mut Crowd, broker: &Broker, buffers: Buffers, greetings: &[Vec<u8>]) -> Result<Vec<Cursor>> {
    let first = crowd.clients.len();
    let mut cursors: Vec<Option<Cursor>> = vec![None; greetings.len()];
    let (mut asked, mut joined, mut newest_at) = (0, 0, Instant::now());
    while joined < greetings.len() {
        while asked < greetings.len() && asked < joined + CONNECTING_MAX {
            let greeting = greetings[asked].clone();
            crowd.add_client(Client::connect(broker.address, Encoding::Json, buffers, greeting)?)?;
            asked += 1;
        }
        crowd.turn(Duration::from_millis(100), &mut |met| {
            let Met::Frame(client, frame) = met else { bail!("a connection was cut before its `ok`") };
            match Kind::of(frame.payload) {
                Kind::Ok if client >= first => {
                    cursors[client - first] = cursor_of(frame.payload)?;
                    (joined, newest_at) = (joined + 1, Instant::now());
                }
                Kind::Other => bail!("refused: {}", String::from_utf8_lossy(frame.payload)),
                Kind::Ok | Kind::Welcome | Kind::Ping | Kind::Message | Kind::Gap => {}
                Kind::Replay | Kind::Live | Kind::Goodbye => {}
            }
            Ok(())
        })?;
        ensure!(
            newest_at.elapsed() < PATIENCE,
            "no more than {joined} of {} could subscribe",
            greetings.len()
        );
    }
    Ok(cursors.into_iter().flatten().collect())
}

/// The cursor in an `ok`.
fn cursor_of(payload: &[u8]) -> Result<Option<Cursor>> {
    let frame = Frame::decode(Encoding::Json, payload)?;
    let Frame::Ok { body, .. } = frame else { bail!("no ok: {frame:?}") };
    Ok(body.cursor)
}
