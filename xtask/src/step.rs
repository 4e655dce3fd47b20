//! One step of a longer check: announced, run, and told with the time it took.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

/// A step with the name that is printed.
pub(crate) struct Step {
    name: String,
    work: Work,
}

enum Work {
    Call(Box<dyn FnOnce() -> anyhow::Result<()>>),
    Cargo(&'static [&'static str]),
}

impl Step {
    /// A step inside this program.
    pub(crate) fn call(name: &str, work: impl FnOnce() -> anyhow::Result<()> + 'static) -> Step {
        Step { name: name.to_owned(), work: Work::Call(Box::new(work)) }
    }

    /// A call of cargo.
    pub(crate) fn cargo(arguments: &'static [&'static str]) -> Step {
        Step { name: format!("cargo {}", arguments.join(" ")), work: Work::Cargo(arguments) }
    }

    /// Runs it in `root`; an error names the step.
    pub(crate) fn run(self, number: &str, root: &Path) -> anyhow::Result<()> {
        eprintln!("[{number}] {}", self.name);
        let start = Instant::now();
        let done = match self.work {
            Work::Call(work) => work(),
            Work::Cargo(arguments) => cargo(root, arguments),
        };
        let seconds = start.elapsed().as_secs_f32();
        done.with_context(|| format!("[{number}] failed after {seconds:.1} s: {}", self.name))?;
        eprintln!("[{number}] passed in {seconds:.1} s");
        Ok(())
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).args(arguments).current_dir(root).status().context("cargo can't be run")?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}
