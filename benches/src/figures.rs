//! The runner: broker and floor in turn, each on one core, the generator on the other; then a table.
//!
//! The machine is noisy, so each round runs both and a ratio is taken within its round; what is printed are
//! medians over the rounds. Every run is a fresh process. A trial measures the broker alone and beside a strain in
//! one run; then what it did alone stands in the floor's place.

mod process;
mod redis;
mod row;
mod scenario;
mod table;

use std::io::Write;

use anyhow::{Result, ensure};
use serde_json::Value;

pub use process::{Cores, Program};
pub use row::Row;
pub use scenario::{Bound, Figure, Rival, Scenario, Unit};
pub use table::SCENARIOS;

use process::Server;
use redis::Redis;

/// The programs to run, where and how often.
#[derive(Debug)]
pub struct Runner {
    /// The generator.
    pub load: Program,
    /// The floor.
    pub floor: Program,
    /// The broker; without one only the floor is run.
    pub broker: Option<Program>,
    /// Who runs on which core.
    pub cores: Cores,
    /// How often each scenario is run.
    pub rounds: usize,
    /// For how long each run publishes.
    pub seconds: f64,
    /// Tells each run's whole outcome on standard error.
    pub verbose: bool,
}

/// The outcomes of one round.
#[derive(Debug, Default)]
struct Round {
    broker: Option<Value>,
    rival: Option<Value>,
}

impl Runner {
    /// Runs one scenario; a row for each of its figures.
    pub fn run(&self, scenario: &Scenario) -> Result<Vec<Row>> {
        let mut rounds = Vec::new();
        for number in 0..self.rounds {
            let mut round = Round::default();
            if let (Rival::Alone, Some(broker)) = (&scenario.rival, &self.broker) {
                let outcome = self.once(broker, scenario, scenario.load, number)?;
                rounds.push(Round { rival: Some(outcome["alone"].clone()), broker: Some(outcome) });
                continue;
            }
            // Who goes first changes, so that neither always finds the machine as the other left it.
            let broker_first = number % 2 == 0;
            for is_broker in [broker_first, !broker_first] {
                if is_broker {
                    let broker = self.broker.as_ref();
                    round.broker =
                        broker.map(|broker| self.first_of(broker, scenario, number)).transpose()?;
                } else {
                    round.rival = self.rival(scenario, number)?;
                }
            }
            rounds.push(round);
        }
        Ok(scenario.figures.iter().map(|figure| Row::new(scenario, figure, &rounds)).collect())
    }

    fn rival(&self, scenario: &Scenario, round: usize) -> Result<Option<Value>> {
        match (&scenario.rival, &self.broker) {
            (Rival::Floor, _) => self.once(&self.floor, scenario, scenario.load, round).map(Some),
            (Rival::Json(load) | Rival::WebSocket(load), Some(broker)) => {
                self.once(broker, scenario, load, round).map(Some)
            }
            (Rival::OneNode(_), Some(broker)) => self.once(broker, scenario, scenario.load, round).map(Some),
            (Rival::Json(_) | Rival::WebSocket(_) | Rival::OneNode(_), None)
            | (Rival::Alone | Rival::Nobody(_), _) => Ok(None),
        }
    }

    /// What the scenario is about: the broker, as one node or as nodes joined by a Redis beside the generator.
    fn first_of(&self, program: &Program, scenario: &Scenario, round: usize) -> Result<Value> {
        let (Rival::OneNode(nodes) | Rival::Nobody(nodes)) = scenario.rival else {
            return self.once(program, scenario, scenario.load, round);
        };
        let redis = Redis::start(self.cores.generator)?;
        let config = format!("{}\n[backplane]\nredis = \"redis://{}\"\n", scenario.config, redis.address);
        let start = |_| Server::start(program, self.cores.server, &config);
        let servers = (0..nodes).map(start).collect::<Result<Vec<_>>>()?;
        let mut options = vec![("--redis", redis.address.to_string())];
        for peer in &servers[1..] {
            options.extend([("--peer", peer.address.to_string()), ("--peer-pid", peer.pid().to_string())]);
        }
        self.drive(program, &servers[0], scenario.load, options, round)
    }

    /// Starts a server, drives it once and stops it; the generator's outcome.
    fn once(&self, program: &Program, scenario: &Scenario, load: &str, round: usize) -> Result<Value> {
        let server = Server::start(program, self.cores.server, scenario.config)?;
        self.drive(program, &server, load, Vec::new(), round)
    }

    /// Drives a server once.
    fn drive(
        &self,
        program: &Program,
        server: &Server,
        load: &str,
        mut options: Vec<(&str, String)>,
        round: usize,
    ) -> Result<Value> {
        let mut arguments: Vec<String> = load.split_whitespace().map(str::to_owned).collect();
        options.extend([
            ("--server", server.address.to_string()),
            ("--pid", server.pid().to_string()),
            ("--seconds", self.seconds.to_string()),
        ]);
        arguments.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let output = self.load.command(self.cores.generator, &arguments).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.stdout.is_empty(),
            "`load {}` against {}: {errors}{}",
            arguments.join(" "),
            program.name(),
            server.last_words()
        );
        let outcome: Value = serde_json::from_slice(&output.stdout)?;
        let details =
            if self.verbose || outcome["exact"] != true { format!(": {outcome}") } else { String::new() };
        writeln!(std::io::stderr(), "round {}, {}, {load}{details}", round + 1, program.name())?;
        Ok(outcome)
    }
}
