//! Source files: how long they are, and what they must not call.

use std::path::Path;

use super::File;

/// What counts as source, by the end of the name.
const SOURCES: &[&str] = &["rs", "js", "mjs", "cjs", "ts", "html", "css", "py", "sh"];
/// What is read beside it.
const OTHERS: &[&str] = &["md", "toml", "json"];

const LINES_MAX: usize = 400;

/// What source must not say, by the end of its name, and why. In two parts, so that this file does not say it.
const FORBIDDEN: &[(&[&str], &[&str], &str)] = &[
    (RUST, &[concat!("to", "do!"), concat!("unimplemented", "!")], "what is committed is finished"),
    (RUST, &[concat!("#[", "ignore")], "a test runs or does not exist"),
    (RUST, &[concat!("thread::", "sleep")], "wait for the event, not for a time"),
    (RUST, &[concat!("unbounded_", "channel"), concat!("mpsc::channel", "()")], "every queue has a bound"),
    (
        JAVASCRIPT,
        &["test.skip(", "it.skip(", "describe.skip(", "test.todo("],
        "a test runs or does not exist",
    ),
    (JAVASCRIPT, &["test.only(", "it.only(", "describe.only("], "all tests run"),
    (JAVASCRIPT, &["debugger;"], "what is committed is finished"),
    (PYTHON, &["mark.skip", "unittest.skip", "pytest.skip("], "a test runs or does not exist"),
    (PYTHON, &["breakpoint()"], "what is committed is finished"),
    (PYTHON, &["time.sleep("], "wait for the event, not for a time"),
];

const RUST: &[&str] = &["rs"];
const JAVASCRIPT: &[&str] = &["js", "mjs", "cjs", "ts", "html"];
const PYTHON: &[&str] = &["py"];

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
    let here = FORBIDDEN.iter().filter(|(extensions, ..)| extensions.iter().any(|end| file.is(end)));
    let words: Vec<(&str, &str)> =
        here.flat_map(|(_, words, why)| words.iter().map(move |word| (*word, *why))).collect();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for (word, why) in words.iter().filter(|(word, _)| line.contains(word)) {
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
    fn forbidden_words_are_told_with_their_line_in_the_language_that_has_them() {
        let text = "a\n  thread::".to_owned() + "sleep(x);\nit.only(1);\ntime.sleep(1)\n";
        let told = |path: &str| check(&[file(path, text.clone())]);
        let rust = ["a.rs:2: thread::".to_owned() + "sleep: wait for the event, not for a time"];
        assert_eq!(told("a.rs"), rust);
        assert_eq!(told("a.ts"), ["a.ts:3: it.only(: all tests run"]);
        assert_eq!(told("a.py"), ["a.py:4: time.sleep(: wait for the event, not for a time"]);
        assert_eq!(told("a.css"), Vec::<String>::new());
    }
}
