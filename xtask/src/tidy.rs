//! What no compiler and no linter checks: how the repository as a whole is kept.

mod dependencies;
mod licenses;
mod links;
mod source;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Folders that hold what was built or fetched.
const NOT_OURS: &[&str] = &["target", "node_modules"];

/// A text file of the repository.
pub(crate) struct File {
    /// Its path from the root.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

/// Checks the repository at `root`; the error lists everything that is untidy.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(root, Path::new(""), &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut found = source::check(&files);
    found.extend(dependencies::check(&files)?);
    found.extend(links::check(&files, |path| root.join(path).exists()));
    found.extend(licenses::check(root)?);
    if !found.is_empty() {
        bail!("untidy:\n  {}", found.join("\n  "));
    }
    Ok(())
}

impl File {
    /// True if the name ends in `.extension`.
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.extension() == Some(OsStr::new(extension))
    }
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
