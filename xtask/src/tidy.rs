//! What no compiler and no linter checks: how the repository as a whole is kept.

mod dependencies;
mod licenses;
mod links;
mod npm;
mod source;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Folders that hold what was built or fetched.
const NOT_OURS: &[&str] = &["target", "node_modules", "dist", "__pycache__"];

/// A text file of the repository.
pub(crate) struct File {
    /// Its path from the root.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

/// Checks the repository at `root`; the error lists everything that is untidy.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let mut found = source::check(&files);
    found.extend(dependencies::check(&files)?);
    found.extend(links::check(&files, |path| root.join(path).exists()));
    found.extend(licenses::check(root)?);
    found.extend(npm::check(&files)?);
    if !found.is_empty() {
        bail!("untidy:\n  {}", found.join("\n  "));
    }
    Ok(())
}

/// The folders of the packages of npm: the SDK's before that of the tests, which load it.
pub(crate) fn npm_packages(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(npm::packages(&files(root)?).map(Path::to_path_buf).collect())
}

impl File {
    /// True if the name ends in `.extension`.
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.extension() == Some(OsStr::new(extension))
    }
}

/// The text files of the repository, by their paths.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    collect(root, Path::new(""), &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reads the text files beneath `folder` that are looked at; hidden folders are not.
fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let at = root.join(folder);
    let entries = fs::read_dir(&at).with_context(|| format!("{} can't be listed", at.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let path = folder.join(&name);
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let kind = entry.file_type()?;
        if kind.is_dir() && !hidden && !NOT_OURS.iter().any(|other| name == *other) {
            collect(root, &path, files)?;
        } else if kind.is_file() && source::is_looked_at(&path) {
            let text = fs::read_to_string(entry.path());
            let text = text.with_context(|| format!("{} can't be read", path.display()))?;
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_looked_at_but_what_is_hidden_built_or_fetched() {
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}", std::process::id()));
        for path in [
            "README.md",
            "clients/rust/src/lib.rs",
            "clients/js/session.js",
            "clients/js/node_modules/a/a.js",
            "clients/js/dist/a.js",
            "clients/python/fanfare/session.py",
            "clients/python/fanfare/session.pyc",
            "clients/python/.venv/a.py",
            "target/debug/a.rs",
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        let mut files = Vec::new();
        collect(&root, Path::new(""), &mut files).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let mut paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        paths.sort();
        let expected = [
            "README.md",
            "clients/js/session.js",
            "clients/python/fanfare/session.py",
            "clients/rust/src/lib.rs",
        ];
        assert_eq!(paths, expected.map(Path::new));
    }
}
