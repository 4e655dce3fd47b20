//! Runs real nodes with publishers and subscribers, does them harm by a plan that a seed draws, and writes down what
//! everybody saw, for the [`checker`](crate::checker).
//!
//! Clients here keep their own books and believe nothing: an attempt without an answer has an unknown outcome, and a
//! cursor moves only as the protocol says. The same seed gives the same plan; how threads and sockets interleave is
//! the machine's chance.

#![expect(clippy::wildcard_enum_match_arm, reason = "each walk looks for a few of the many events")]

mod backplane;
mod chance;
mod cluster;
mod faults;
mod footprint;
mod history;
mod link;
mod plan;
mod publisher;
mod reads;
mod ready;
mod scenarios;
mod seen;
mod subscriber;
mod world;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::checker::{self, Event, Report};

pub use chance::Chance;
pub use faults::Fault;
pub use plan::{Goal, Habits, Joined, Plan, Strike};
pub use scenarios::{SOAK_LENGTH, Scenario, scenario, scenarios};
pub use seen::{Seen, Spread, Times};

use cluster::Cluster;
use history::History;
use subscriber::Subscriber;
use world::{Stage, World};

/// How long the part of a run with faults may take before it is given up; far longer than it does.
const RUN_MAX: Duration = Duration::from_secs(600);
/// How many publishes there are before the first fault, and behind the last.
const WARM_PUBLISHES: u64 = 50;
/// How long everybody has to come to the end after the last fault is healed.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The history; removed by [`Ran::forget`].
    pub history: PathBuf,
    /// What the checker says of it.
    pub report: Report,
    /// What was done, in figures.
    pub seen: Seen,
    /// What took longer than promised, if anything did.
    pub late: Option<String>,
}

/// Runs a plan and checks its history; an error if the run itself could not be done.
pub async fn run(plan: &Plan) -> anyhow::Result<Ran> {
    let path = path_of(plan);
    let history = History::create(&path)?;
    let world = Arc::new(World::new(plan.clone(), history));
    let run = Event::Run { name: plan.name.to_owned(), seed: plan.seed, keeps_all: plan.keeps_all };
    world.history.record(run);
    let cluster = Cluster::start(&world).await?;
    let ran = go(&world, &cluster).await;
    world.history.close()?;
    ran.with_context(|| format!("{} with seed {}: {}", plan.name, plan.seed, path.display()))?;
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let lines = checker::read(BufReader::new(file))?;
    let seen = Seen::of(&lines);
    let late = seen.times.late(plan);
    Ok(Ran { history: path, report: checker::check_lines(lines), seen, late })
}

/// Runs a plan; panics with what was found if anything is broken, and keeps the history then. What was seen.
pub async fn assert_holds(plan: &Plan) -> Seen {
    let ran = run(plan).await.unwrap_or_else(|error| panic!("{error:#}"));
    eprintln!("{} with seed {}: {}", plan.name, plan.seed, ran.seen);
    let seen = ran.seen;
    ran.verdict(plan).unwrap_or_else(|error| panic!("{error:#}"));
    seen
}

impl Ran {
    /// Removes the history of a good run; an error tells where it is and what is broken or late.
    pub fn verdict(self, plan: &Plan) -> anyhow::Result<()> {
        if !self.report.is_clean() || self.late.is_some() {
            let (Plan { name, seed, .. }, at) = (plan, self.history.display());
            let late = self.late.as_deref().unwrap_or_default();
            anyhow::bail!(
                "{name} with seed {seed} broke promises; its history is {at}\n{late}\n{}",
                self.report
            );
        }
        self.forget();
        Ok(())
    }

    /// Removes the history.
    pub fn forget(self) {
        // It is in the folder for temporary files, where anybody may have removed it.
        drop(std::fs::remove_file(self.history));
    }
}

async fn go(world: &Arc<World>, cluster: &Cluster) -> anyhow::Result<()> {
    let mut publishers = JoinSet::new();
    let mut others = JoinSet::new();
    for number in 0..world.plan.publishers {
        publishers.spawn(publisher::run(number, world.clone()));
    }
    for number in 0..world.plan.subscribers.len() {
        others.spawn(Subscriber::new(number, world.clone()).run());
    }
    for node in 0..world.plan.nodes {
        others.spawn(ready::watch(node, world.clone()));
    }
    let harm = async {
        world.until_all_follow().await;
        world.until_published(WARM_PUBLISHES).await;
        let before = cluster.footprints(world).await?;
        cluster.strike_all(world).await?;
        // Who was met by the last fault is to hear what comes after it.
        world.until_published(WARM_PUBLISHES).await;
        world.reach_goal().await;
        world.enter(Stage::Ending);
        while let Some(done) = publishers.join_next().await {
            done?;
        }
        anyhow::Ok(before)
    };
    let before = timeout(RUN_MAX, harm).await.context("the run does not come to its end")??;
    reads::read_all(world).await?;
    let end = reads::top(world).await?;
    world.enter(Stage::Settling(end));
    // Who has not come to the end by then is for the checker to name.
    drop(timeout(SETTLE_MAX, world.until_all_there()).await);
    world.history.record(Event::Quiet {});
    cluster.read_figures(world).await?;
    reads::clear_all(world).await?;
    cluster.until_at_rest(&before, world).await?;
    world.enter(Stage::Over);
    others.abort_all();
    while let Some(done) = others.join_next().await {
        match done {
            Err(error) if !error.is_cancelled() => anyhow::bail!("a client failed: {error}"),
            _ => {}
        }
    }
    Ok(())
}

fn path_of(plan: &Plan) -> PathBuf {
    let name = plan.name.replace(' ', "-");
    let file = format!("fanfare-history-{name}-{}-{}.jsonl", plan.seed, std::process::id());
    Path::new(&std::env::temp_dir()).join(file)
}
