//! Dialogues with the broker, one behaviour each, frames as they are on the wire.
//!
//! A line with `=` sets a bound or rule, `>` is what happens, `<` is all that comes of it, in order. `UPDATE=1` rewrites
//! the `<` lines; read the difference before it is kept.

mod stage;

use std::path::{Path, PathBuf};
use std::{env, fs};

use self::stage::Stage;

#[test]
fn every_dialogue_is_held_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dialogues");
    let entries = fs::read_dir(&folder).expect("the folder is beside this file");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "there are dialogues");
    let mut differences = String::new();
    for path in &paths {
        let written = fs::read_to_string(path).unwrap();
        assert!(written.starts_with("# "), "{} begins with a sentence", path.display());
        let held = hold(&written);
        if held == written {
            continue;
        }
        if env::var_os("UPDATE").is_some() {
            fs::write(path, held).unwrap();
        } else {
            differences.push_str(&difference(path, &written, &held));
        }
    }
    assert!(differences.is_empty(), "{differences}\nUPDATE=1 rewrites what is expected");
}

/// The dialogue with what really comes of it.
fn hold(written: &str) -> String {
    let mut stage = Stage::default();
    let mut held = String::new();
    for line in written.lines().filter(|line| !line.starts_with('<')) {
        held.push_str(line);
        held.push('\n');
        if let Some(setting) = line.strip_prefix("= ") {
            stage.set(setting);
        } else if let Some(happening) = line.strip_prefix("> ") {
            for outcome in stage.play(happening) {
                held.push_str("< ");
                held.push_str(&outcome);
                held.push('\n');
            }
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?} is no line of a dialogue");
        }
    }
    held
}

/// The first lines that differ.
fn difference(path: &Path, written: &str, held: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let same = written.lines().zip(held.lines()).take_while(|(left, right)| left == right).count();
    let part =
        |text: &str| text.lines().skip(same.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n  ");
    format!("\n{name}, line {}: expected\n  {}\nheld\n  {}\n", same + 1, part(written), part(held))
}
