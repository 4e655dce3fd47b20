//! Variables of the environment: `FANFARE__SECTION__KEY`, checked one by one.

use super::effective::Override;
use super::keys;
use super::mistake::Mistake;
use super::value::{Kind, Raw};

const PREFIX: &str = "FANFARE__";

/// What the variables set; what is wrong with them joins `mistakes`.
pub(super) fn read(
    variables: impl Iterator<Item = (String, String)>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Override> {
    let mut set = Vec::new();
    let mut wrong = Vec::new();
    for (name, written) in variables {
        match read_one(&name, &written) {
            Ok(found) => set.extend(found),
            Err(reason) => wrong.push(Mistake { place: name, reason }),
        }
    }
    // The environment has no order of its own.
    wrong.sort_by(|a, b| a.place.cmp(&b.place));
    mistakes.append(&mut wrong);
    set
}

fn read_one(name: &str, written: &str) -> Result<Option<Override>, String> {
    let Some(key) = name.strip_prefix(PREFIX) else {
        return match misspelt(name) {
            Some(meant) => Err(format!("is not read: two underscores part the words, {meant}")),
            None => Ok(None),
        };
    };
    let path = key.to_ascii_lowercase().replace("__", ".");
    if path == "topics" || path.starts_with("topics.") {
        return Err("rules for topics can only be written in a file".to_owned());
    }
    let Some(kind) = keys::kind_of(&path) else {
        if let Some(key) = keys::first_beneath(&path) {
            return Err(format!("{path} is a section: set its keys, such as {}", variable(key.path)));
        }
        return Err(keys::unknown(&path, &path));
    };
    if let Kind::NotServed(_) = kind {
        let section = path.split('.').next().unwrap_or(&path);
        return kind
            .check(&Raw::Other(String::new()))
            .map(|()| None)
            .map_err(|reason| format!("[{section}] {reason}"));
    }
    let raw = kind.read_variable(written);
    let may_hold_password = matches!(kind, Kind::Redis);
    kind.check(&raw)
        .map_err(|reason| if may_hold_password { reason } else { format!("{written:?} {reason}") })?;
    Ok(Some(Override { path, value: value(raw), source: format!("variable {name}") }))
}

/// The variable meant by one that parts its words with single underscores.
///
/// Only the exact names of keys count: an orchestrator sets `FANFARE_PORT` and the like on its own.
fn misspelt(name: &str) -> Option<String> {
    let words = name.strip_prefix("FANFARE_")?;
    let key = keys::all().find(|key| key.path.to_ascii_uppercase().replace('.', "_") == words)?;
    Some(variable(key.path))
}

/// The variable that sets the key at `path`.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}

fn value(raw: Raw) -> config::Value {
    match raw {
        Raw::Boolean(value) => value.into(),
        Raw::Integer(number) => number.into(),
        Raw::Text(text) => text.into(),
        Raw::List(values) => values.into_iter().map(value).collect::<Vec<_>>().into(),
        Raw::Other(shown) => shown.into(),
    }
}
