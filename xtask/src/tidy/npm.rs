//! Packages of npm: each is tested, has one version of each dependency written down, and permissive licences.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::File;
use super::licenses::is_permissive;

const SECTIONS: &[&str] = &["dependencies", "devDependencies", "optionalDependencies"];

/// The folders of the packages among `files`.
pub(super) fn packages(files: &[File]) -> impl Iterator<Item = &Path> {
    files.iter().filter(|file| file.path.ends_with("package.json")).filter_map(|file| file.path.parent())
}

/// What is wrong with the packages among `files`.
pub(super) fn check(files: &[File]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files {
        if file.path.ends_with("package.json") {
            found.extend(manifest(file, files)?);
        } else if file.path.ends_with("package-lock.json") {
            found.extend(lock(file)?);
        }
    }
    Ok(found)
}

fn manifest(file: &File, files: &[File]) -> anyhow::Result<Vec<String>> {
    let path = file.path.display();
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    if !files.iter().any(|other| other.path == folder.join("package-lock.json")) {
        found.push(format!("{path}: there is no package-lock.json beside it"));
    }
    let manifest = parsed(file)?;
    if !manifest["scripts"]["test"].is_string() {
        found.push(format!("{path}: without a script `test` it is never tested"));
    }
    for (name, version) in SECTIONS.iter().flat_map(|section| entries(&manifest, section)) {
        let version = version.as_str().unwrap_or_default();
        if !version.starts_with(|first: char| first.is_ascii_digit()) || version.contains([' ', 'x', '*']) {
            found.push(format!("{path}: {name} is {version:?}; write one version, such as \"1.2.3\""));
        }
    }
    Ok(found)
}

fn lock(file: &File) -> anyhow::Result<Vec<String>> {
    let lock = parsed(file)?;
    // The package itself has the name ""; a link leads to another entry.
    let dependencies =
        entries(&lock, "packages").filter(|(name, package)| !name.is_empty() && package["link"] != true);
    let found = dependencies.filter_map(|(name, package)| match package["license"].as_str() {
        Some(license) if is_permissive(license) => None,
        license => Some(format!(
            "{}: {name}: the licence {} is not on the list of permissive ones",
            file.path.display(),
            license.unwrap_or("(none)"),
        )),
    });
    Ok(found.collect())
}

fn parsed(file: &File) -> anyhow::Result<Value> {
    serde_json::from_str(&file.text).with_context(|| format!("{} is not JSON", file.path.display()))
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[key].as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.to_owned() }
    }

    #[test]
    fn a_package_is_where_its_manifest_is() {
        let files = ["clients/js/package.json", "clients/js/tsconfig.json", "tests/browser/package.json"];
        let files = files.map(|path| file(path, "{}"));
        let found: Vec<&Path> = packages(&files).collect();
        assert_eq!(found, ["clients/js", "tests/browser"].map(Path::new));
    }

    #[test]
    fn packages_are_tested_and_their_dependencies_pinned_and_permissive() {
        let files = [
            file(
                "a/package.json",
                r#"{"scripts": {"test": "node --test"}, "dependencies": {"x": "1.2.3", "y": "^1.2.3"}}"#,
            ),
            file(
                "a/package-lock.json",
                r#"{"packages": {"": {}, "node_modules/x": {"license": "MIT"},
                    "node_modules/y": {"license": "MPL-2.0"}, "node_modules/z": {},
                    "node_modules/here": {"resolved": "../here", "link": true}}}"#,
            ),
            file("b/package.json", r#"{"devDependencies": {"z": "1.x"}}"#),
        ];
        assert_eq!(
            check(&files).unwrap(),
            [
                "a/package.json: y is \"^1.2.3\"; write one version, such as \"1.2.3\"",
                "a/package-lock.json: node_modules/y: the licence MPL-2.0 is not on the list of permissive ones",
                "a/package-lock.json: node_modules/z: the licence (none) is not on the list of permissive ones",
                "b/package.json: there is no package-lock.json beside it",
                "b/package.json: without a script `test` it is never tested",
                "b/package.json: z is \"1.x\"; write one version, such as \"1.2.3\"",
            ]
        );
    }
}
