//! Links in the documents: what they point to in the repository is there.

use std::path::{Component, Path, PathBuf};

use super::File;

/// The links among `files` that lead nowhere; `exists` knows paths from the root.
pub(super) fn check(files: &[File], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        for (number, target) in links(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or(target);
            let folder = if path.starts_with('/') {
                Path::new("")
            } else {
                file.path.parent().unwrap_or(Path::new(""))
            };
            let there = resolve(&folder.join(path.trim_start_matches('/'))).is_some_and(|path| exists(&path));
            if !path.is_empty() && !there {
                found.push(format!("{}:{number}: nothing is at {target}", file.path.display()));
            }
        }
    }
    found
}

/// The targets of the links to files, with their lines; code is no link.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        // Every second part stands between backticks.
        let inline = line.split('`').step_by(2).flat_map(|part| part.split("](").skip(1));
        let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
        let reference =
            line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
        let targets = inline.chain(reference);
        found.extend(targets.filter(|target| is_path(target)).map(|target| (number, target)));
    }
    found
}

fn is_path(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// The path without `.` and `..`; none if it leaves the repository.
fn resolve(path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_lead_somewhere() {
        let text = "[a](b.md) [c](../x.md#top) [d](#here) [e](https://example.org/z)\n\
                    [f](gone.md) ![g](/docs/b.md)\n\
                    ```\n[h](gone.md)\n```\n\
                    `[i](gone.md)` [j](../../out.md)\n\
                    [k]: gone/k.md\n";
        let file = File { path: "docs/a.md".into(), text: text.to_owned() };
        let there = [Path::new("docs/b.md"), Path::new("x.md")];
        assert_eq!(
            check(&[file], |path| there.contains(&path)),
            [
                "docs/a.md:2: nothing is at gone.md",
                "docs/a.md:6: nothing is at ../../out.md",
                "docs/a.md:7: nothing is at gone/k.md",
            ]
        );
    }
}
