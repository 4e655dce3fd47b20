//! The binary under test, built once per run beside the tests' own executable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file that every build's target folder holds.
const TARGET_MARK: &str = "CACHEDIR.TAG";

/// Where the binary is; built first, with the target folder, profile and platform of the tests themselves.
pub(crate) fn path() -> &'static Path {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref().expect("the binary under test can be built")
}

/// `<target>[/<platform>]/<profile>/deps/<test>` is where cargo puts tests; programs lie one folder higher. None if the
/// build fails.
fn build() -> Option<PathBuf> {
    let own = std::env::current_exe().expect("a running program has an executable");
    let folder = own.parent().expect("a file lies in a folder");
    let folder =
        if name(folder) == "deps" { folder.parent().expect("deps lies in the profile's") } else { folder };
    let profile = name(folder);
    let above: Vec<&Path> = folder.ancestors().skip(1).take(2).collect();
    let target = above.iter().find(|folder| folder.join(TARGET_MARK).is_file()).expect("a target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "fanfare", "--bin", "fanfare", "--profile"]);
    cargo.arg(if profile == "debug" { "dev" } else { profile }).arg("--target-dir").arg(target);
    if above.first() != Some(target) {
        cargo.arg("--target").arg(name(above[0]));
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    status.success().then(|| folder.join(format!("fanfare{}", std::env::consts::EXE_SUFFIX)))
}

fn name(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).expect("cargo's folders have names in ASCII")
}
