//! The nodes: real processes that are started, harmed, and started again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::faults::Fault;
use super::plan::Strike;
use super::reads;
use super::world::World;
use crate::broker::{Broker, Setup};
use crate::checker::Event;

/// The processes of a run.
pub(super) struct Cluster {
    nodes: Mutex<Vec<Option<Broker>>>,
}

impl Cluster {
    /// Starts all nodes.
    pub(super) async fn start(world: &World) -> Cluster {
        let cluster = Cluster { nodes: Mutex::new((0..world.plan.nodes).map(|_| None).collect()) };
        for node in 0..world.plan.nodes {
            cluster.start_node(node, world).await;
        }
        cluster
    }

    /// Carries out all strikes, one behind the other.
    pub(super) async fn strike_all(&self, world: &World) -> anyhow::Result<()> {
        for strike in &world.plan.strikes {
            world.until_published(strike.after_publishes).await;
            self.strike(strike, world).await.with_context(|| strike.fault.name())?;
            reads::read_lives(world, 0).await.with_context(|| strike.fault.name())?;
        }
        Ok(())
    }

    async fn strike(&self, strike: &Strike, world: &World) -> anyhow::Result<()> {
        let (fault, node) = (strike.fault, strike.node);
        let event = |begins| Event::Fault {
            name: fault.name().to_owned(),
            node: Some(world.node(node)),
            begins,
            severs: fault.severs(),
        };
        let lasts = Duration::from_millis(strike.for_ms);
        world.history.record(event(true));
        match fault {
            Fault::Kill => {
                self.end_node(node, "KILL", world).await?;
                sleep(lasts).await;
                self.start_node(node, world).await;
            }
            Fault::Terminate => {
                self.end_node(node, "TERM", world).await?;
                sleep(lasts).await;
                self.start_node(node, world).await;
            }
            Fault::Freeze => {
                self.signal(node, "STOP");
                sleep(lasts).await;
                self.signal(node, "CONT");
            }
        }
        world.history.record(event(false));
        Ok(())
    }

    async fn start_node(&self, node: usize, world: &World) {
        let broker = Setup::new().config(&world.plan.config).start().await;
        let epoch = broker.epoch.parse().ok();
        world.history.record(Event::Node { node: world.node(node), up: true, epoch });
        world.move_to(node, Some(broker.address));
        self.nodes()[node] = Some(broker);
    }

    /// Ends a node by a signal and waits until it has ended; clients may come until it does.
    async fn end_node(&self, node: usize, signal: &'static str, world: &World) -> anyhow::Result<()> {
        let broker = self.nodes()[node].take().context("the node runs")?;
        let ended = spawn_blocking(move || broker.end_by(signal)).await?;
        world.move_to(node, None);
        world.history.record(Event::Node { node: world.node(node), up: false, epoch: None });
        anyhow::ensure!(!ended.stderr.contains("panicked"), "the node panicked: {}", ended.stderr);
        anyhow::ensure!(signal == "KILL" || ended.code == Some(0), "it ended with {:?}", ended.code);
        Ok(())
    }

    fn signal(&self, node: usize, signal: &str) {
        if let Some(broker) = &self.nodes()[node] {
            broker.signal(signal);
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Option<Broker>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
