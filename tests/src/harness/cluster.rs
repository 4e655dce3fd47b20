//! The nodes, and the Redis that joins them: real processes that are started, harmed, and started again.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::backplane::Backplane;
use super::faults::Fault;
use super::footprint::Footprint;
use super::plan::{Plan, Strike};
use super::reads;
use super::ready::{ask, figure};
use super::world::World;
use crate::binary::{self, Version};
use crate::broker::{Broker, Setup};
use crate::checker::Event;

/// How long a node may take to be ready again; longer than it promises, which is for the checker.
const HEALS_WITHIN: Duration = Duration::from_secs(20);
/// How long a node may take to see that it is cut off; longer than it promises, too.
const RED_WITHIN: Duration = Duration::from_secs(10);
/// The allocator takes memory by small pages. By those of 2 MiB, as it does otherwise, a node that holds 1 MB after a
/// flood of 100 seems to hold 20 or 40: what is left of it stands in that many pages.
const SMALL_PAGES: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");
/// What a node holds of the key of a publish, for longer than it is waited for here.
const KEY_BYTES: u64 = 230;
/// How long a stuck subscription may keep messages from subscribers.
const HEARS_WITHIN: Duration = Duration::from_secs(10);
/// How long a node may take to give back what it needed for a while.
const RESTS_WITHIN: Duration = Duration::from_secs(60);
/// How many publishes a Redis forgets at least that comes back with less than it had.
const REWOUND_PUBLISHES: u64 = 50;
/// What a node logs when it has lost its Redis.
const AWAY: &str = "the backplane is away";
/// What is read of a node's figures at the end.
const FIGURES: [&str; 3] = [
    "fanfare_backplane_losses_total",
    "fanfare_backplane_falls_behind_total",
    "fanfare_session_closes_total{code=\"4500\"}",
];
/// How long an answer may take, and the time between two questions.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The processes of a run.
pub(super) struct Cluster {
    backplane: Option<Backplane>,
    nodes: Mutex<Vec<Option<Broker>>>,
}

impl Cluster {
    /// Starts what joins the nodes, and all nodes.
    pub(super) async fn start(world: &World) -> anyhow::Result<Cluster> {
        let Plan { nodes, joined, .. } = world.plan;
        if world.plan.strikes.iter().any(|strike| strike.fault == Fault::Upgrade) {
            // It may have to be built, which takes longer than a run may stand still.
            spawn_blocking(|| binary::path(Version::Next)).await?;
        }
        let backplane = joined.map(|joined| spawn_blocking(move || Backplane::start(joined, nodes)));
        let backplane = match backplane {
            Some(started) => Some(started.await?),
            None => None,
        };
        let cluster = Cluster { backplane, nodes: Mutex::new((0..nodes).map(|_| None).collect()) };
        for node in 0..nodes {
            cluster.start_node(node, Setup::new(), world).await;
        }
        let ready = cluster.until_readiness(0..nodes, 200, world);
        timeout(HEALS_WITHIN, ready).await.context("the nodes are ready")?;
        Ok(cluster)
    }

    /// Carries out all strikes, one behind the other, each with everybody in place.
    pub(super) async fn strike_all(&self, world: &World) -> anyhow::Result<()> {
        for strike in &world.plan.strikes {
            world.until_published(strike.after_publishes).await;
            world.until_all_follow().await;
            self.strike(strike, world).await.with_context(|| strike.fault.name())?;
            // Who does not heal in time is for the checker to name.
            drop(timeout(HEALS_WITHIN, self.until_readiness(0..world.plan.nodes, 200, world)).await);
            reads::read_lives(world, 0).await.with_context(|| strike.fault.name())?;
        }
        Ok(())
    }

    async fn strike(&self, strike: &Strike, world: &World) -> anyhow::Result<()> {
        let (fault, node) = (strike.fault, strike.node);
        if fault == Fault::RedisRewind {
            self.backplane()?.save().await?;
            world.until_published(REWOUND_PUBLISHES).await;
        }
        let event = |begins| Event::Fault {
            name: fault.name().to_owned(),
            node: (!fault.is_for_all()).then(|| world.node(node)),
            begins,
            severs: fault.severs(),
        };
        let lasts = Duration::from_millis(strike.for_ms);
        world.history.record(event(true));
        match fault {
            Fault::Kill | Fault::Terminate | Fault::Upgrade | Fault::Downgrade => {
                let signal = if fault == Fault::Kill { "KILL" } else { "TERM" };
                self.end_node(node, signal, world).await?;
                sleep(lasts).await;
                let setup = Setup::new();
                let setup = if fault == Fault::Upgrade { setup.next_version() } else { setup };
                self.start_node(node, setup, world).await;
            }
            Fault::Freeze => {
                self.signal(node, "STOP");
                sleep(lasts).await;
                self.signal(node, "CONT");
            }
            _ => {
                let losses = self.losses(world).await?;
                self.backplane()?.harm(fault, node).await?;
                self.until_shown(strike, losses, world).await?;
                sleep(lasts).await;
                self.check_told(strike, losses, world).await?;
                self.backplane()?.heal(fault).await?;
            }
        }
        world.history.record(event(false));
        Ok(())
    }

    fn backplane(&self) -> anyhow::Result<&Backplane> {
        self.backplane.as_ref().context("the nodes are joined")
    }

    /// Checks that operators are told of a fault of the backplane, and only of what there is.
    async fn check_told(&self, strike: &Strike, losses: u64, world: &World) -> anyhow::Result<()> {
        let lost = self.losses(world).await? - losses;
        if strike.fault == Fault::RedisSlow {
            anyhow::ensure!(lost == 0, "{lost} connections to Redis were lost though it was only slow");
        }
        if strike.fault.severs() || strike.fault == Fault::Deafen {
            anyhow::ensure!(lost > 0, "no figure tells that Redis is away");
            let met = if strike.fault.is_for_all() { 0 } else { strike.node };
            let is_logged = self.nodes()[met].as_ref().is_some_and(|node| node.has_logged(AWAY));
            anyhow::ensure!(is_logged, "no line of the log tells that Redis is away");
        }
        Ok(())
    }

    /// Waits until a fault of the backplane shows.
    async fn until_shown(&self, strike: &Strike, losses: u64, world: &World) -> anyhow::Result<()> {
        let Strike { fault, node, .. } = *strike;
        let noticed = || world.history.record(Event::Noticed { name: fault.name().to_owned() });
        match fault {
            Fault::RedisFull => world.until_refused().await,
            Fault::RedisSlow => {}
            Fault::Deafen => {
                let healed = async {
                    while self.losses(world).await? == losses {
                        sleep(LOOK_AGAIN).await;
                    }
                    noticed();
                    world.until_heard(node).await;
                    anyhow::Ok(())
                };
                timeout(HEARS_WITHIN, healed).await.context("the stuck subscription is not replaced")??;
            }
            _ => {
                let met = if fault.is_for_all() { 0..world.plan.nodes } else { node..node + 1 };
                // Who does not see it in time is for the checker to name.
                drop(timeout(RED_WITHIN, self.until_readiness(met, 503, world)).await);
                noticed();
                world.until_failed().await;
            }
        }
        Ok(())
    }

    async fn until_readiness(&self, nodes: Range<usize>, status: u16, world: &World) {
        for node in nodes {
            while ask(world, node, "/readyz", ANSWER_MAX).await.is_none_or(|answer| answer.status != status) {
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// How often nodes have lost their Redis.
    async fn losses(&self, world: &World) -> anyhow::Result<u64> {
        let mut losses = 0;
        for node in 0..world.plan.nodes {
            losses += figure(world, node, "fanfare_backplane_losses_total").await?;
        }
        Ok(losses)
    }

    /// Writes down what nodes have counted.
    pub(super) async fn read_figures(&self, world: &World) -> anyhow::Result<()> {
        for node in 0..world.plan.nodes {
            for name in FIGURES {
                let value = figure(world, node, name).await?;
                let (node, name) = (world.node(node), name.to_owned());
                world.history.record(Event::Figure { node, name, value });
            }
        }
        Ok(())
    }

    /// What each node takes of the machine.
    pub(super) async fn footprints(&self, world: &World) -> anyhow::Result<Vec<Footprint>> {
        let mut footprints = Vec::new();
        for node in 0..world.plan.nodes {
            let history_bytes = figure(world, node, "fanfare_history_bytes").await?;
            // Keys of joined nodes are on their Redis.
            let keys = if world.plan.joined.is_none() { world.published() } else { 0 };
            let kept_bytes = history_bytes + keys * KEY_BYTES;
            let process = self.nodes()[node].as_ref().context("the node runs")?.process();
            footprints.push(Footprint::of(process, kept_bytes)?);
        }
        Ok(footprints)
    }

    /// Waits until each node is well and takes about what it took before, beside what it keeps for clients.
    pub(super) async fn until_at_rest(&self, before: &[Footprint], world: &World) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let now = self.footprints(world).await?;
            let mut pairs = (1..).zip(before.iter().zip(&now));
            let Some((number, (before, now))) = pairs.find(|(_, (before, now))| now.exceeds(before)) else {
                break;
            };
            anyhow::ensure!(begun.elapsed() < RESTS_WITHIN, "n{number} took {before}, and keeps {now}");
            sleep(LOOK_AGAIN).await;
        }
        for node in self.nodes().iter_mut().flatten() {
            anyhow::ensure!(node.is_well(), "a node has ended, or something in it has panicked");
        }
        Ok(())
    }

    async fn start_node(&self, node: usize, setup: Setup, world: &World) {
        let joined = self.backplane.as_ref().map_or_else(String::new, |backplane| backplane.config(node));
        let setup = setup.variable(SMALL_PAGES.0, SMALL_PAGES.1);
        let broker = setup.config(&format!("{}{joined}", world.plan.config)).start().await;
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
        for word in ["panicked", "can't be read"] {
            anyhow::ensure!(!ended.stderr.contains(word), "the node said {word:?}: {}", ended.stderr);
        }
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
