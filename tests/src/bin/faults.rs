//! Runs brokers under faults by hand and checks histories: `cargo run -p fanfare-tests --bin faults -- list`.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use fanfare_tests::checker;
use fanfare_tests::harness::{self, SOAK_LENGTH, Scenario, scenarios};

const USAGE: &str = "\
usage: faults <command>

  list                       the runs that there are
  run NAME [SEED [LENGTH]]   one run; a failing one keeps its history and says where
  check FILE                 what a history breaks
  soak MINUTES [SEED]        all runs in turn, long ones and each once at least, with seeds from SEED on";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["list"] => list(),
        ["run", name, rest @ ..] => run_named(name, rest).await,
        ["check", file] => check(file),
        ["soak", minutes, rest @ ..] => soak(minutes, rest).await,
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> anyhow::Result<()> {
    for scenario in scenarios() {
        writeln!(io::stdout(), "{:14} {}", scenario.name, scenario.about)?;
    }
    Ok(())
}

fn check(file: &str) -> anyhow::Result<()> {
    let history = File::open(file).with_context(|| file.to_owned())?;
    let report = checker::check(BufReader::new(history))?;
    writeln!(io::stdout(), "{report}")?;
    if !report.is_clean() {
        bail!("{file} breaks promises");
    }
    Ok(())
}

async fn run_named(name: &str, rest: &[&str]) -> anyhow::Result<()> {
    let scenario = harness::scenario(name).with_context(|| format!("there is no run {name:?}; try list"))?;
    let seed = number(rest.first(), "SEED")?.map_or_else(seed_of_now, Ok)?;
    run(scenario, seed, number(rest.get(1), "LENGTH")?.unwrap_or(1)).await
}

async fn soak(minutes: &str, rest: &[&str]) -> anyhow::Result<()> {
    let minutes = number(Some(&minutes), "MINUTES")?.unwrap_or_default();
    let mut seed = number(rest.first(), "SEED")?.map_or_else(seed_of_now, Ok)?;
    let (begun, lasts) = (Instant::now(), Duration::from_secs(60 * minutes));
    let mut failed = 0;
    while begun.elapsed() < lasts {
        for scenario in scenarios() {
            if let Err(error) = run(scenario, seed, SOAK_LENGTH).await {
                eprintln!("{error:#}");
                failed += 1;
            }
        }
        seed += 1;
    }
    if failed > 0 {
        bail!("{failed} runs broke promises");
    }
    Ok(())
}

async fn run(scenario: &Scenario, seed: u64, length: u64) -> anyhow::Result<()> {
    let plan = scenario.plan(seed, length);
    let ran = harness::run(&plan).await?;
    writeln!(io::stdout(), "{} with seed {seed}: {}", scenario.name, ran.seen)?;
    ran.verdict(&plan)
}

fn number(text: Option<&&str>, name: &str) -> anyhow::Result<Option<u64>> {
    text.map(|text| text.parse().with_context(|| format!("{name} is {text:?}, which is no number")))
        .transpose()
}

fn seed_of_now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
