//! The long runs with ever new seeds: simulations of the core for half of the time, then brokers under faults.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

/// How long it goes on unless told otherwise.
const MINUTES: u64 = 30;
/// How many seeds one run of the simulations has: it must end soon after the time is up.
const SEEDS: u64 = 2_000;

/// Runs both, each for half of the minutes that are asked for, from the seed on that is asked for; stops at the first
/// seed that fails.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let number = |text: &str| text.parse::<u64>().with_context(|| format!("{text:?} is no whole number"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let (minutes, seed) = match arguments {
        [] => (MINUTES, now),
        [minutes] => (number(minutes)?, now),
        [minutes, seed] => (number(minutes)?, number(seed)?),
        _ => bail!("usage: cargo xtask soak [MINUTES [SEED]]"),
    };
    simulate(root, Duration::from_secs(minutes * 30), seed)?;
    let minutes = minutes.div_ceil(2).to_string();
    let faults =
        ["run", "--release", "--locked", "--package", "fanfare-tests", "--bin", "faults", "--", "soak"];
    cargo(root, &[&faults[..], &[&minutes, &seed.to_string()]].concat(), &[])
}

fn simulate(root: &Path, time: Duration, seed: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut first = seed;
    while start.elapsed() < time {
        eprintln!("seeds {first} to {}, after {:.0} s", first + SEEDS - 1, start.elapsed().as_secs_f32());
        let tests = ["test", "--release", "--locked", "--package", "fanfare-core", "--test", "it", "--"];
        let names = ["it::joined::", "it::simulation::"];
        let seeds = [("FIRST", first.to_string()), ("SEEDS", SEEDS.to_string())];
        cargo(root, &[&tests[..], &names].concat(), &seeds).with_context(|| {
            format!("`SEED=… cargo test -p fanfare-core --test it` tells what happened; first seed {first}")
        })?;
        first += SEEDS;
    }
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str], variables: &[(&str, String)]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let variables = variables.iter().map(|(name, value)| (name, value));
    let mut command = Command::new(cargo);
    let status = command.args(arguments).envs(variables).current_dir(root).status();
    let status = status.context("cargo can't be run")?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}
