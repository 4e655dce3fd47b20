//! Prints the broker's figures beside the floor's: `cargo run --release -p fanfare-benches --bin figures`.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use fanfare_benches::figures::{Cores, Program, Row, Runner, SCENARIOS, Scenario};

/// Runs the broker and the floor in turn and prints a table.
#[derive(Parser)]
struct Args {
    /// Only the scenarios of these names.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Two short rounds: a look, not a figure.
    #[arg(long)]
    quick: bool,
    /// All rounds as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Each run's whole outcome on standard error.
    #[arg(long)]
    verbose: bool,
    /// How often each scenario is run; broker and floor each time.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// For how long each run publishes.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The broker's binary; without it the one beside this, freshly built.
    #[arg(long)]
    broker: Option<PathBuf>,
    /// One more argument for the broker, behind `serve`; may be repeated.
    #[arg(long, allow_hyphen_values = true)]
    broker_arg: Vec<String>,
    /// Runs the floor alone.
    #[arg(long, conflicts_with = "broker")]
    floor_only: bool,
    /// Runs the binaries as they are.
    #[arg(long)]
    no_build: bool,
    /// The core of the broker and the floor.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the generator.
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
}

impl Args {
    fn scenarios(&self) -> Result<Vec<&'static Scenario>> {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        for name in &self.only {
            ensure!(names.contains(&name.as_str()), "no scenario {name:?}; there are: {}", names.join(", "));
        }
        let chosen =
            |scenario: &&Scenario| self.only.is_empty() || self.only.iter().any(|name| name == scenario.name);
        Ok(SCENARIOS.iter().filter(chosen).collect())
    }

    fn runner(&self) -> Result<Runner> {
        let this = env::current_exe().context("finding this program")?;
        let beside = |name: &str| this.with_file_name(name);
        let program = |path: PathBuf, arguments: Vec<String>| -> Result<Program> {
            ensure!(path.is_file(), "{} is not there", path.display());
            Ok(Program { path: path.canonicalize()?, arguments })
        };
        let mut broker = None;
        if !self.floor_only {
            let path = self.broker.clone().unwrap_or_else(|| beside("fanfare"));
            let arguments = [&["serve".to_owned()], self.broker_arg.as_slice()].concat();
            broker = Some(program(path, arguments)?);
        }
        Ok(Runner {
            load: program(beside("load"), Vec::new())?,
            floor: program(beside("floor"), Vec::new())?,
            broker,
            cores: Cores { server: self.server_core, generator: self.generator_core },
            rounds: if self.quick { 2 } else { self.rounds },
            seconds: if self.quick { 2.0 } else { self.seconds },
            verbose: self.verbose,
        })
    }

    /// Builds what is run. Cargo builds only this binary for `cargo run`, and an old broker's figures mislead.
    fn build(&self) -> Result<()> {
        let Some(cargo) = env::var_os("CARGO") else { return Ok(()) };
        let mut arguments = vec!["build", "-p", "fanfare-benches"];
        if self.broker.is_none() && !self.floor_only {
            arguments.extend(["-p", "fanfare"]);
        }
        if !cfg!(debug_assertions) {
            arguments.push("--release");
        }
        let status = Command::new::<OsString>(cargo).args(&arguments).status().context("starting cargo")?;
        ensure!(status.success(), "`cargo {}`: {status}", arguments.join(" "));
        Ok(())
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let scenarios = args.scenarios()?;
    if !args.no_build {
        args.build()?;
    }
    let runner = args.runner()?;
    let mut rows: Vec<Row> = Vec::new();
    let mut is_whole = true;
    for scenario in scenarios {
        match runner.run(scenario) {
            Ok(measured) => rows.extend(measured),
            // The other scenarios may still have something to say.
            Err(error) => {
                is_whole = false;
                writeln!(std::io::stderr(), "{}: {error:#}", scenario.name)?;
            }
        }
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        writeln!(out, "{}", Row::markdown_head())?;
        for row in &rows {
            writeln!(out, "{}", row.markdown())?;
        }
    }
    let is_shown = is_whole && !rows.iter().any(Row::is_bad);
    Ok(if is_shown { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
