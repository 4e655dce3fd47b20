//! One step of a longer check: announced, run, and told with the time it took.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
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
    Program { program: OsString, folder: PathBuf, arguments: Vec<String>, variables: Variables },
}

/// Variables of the environment, by their names.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

impl Step {
    /// A step inside this program.
    pub(crate) fn call(name: &str, work: impl FnOnce() -> anyhow::Result<()> + 'static) -> Step {
        Step { name: name.to_owned(), work: Work::Call(Box::new(work)) }
    }

    /// A call of cargo.
    pub(crate) fn cargo(arguments: &[&str]) -> Step {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let name = format!("cargo {}", arguments.join(" "));
        Step::program(name, cargo, Path::new(""), arguments, Vec::new())
    }

    /// A call of npm in the folder of a package.
    pub(crate) fn npm(folder: &Path, arguments: &[&str], variables: Variables) -> Step {
        let name = format!("{}: npm {}", folder.display(), arguments.join(" "));
        Step::program(name, "npm".into(), folder, arguments, variables)
    }

    fn program(
        name: String,
        program: OsString,
        folder: &Path,
        arguments: &[&str],
        variables: Variables,
    ) -> Step {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Step { name, work: Work::Program { program, folder: folder.to_path_buf(), arguments, variables } }
    }

    /// Runs it in `root`; an error names the step.
    pub(crate) fn run(self, number: &str, root: &Path) -> anyhow::Result<()> {
        eprintln!("[{number}] {}", self.name);
        let start = Instant::now();
        let done = match self.work {
            Work::Call(work) => work(),
            Work::Program { program, folder, arguments, variables } => {
                let mut command = Command::new(&program);
                command.args(arguments).envs(variables).current_dir(root.join(folder));
                ends_well(&mut command).with_context(|| program.display().to_string())
            }
        };
        let seconds = start.elapsed().as_secs_f32();
        done.with_context(|| format!("[{number}] failed after {seconds:.1} s: {}", self.name))?;
        eprintln!("[{number}] passed in {seconds:.1} s");
        Ok(())
    }
}

fn ends_well(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("can't be run")?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}
