//! The long runs: brokers under faults with ever new seeds, in a release build.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// How long it goes on unless told otherwise.
const MINUTES: &str = "30";

/// Runs `soak` of the program that runs brokers under faults; `arguments` are minutes and a seed.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let (minutes, seed) = match arguments {
        [] => (MINUTES, None),
        [minutes] => (*minutes, None),
        [minutes, seed] => (*minutes, Some(*seed)),
        _ => bail!("usage: cargo xtask soak [MINUTES [SEED]]"),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "--locked", "--package", "fanfare-tests", "--bin", "faults", "--"]);
    command.args(["soak", minutes]).args(seed).current_dir(root);
    let status = command.status().context("cargo can't be run")?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}
