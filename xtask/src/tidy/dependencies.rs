//! Packages and dependencies: all packages are in the workspace; each dependency has one version, written in the
//! root's `Cargo.toml` only, and a user.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use toml::{Table, Value};

use super::File;

const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// What is wrong with the manifests among `files`.
pub(super) fn check(files: &[File]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pinned = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut members = BTreeSet::new();
    let mut packages = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let path = file.path.display().to_string();
        let manifest: Table = file.text.parse().with_context(|| format!("{path} is not TOML"))?;
        if file.path == Path::new("Cargo.toml") {
            pinned.extend(table(&manifest, "workspace").into_iter().flat_map(names));
            members.extend(table(&manifest, "workspace").into_iter().flat_map(folders));
        } else {
            packages.extend(file.path.parent().map(|folder| folder.display().to_string()));
        }
        for (name, dependency) in dependencies(&manifest) {
            let inherited = dependency.get("workspace").and_then(Value::as_bool).unwrap_or(false);
            if !inherited {
                found.push(format!(
                    "{path}: {name} has a version of its own; write `{name}.workspace = true`"
                ));
            }
            used.insert(name);
        }
    }
    let idle = pinned.difference(&used);
    found.extend(idle.map(|name| format!("Cargo.toml: nothing uses {name}")));
    let alone = packages.difference(&members);
    found.extend(alone.map(|folder| format!("{folder}: a package outside the workspace is never tested")));
    Ok(found)
}

/// Each dependency of a package with what is written of it, those of one platform included.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    let platforms = table(manifest, "target").into_iter().flat_map(|targets| targets.values());
    let places = [manifest].into_iter().chain(platforms.filter_map(Value::as_table));
    let sections = places.flat_map(|place| SECTIONS.iter().filter_map(|section| table(place, section)));
    sections.flatten().map(|(name, dependency)| (name.clone(), dependency.clone())).collect()
}

fn folders(workspace: &Table) -> Vec<String> {
    let members = workspace.get("members").and_then(Value::as_array).into_iter().flatten();
    members.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn names(workspace: &Table) -> Vec<String> {
    table(workspace, "dependencies").into_iter().flat_map(Table::keys).cloned().collect()
}

fn table<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    table.get(key).and_then(Value::as_table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_the_root_and_each_has_a_user_and_packages_are_members() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.to_owned() };
        let files = [
            file(
                "Cargo.toml",
                "[workspace]\nmembers = [\"x\"]\n[workspace.dependencies]\na = \"1\"\nb = \"1\"\nc = \"1\"\n",
            ),
            file("x/Cargo.toml", "[dependencies]\na.workspace = true\n[dev-dependencies]\nd = \"2\"\n"),
            file(
                "y/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nc = { workspace = true }\ne = { path = \"e\" }\n",
            ),
        ];
        assert_eq!(
            check(&files).unwrap(),
            [
                "x/Cargo.toml: d has a version of its own; write `d.workspace = true`",
                "y/Cargo.toml: e has a version of its own; write `e.workspace = true`",
                "Cargo.toml: nothing uses b",
                "y: a package outside the workspace is never tested",
            ]
        );
    }
}
