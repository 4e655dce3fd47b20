//! Licences of the dependencies: each lets anybody use, change and pass on what is built with it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Permissive licences, by their SPDX names.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The dependencies whose licence is not permissive, on the platform where this runs.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let packages = packages(root)?;
    let name = |package: &Value| package["name"].as_str().unwrap_or("a package without a name").to_owned();
    let found = packages.iter().filter_map(|package| match package["license"].as_str() {
        Some(license) if is_permissive(license) => None,
        Some(license) => {
            Some(format!("{}: the licence {license} is not on the list of permissive ones", name(package)))
        }
        None => Some(format!("{}: no licence is declared", name(package))),
    });
    Ok(found.collect())
}

fn packages(root: &Path) -> anyhow::Result<Vec<Value>> {
    let platform = platform(root)?;
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(arguments).current_dir(root).output().context("cargo can't be run")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            bail!("cargo metadata lists no packages")
        }
    }
}

/// The platform's name, as in `x86_64-unknown-linux-gnu`: what others need is not even downloaded.
fn platform(root: &Path) -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").current_dir(root).output().context("rustc can't be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

/// True if an SPDX expression offers terms that are all permissive; `/` is an old way to write OR.
pub(super) fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let permissive = any_of(&mut words);
    permissive && words.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut permissive = all_of(words);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        permissive |= all_of(words);
    }
    permissive
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut permissive = one(words);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        permissive &= one(words);
    }
    permissive
}

fn one(words: &mut &[&str]) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let permissive = any_of(words);
            let [")", rest @ ..] = words else { return false };
            *words = rest;
            permissive
        }
        // An exception only takes conditions away.
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            *words = rest;
            PERMISSIVE.contains(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_licences_one_has_to_be_permissive_unless_all_hold() {
        for (expression, permissive) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-2.0-only OR MIT", true),
            ("MIT AND GPL-2.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND MPL-2.0", false),
            ("MIT AND (GPL-3.0-only OR Zlib)", true),
            ("(MIT", false),
            ("MIT)", false),
            ("MIT Zlib", false),
            ("", false),
        ] {
            assert_eq!(is_permissive(expression), permissive, "{expression}");
        }
    }
}
