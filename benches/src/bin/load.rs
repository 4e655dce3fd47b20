//! The load generator as a process; it prints its outcome as one line of JSON.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use fanfare_benches::load::{Engine, Plan};
use fanfare_protocol::Encoding;

/// Subscribes, publishes and counts.
#[derive(Parser)]
struct Args {
    /// The broker's or floor's address.
    #[arg(long, global = true, default_value = "127.0.0.1:8900")]
    server: SocketAddr,
    /// Its process, for its CPU and memory.
    #[arg(long, global = true)]
    pid: Option<u32>,
    /// The subscribers' encoding.
    #[arg(long, global = true, value_enum, default_value = "json")]
    encoding: Spelling,
    /// For how long to publish.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// The length of a message's data.
    #[arg(long, global = true, default_value_t = 128)]
    data_bytes: usize,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spelling {
    Json,
    Msgpack,
}

#[derive(Subcommand)]
enum Mode {
    /// One publish at a time at a steady rate, to one topic.
    Paced {
        #[arg(long, default_value_t = 1000)]
        subscribers: usize,
        /// Publishes a second.
        #[arg(long, default_value_t = 100.0)]
        rate: f64,
    },
    /// Publishers that each wait for an answer and publish again, to one topic.
    Saturate {
        #[arg(long, default_value_t = 1000)]
        subscribers: usize,
        #[arg(long, default_value_t = 16)]
        publishers: usize,
        /// Messages in one publish.
        #[arg(long, default_value_t = 1)]
        batch: usize,
    },
    /// Publishes to many topics in turn at a steady rate, a subscriber each.
    Topics {
        #[arg(long, default_value_t = 1000)]
        topics: usize,
        /// Publishes a second.
        #[arg(long, default_value_t = 2000.0)]
        rate: f64,
        #[arg(long, default_value_t = 16)]
        publishers: usize,
    },
    /// Subscribers and silence.
    Idle {
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Over how many topics they are spread.
        #[arg(long, default_value_t = 1)]
        topics: usize,
    },
}

impl Args {
    fn plan(&self) -> Plan {
        let base = Plan {
            server: self.server,
            server_pid: self.pid,
            encoding: match self.encoding {
                Spelling::Json => Encoding::Json,
                Spelling::Msgpack => Encoding::MessagePack,
            },
            subscribers: 0,
            topics: 1,
            publishers: 1,
            batch: 1,
            rate: None,
            data_bytes: self.data_bytes,
            duration: Duration::from_secs_f64(self.seconds),
            patience: Duration::from_secs(10),
        };
        match self.mode {
            Mode::Paced { subscribers, rate } => Plan { subscribers, rate: Some(rate), ..base },
            Mode::Saturate { subscribers, publishers, batch } => {
                Plan { subscribers, publishers, batch, ..base }
            }
            Mode::Topics { topics, rate, publishers } => {
                Plan { subscribers: topics, topics, rate: Some(rate), publishers, ..base }
            }
            Mode::Idle { connections, topics } => Plan { subscribers: connections, topics, ..base },
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let engine = Engine::new(args.plan())?;
    let (exact, line) = if matches!(args.mode, Mode::Idle { .. }) {
        let outcome = engine.idle()?;
        (outcome.exact, serde_json::to_string(&outcome)?)
    } else {
        let outcome = engine.fan_out()?;
        (outcome.exact, serde_json::to_string(&outcome)?)
    };
    writeln!(std::io::stdout(), "{line}")?;
    Ok(if exact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
