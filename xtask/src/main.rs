//! The project's own automation: `cargo xtask test` is everything that a change has to pass.

mod step;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::step::Step;

const USAGE: &str = "\
usage: cargo xtask <command>

  test   install what the tests need, then check everything: format, tidiness, lints, build, tests
  tidy   check only what no other tool does: file lengths, forbidden calls, dependencies, licences, links";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test(),
        ["tidy"] => repository().and_then(|root| tidy::check(&root)),
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

fn test() -> anyhow::Result<()> {
    let start = Instant::now();
    let root = repository()?;
    let steps = [
        Step::call("what the tests need is installed", tools::install),
        Step::cargo(&["fmt", "--all", "--check"]),
        Step::call("tidiness", {
            let root = root.clone();
            move || tidy::check(&root)
        }),
        Step::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        Step::cargo(&["build", "--locked", "--package", "fanfare", "--bin", "fanfare"]),
        Step::cargo(&["test", "--workspace", "--locked"]),
    ];
    let count = steps.len();
    for (index, step) in steps.into_iter().enumerate() {
        step.run(&format!("{}/{count}", index + 1), &root)?;
    }
    eprintln!("all {count} steps passed in {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// The folder that holds the workspace.
fn repository() -> anyhow::Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("run this as `cargo xtask …`, which says where it is")?;
    let parent = PathBuf::from(own).parent().map(PathBuf::from);
    parent.context("the folder of xtask has no parent")
}
