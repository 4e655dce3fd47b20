//! The project's own automation: `cargo xtask test` is everything that a change has to pass.

mod node;
mod soak;
mod step;
mod tidy;
mod tools;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::node::Node;
use crate::step::{Step, Variables};

const USAGE: &str = "\
usage: cargo xtask <command>

  test   install what the tests need, then check everything: format, tidiness, lints, build, tests, browser
  js     check only what is in JavaScript: build the broker, test the SDK, in Node and in a browser
  soak   [MINUTES [SEED]] simulate the core, then run brokers under faults, and hold both against the promises
  tidy   check only what no other tool does: file lengths, forbidden calls, dependencies, licences, links";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test(),
        ["js"] => javascript(),
        ["soak", rest @ ..] => repository().and_then(|root| soak::run(&root, rest)),
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
    let root = repository()?;
    let node = node()?;
    let mut steps = vec![
        installed(&root, &node),
        Step::cargo(&["fmt", "--all", "--check"]),
        Step::call("tidiness", {
            let root = root.clone();
            move || tidy::check(&root)
        }),
        Step::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        successor("clippy", &["--lib", "--", "-D", "warnings"]),
        broker(),
        successor("build", &[]),
        Step::cargo(&["test", "--workspace", "--locked"]),
    ];
    steps.extend(npm(&root, &node)?);
    run(steps, &root)
}

fn javascript() -> anyhow::Result<()> {
    let root = repository()?;
    let node = node()?;
    let mut steps = vec![installed(&root, &node), broker()];
    steps.extend(npm(&root, &node)?);
    run(steps, &root)
}

fn run(steps: Vec<Step>, root: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    let count = steps.len();
    for (index, step) in steps.into_iter().enumerate() {
        step.run(&format!("{}/{count}", index + 1), root)?;
    }
    eprintln!("all {count} steps passed in {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

fn installed(root: &Path, node: &Node) -> Step {
    let (root, node) = (root.to_path_buf(), node.clone());
    Step::call("what the tests need is installed", move || tools::install(&root, &node))
}

fn broker() -> Step {
    Step::cargo(&["build", "--locked", "--package", "fanfare", "--bin", "fanfare"])
}

/// The broker as the version behind it will be, which tests start beside it.
fn successor(command: &str, rest: &[&str]) -> Step {
    let what = ["--locked", "--package", "fanfare", "--features", "next-envelope", "--bin", "fanfare-next"];
    Step::cargo(&[&[command], &what[..], rest].concat())
}

/// The tests of each package of npm.
fn npm(root: &Path, node: &Node) -> anyhow::Result<Vec<Step>> {
    let variables = variables(node)?;
    let mut steps = Vec::new();
    for folder in tidy::npm_packages(root)? {
        // None of the packages needs a script of its own to be installed.
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        steps.push(Step::npm(&folder, &install, variables.clone()));
        steps.push(Step::npm(&folder, &["test"], variables.clone()));
    }
    Ok(steps)
}

/// What the tests in JavaScript are told: where the broker is, and where what they draw goes.
fn variables(node: &Node) -> anyhow::Result<Variables> {
    let profile = profile()?;
    let broker = profile.join(format!("fanfare{}", std::env::consts::EXE_SUFFIX));
    let drawn = profile.join("screenshots");
    Ok(vec![
        ("PATH", node.search_path()),
        ("FANFARE_BINARY", OsString::from(broker)),
        ("FANFARE_SCREENSHOTS", OsString::from(drawn)),
    ])
}

fn node() -> anyhow::Result<Node> {
    let profile = profile()?;
    Ok(Node::new(profile.parent().context("the profile's folder has no parent")?))
}

/// The folder into which cargo builds with the profile of this program, `target/debug`.
fn profile() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let parent = own.parent().map(PathBuf::from);
    parent.context("this program lies in no folder")
}

/// The folder that holds the workspace.
fn repository() -> anyhow::Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("run this as `cargo xtask …`, which says where it is")?;
    let parent = PathBuf::from(own).parent().map(PathBuf::from);
    parent.context("the folder of xtask has no parent")
}
