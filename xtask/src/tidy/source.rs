//! Source files: how long they are, and what they must not call.

use std::path::Path;

use super::File;

/// What counts as source, by the end of the name.
const SOURCES: &[&str] = &["rs", "js", "mjs", "ts", "html", "css", "py", "sh"];
/// What is read beside it.
const OTHERS: &[&str] = &["md", "toml"];

const LINES_MAX: usize = 400;

/// What Rust code must not say, and why. In two parts, so that this file does not say it.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("to", "do!"), "what is committed is finished"),
    (concat!("unimplemented", "!"), "what is committed is finished"),
    (concat!("#[", "ignore"), "a test runs or does not exist"),
    (concat!("thread::", "sleep"), "wait for the event, not for a time"),
    (concat!("unbounded_", "channel"), "every queue has a bound"),
    (concat!("mpsc::channel", "()"), "every queue has a bound"),
];

/// True if the file is read at all.
pub(super) fn is_looked_at(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| SOURCES.contains(&extension) || OTHERS.contains(&extension))
}

/// What is wrong with the sources.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let sources = files.iter().filter(|file| SOURCES.iter().any(|extension| file.is(extension)));
    sources.flat_map(|file| too_long(file).into_iter().chain(forbidden(file))).collect()
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LINES_MAX).then(|| format!("{}: {lines} lines, the limit is {LINES_MAX}", file.path.display()))
}

fn forbidden(file: &File) -> Vec<String> {
    if !file.is("rs") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for (word, why) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
            found.push(format!("{}:{number}: {word}: {why}", file.path.display()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: String) -> File {
        File { path: path.into(), text }
    }

    #[test]
    fn a_file_of_400_lines_is_the_longest() {
        let files = [
            file("a.rs", "\n".repeat(400)),
            file("b.css", "\n".repeat(401)),
            file("c.md", "\n".repeat(9_000)),
        ];
        assert_eq!(check(&files), ["b.css: 401 lines, the limit is 400"]);
    }

    #[test]
    fn forbidden_words_are_told_with_their_line() {
        let text = format!("fn a() {{\n    std::{}(x);\n}}\n", FORBIDDEN[3].0);
        assert_eq!(check(&[file("a.js", text.clone())]), Vec::<String>::new());
        let told = format!("a.rs:2: {}: wait for the event, not for a time", FORBIDDEN[3].0);
        assert_eq!(check(&[file("a.rs", text)]), [told]);
    }
}
