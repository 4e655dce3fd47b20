//! The programs that the tests need beside cargo, and the Debian packages that bring them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::node::Node;

/// Program and package.
const TOOLS: &[(&str, &str)] = &[
    ("cc", "build-essential"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("faketime", "faketime"),
    ("redis-server", "redis-server"),
];

/// What brings Node.js where the machine's own is not enough.
const FOR_NODE: (&str, &str) = ("pip3", "python3-pip");

/// Who runs this, and so how it installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    Root,
    Sudo,
    Nobody,
}

/// Installs what is missing, if this is Debian and we may; otherwise says what to install and fails.
pub(crate) fn install(root: &Path, node: &Node) -> anyhow::Result<()> {
    let needed = needed(node.is_there());
    let packages = missing(&needed, is_installed);
    if !packages.is_empty() {
        install_packages(&packages)?;
        let missing = missing(&needed, is_installed);
        if !missing.is_empty() {
            bail!("apt-get succeeded, and still nothing brought {}", missing.join(" "));
        }
    }
    node.install(root)
}

/// All of them in one call, since most of its time is the same for one as for ten.
fn install_packages(packages: &[&str]) -> anyhow::Result<()> {
    let packages = packages.join(" ");
    let installer = if is_installed("apt-get") { installer()? } else { Installer::Nobody };
    let line = line(installer, &packages);
    if installer == Installer::Nobody {
        bail!(
            "missing: {packages}; we are neither root on Debian nor may use sudo unasked: as root run\n  {line}"
        );
    }
    eprintln!("  {line}");
    let status = Command::new("sh").args(["-c", &line]).status().context("sh can't be run")?;
    if !status.success() {
        bail!("apt-get did not bring {packages} ({status}); run it yourself and see what it says:\n  {line}");
    }
    Ok(())
}

fn line(installer: Installer, packages: &str) -> String {
    let sudo = if installer == Installer::Sudo { "sudo " } else { "" };
    format!(
        "{sudo}apt-get update && {sudo}env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y --no-install-recommends {packages}"
    )
}

fn needed(is_node_there: bool) -> Vec<(&'static str, &'static str)> {
    TOOLS.iter().copied().chain((!is_node_there).then_some(FOR_NODE)).collect()
}

/// The packages whose program is not there.
fn missing(needed: &[(&str, &'static str)], is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    needed.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn installer() -> anyhow::Result<Installer> {
    let output = Command::new("id").arg("-u").output().context("`id -u` can't be run")?;
    if output.stdout.trim_ascii() == b"0" {
        return Ok(Installer::Root);
    }
    // Without a password or not at all: nobody may be there to type one.
    let asked = Command::new("sudo").args(["-n", "true"]).output();
    let may = asked.is_ok_and(|output| output.status.success());
    Ok(if may { Installer::Sudo } else { Installer::Nobody })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let all = needed(true);
        assert_eq!(missing(&all, |_| true), Vec::<&str>::new());
        assert_eq!(missing(&all, |program| program != "curl"), ["curl"]);
        assert_eq!(
            missing(&all, |_| false),
            ["build-essential", "chromium", "curl", "faketime", "redis-server"]
        );
    }

    #[test]
    fn pip_is_needed_only_where_node_is_not_there() {
        assert_eq!(missing(&needed(false), |program| program != "pip3"), ["python3-pip"]);
        assert!(!needed(true).contains(&FOR_NODE));
    }

    #[test]
    fn the_line_is_one_that_works_for_who_runs_it() {
        assert!(line(Installer::Root, "curl").starts_with("apt-get update && env "));
        assert!(line(Installer::Nobody, "curl").ends_with(" --no-install-recommends curl"));
        assert_eq!(line(Installer::Sudo, "curl").matches("sudo ").count(), 2);
    }
}
