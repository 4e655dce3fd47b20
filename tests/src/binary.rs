//! The binaries under test, built once per run beside the tests' own executable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file that every build's target folder holds.
const TARGET_MARK: &str = "CACHEDIR.TAG";

/// What is built of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// The broker as it is.
    Own,
    /// The broker as its own successor.
    Next,
}

/// Where a binary is; built first, with the target folder, profile and platform of the tests themselves.
pub(crate) fn path(version: Version) -> &'static Path {
    static OWN: OnceLock<Option<PathBuf>> = OnceLock::new();
    static NEXT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = match version {
        Version::Own => OWN.get_or_init(|| build("fanfare", &[])),
        Version::Next => NEXT.get_or_init(|| build("fanfare-next", &["--features", "next-envelope"])),
    };
    built.as_deref().expect("the binary under test can be built")
}

/// `<target>[/<platform>]/<profile>/deps/<test>` is where cargo puts tests; programs lie one folder higher. None if the
/// build fails.
fn build(binary: &str, features: &[&str]) -> Option<PathBuf> {
    let own = std::env::current_exe().expect("a running program has an executable");
    let folder = own.parent().expect("a file lies in a folder");
    let folder =
        if name(folder) == "deps" { folder.parent().expect("deps lies in the profile's") } else { folder };
    let profile = name(folder);
    let above: Vec<&Path> = folder.ancestors().skip(1).take(2).collect();
    let target = above.iter().find(|folder| folder.join(TARGET_MARK).is_file()).expect("a target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "fanfare", "--bin", binary]).args(features).arg("--profile");
    cargo.arg(if profile == "debug" { "dev" } else { profile }).arg("--target-dir").arg(target);
    if above.first() != Some(target) {
        cargo.arg("--target").arg(name(above[0]));
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    status.success().then(|| folder.join(format!("{binary}{}", std::env::consts::EXE_SUFFIX)))
}

fn name(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).expect("cargo's folders have names in ASCII")
}
