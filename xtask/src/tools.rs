//! The programs that the tests need beside cargo, and the Debian packages that bring them.

use std::process::Command;

use anyhow::{Context as _, bail};

/// Program and package.
const TOOLS: &[(&str, &str)] = &[("cc", "build-essential"), ("curl", "curl")];

/// Installs what is missing, if this is Debian and we are root; otherwise says what to install and fails.
pub(crate) fn install() -> anyhow::Result<()> {
    let packages = missing(is_installed);
    if packages.is_empty() {
        return Ok(());
    }
    let packages = packages.join(" ");
    let line = format!("apt-get update && apt-get install -y --no-install-recommends {packages}");
    if !is_root()? || !is_installed("apt-get") {
        bail!("missing: {packages}; as root run\n  {line}");
    }
    eprintln!("  {line}");
    let status = Command::new("sh")
        .args(["-c", &line])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("sh can't be run")?;
    if !status.success() || !missing(is_installed).is_empty() {
        bail!("apt-get did not bring {packages}: {status}");
    }
    Ok(())
}

/// The packages whose program is not there.
fn missing(is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    TOOLS.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id").arg("-u").output().context("`id -u` can't be run")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing(|_| true), Vec::<&str>::new());
        assert_eq!(missing(|program| program == "cc"), ["curl"]);
        assert_eq!(missing(|_| false), ["build-essential", "curl"]);
    }
}
