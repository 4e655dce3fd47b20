//! The load generator as a process; it prints its outcome as one line of JSON.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use fanfare_benches::load::{Edge, Engine, Plan};
use fanfare_benches::trials::{Broker, Isolation, ManyFilters, ManyTopics, Nodes, OneSession, Slow, Strain};
use fanfare_protocol::{Encoding, OnSlow};
use serde_json::Value;

/// Subscribes, publishes and counts; or, in the modes that need --pid, measures a topic alone and beside a strain.
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
    /// How they are connected; trials know WebSockets alone.
    #[arg(long, global = true, value_enum, default_value = "websocket")]
    edge: EdgeName,
    /// For how long to publish, or each part of a trial.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// The length of a message's data.
    #[arg(long, global = true, default_value_t = 128)]
    data_bytes: usize,
    /// A further node, in the trials of joined nodes.
    #[arg(long, global = true)]
    peer: Vec<SocketAddr>,
    /// Its process; as many as there are further nodes.
    #[arg(long, global = true)]
    peer_pid: Vec<u32>,
    /// The Redis that joins them.
    #[arg(long, global = true)]
    redis: Option<SocketAddr>,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spelling {
    Json,
    Msgpack,
}

#[derive(Clone, Copy, ValueEnum)]
enum EdgeName {
    #[value(name = "websocket")]
    WebSocket,
    Sse,
}

#[derive(Clone, Copy, ValueEnum)]
enum StrainName {
    Saturated,
    Sluggish,
    Replay,
}

#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    Disconnect,
    Drop,
    Latest,
}

#[derive(Clone, Copy, Subcommand)]
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
    /// A topic beside filters that other sessions follow, and change.
    Filters {
        #[arg(long, default_value_t = 100_000)]
        filters: usize,
        #[arg(long, default_value_t = 100)]
        sessions: usize,
        /// Changes a second, each an unsubscribe and a subscribe.
        #[arg(long, default_value_t = 1000.0)]
        changes: f64,
        /// Publishes a second.
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
    },
    /// A topic beside one session that follows many filters, and goes.
    OneSession {
        #[arg(long, default_value_t = 10_000)]
        filters: usize,
        /// Publishes a second.
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
    },
    /// Publishes to many topics in turn, beside publishes to few.
    ManyTopics {
        #[arg(long, default_value_t = 100_000)]
        topics: usize,
        #[arg(long, default_value_t = 1000)]
        few: usize,
        /// Publishes a second.
        #[arg(long, default_value_t = 2000.0)]
        rate: f64,
    },
    /// A quiet topic beside a strain elsewhere.
    Isolation {
        #[arg(long, value_enum)]
        strain: StrainName,
        /// Publishes a second to the quiet topic.
        #[arg(long, default_value_t = 100.0)]
        rate: f64,
    },
    /// A topic that is published to on one node and followed on another; with one node, on that.
    Joined {
        /// Publishes a second.
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
    },
    /// Publishes to one node, which has all subscribers; what the other nodes are sent.
    JoinedInterest {
        /// Publishes a second.
        #[arg(long, default_value_t = 10_000.0)]
        rate: f64,
    },
    /// A node with many followed topics whose Redis is started anew.
    JoinedRefollow {
        #[arg(long, default_value_t = 10_000)]
        topics: usize,
    },
    /// Subscribers that read beside subscribers that stopped.
    Slow {
        #[arg(long, value_enum, default_value = "disconnect")]
        policy: Policy,
        #[arg(long, default_value_t = 1000)]
        readers: usize,
        #[arg(long, default_value_t = 1000)]
        stopped: usize,
        /// Over how many topics the publishes are spread.
        #[arg(long, default_value_t = 1)]
        topics: usize,
        /// Publishes a second.
        #[arg(long, default_value_t = 100.0)]
        rate: f64,
        /// Until those that stopped have no room left, with some to spare.
        #[arg(long, default_value_t = 8.0)]
        fill_seconds: f64,
    },
}

impl Args {
    /// The plan of a mode that fans out or rests; none of a trial.
    fn plan(&self) -> Option<Plan> {
        let base = Plan {
            server: self.server,
            server_pid: self.pid,
            edge: match (self.edge, self.encoding) {
                (EdgeName::Sse, _) => Edge::Events,
                (EdgeName::WebSocket, Spelling::Json) => Edge::WebSocket(Encoding::Json),
                (EdgeName::WebSocket, Spelling::Msgpack) => Edge::WebSocket(Encoding::MessagePack),
            },
            subscribers: 0,
            topics: 1,
            publishers: 1,
            batch: 1,
            rate: None,
            data_bytes: self.data_bytes,
            duration: self.time(),
            patience: Duration::from_secs(10),
        };
        match self.mode {
            Mode::Paced { subscribers, rate } => Some(Plan { subscribers, rate: Some(rate), ..base }),
            Mode::Saturate { subscribers, publishers, batch } => {
                Some(Plan { subscribers, publishers, batch, ..base })
            }
            Mode::Topics { topics, rate, publishers } => {
                Some(Plan { subscribers: topics, topics, rate: Some(rate), publishers, ..base })
            }
            Mode::Idle { connections, topics } => Some(Plan { subscribers: connections, topics, ..base }),
            Mode::Filters { .. }
            | Mode::OneSession { .. }
            | Mode::ManyTopics { .. }
            | Mode::Isolation { .. }
            | Mode::Joined { .. }
            | Mode::JoinedInterest { .. }
            | Mode::JoinedRefollow { .. }
            | Mode::Slow { .. } => None,
        }
    }

    fn nodes(&self, first: Broker) -> Nodes {
        let peers = self.peer.iter().zip(&self.peer_pid);
        let mut nodes = vec![first];
        nodes.extend(peers.map(|(address, pid)| Broker { address: *address, pid: *pid }));
        Nodes { nodes, redis: self.redis, data_bytes: self.data_bytes, time: self.time() }
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn run(&self) -> Result<Value> {
        let Some(plan) = self.plan() else { return self.run_trial() };
        let engine = Engine::new(plan)?;
        if matches!(self.mode, Mode::Idle { .. }) {
            return Ok(serde_json::to_value(engine.idle()?)?);
        }
        Ok(serde_json::to_value(engine.fan_out()?)?)
    }

    fn run_trial(&self) -> Result<Value> {
        let pid = self.pid.context("a trial needs --pid")?;
        let (broker, data_bytes, time) = (Broker { address: self.server, pid }, self.data_bytes, self.time());
        match self.mode {
            Mode::Filters { filters, sessions, changes, rate } => {
                ManyFilters { filters, sessions, changes_per_s: changes, rate, data_bytes, time }.run(broker)
            }
            Mode::OneSession { filters, rate } => OneSession { filters, rate, data_bytes, time }.run(broker),
            Mode::ManyTopics { topics, few, rate } => {
                ManyTopics { topics, few, rate, data_bytes, time }.run(broker)
            }
            Mode::Isolation { strain, rate } => {
                let strain = match strain {
                    StrainName::Saturated => Strain::Saturated,
                    StrainName::Sluggish => Strain::Sluggish,
                    StrainName::Replay => Strain::Replay,
                };
                Isolation { strain, rate, data_bytes, time }.run(broker)
            }
            Mode::Joined { rate } => self.nodes(broker).cross(rate),
            Mode::JoinedInterest { rate } => self.nodes(broker).interest(rate),
            Mode::JoinedRefollow { topics } => self.nodes(broker).refollow(topics),
            Mode::Slow { policy, readers, stopped, topics, rate, fill_seconds } => {
                let policy = match policy {
                    Policy::Disconnect => OnSlow::Disconnect,
                    Policy::Drop => OnSlow::Drop,
                    Policy::Latest => OnSlow::Latest,
                };
                let fill = Duration::from_secs_f64(fill_seconds);
                Slow { policy, readers, stopped, topics, rate, data_bytes, fill, time }.run(broker)
            }
            Mode::Paced { .. } | Mode::Saturate { .. } | Mode::Topics { .. } | Mode::Idle { .. } => {
                unreachable!("it has a plan")
            }
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let outcome = args.run()?;
    writeln!(std::io::stdout(), "{outcome}")?;
    Ok(if outcome["exact"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
