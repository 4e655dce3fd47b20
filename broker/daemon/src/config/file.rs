//! The configuration file: found, read, and checked alone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys;
use super::mistake::Mistake;
use super::value::{Kind, Raw};

/// The file's name where none is given.
const NAME: &str = "fanfare.toml";

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct FileRead {
    /// All of it.
    pub(super) text: String,
    /// Each key that it sets, as a person counts, with its place.
    pub(super) sources: BTreeMap<String, String>,
}

/// The file, if there is one and it can be read; what is wrong with it joins `mistakes`.
pub(super) fn read(
    given: Option<&Path>,
    working_dir: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<FileRead> {
    let name = given.unwrap_or(Path::new(NAME));
    let place = name.display().to_string();
    match std::fs::read_to_string(working_dir.join(name)) {
        Ok(text) => {
            let sources = check(&place, &text, mistakes);
            Some(FileRead { text, sources })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && given.is_none() => None,
        Err(error) => {
            mistakes
                .push(Mistake { place, reason: format!("the configuration file can't be read: {error}") });
            None
        }
    }
}

/// The keys that are set, with their places.
fn check(place: &str, text: &str, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let start = error.span().map_or(text.len(), |span| span.start);
            let (line, column) = line_and_column(text, start);
            let shown = text.lines().nth(line - 1).unwrap_or_default().trim();
            // The rest of an address may hold a password.
            let shown =
                shown.split_once("://").map_or(shown.to_owned(), |(before, _)| format!("{before}://…"));
            let reason = format!("column {column} of {shown:?}: {}", error.message());
            mistakes.push(Mistake { place: format!("{place}:{line}"), reason });
            return BTreeMap::new();
        }
    };
    let mut check = Check { text, found: Vec::new(), set: Vec::new() };
    check.table("", "", table.get_ref());
    check.found.sort_by_key(|(line, _)| *line);
    let found = check.found.into_iter();
    mistakes.extend(found.map(|(line, reason)| Mistake { place: format!("{place}:{line}"), reason }));
    check.set.into_iter().map(|(shown, line)| (shown, format!("file {place}:{line}"))).collect()
}

/// A walk over a file's keys; `path` is the key's in the table of keys, `shown` as a person counts.
struct Check<'a> {
    text: &'a str,
    found: Vec<(usize, String)>,
    set: Vec<(String, usize)>,
}

impl Check<'_> {
    fn table(&mut self, path: &str, shown: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let (path, shown) = (join(path, key.get_ref()), join(shown, key.get_ref()));
            self.entry(&path, &shown, key.span().start, value);
        }
    }

    fn entry(&mut self, path: &str, shown: &str, start: usize, value: &Spanned<DeValue<'_>>) {
        if let Some(kind) = keys::kind_of(path) {
            let raw = raw(value.get_ref());
            if let Err(reason) = kind.check(&raw) {
                self.mistake(start, told(&kind, shown, &raw, &reason));
            }
            self.set.push((shown.to_owned(), line_and_column(self.text, start).0));
            return;
        }
        if keys::first_beneath(path).is_none() {
            self.mistake(start, keys::unknown(path, shown));
        } else if path == "topics" {
            match value.get_ref().as_array() {
                Some(rules) => self.topics(rules),
                None => self.mistake(start, "topics is a list: begin each entry with [[topics]]".to_owned()),
            }
        } else if let Some(table) = value.get_ref().as_table() {
            self.table(path, shown, table);
        } else {
            self.mistake(start, format!("{shown} is a section: write its keys beneath [{shown}]"));
        }
    }

    fn topics(&mut self, rules: &DeArray<'_>) {
        let mut filters: Vec<Option<&str>> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let shown = format!("topics[{index}]");
            let start = rule.span().start;
            let table = rule.get_ref().as_table();
            let filter = table.and_then(|table| table.get("filter"));
            let name = filter.and_then(|filter| filter.get_ref().as_str());
            match table {
                Some(table) => self.table("topics", &shown, table),
                None => self.mistake(start, format!("{shown} is no table: begin it with [[topics]]")),
            }
            if table.is_some() && filter.is_none() {
                self.mistake(start, format!("{shown} has no filter"));
            }
            if let Some(earlier) = filters.iter().position(|earlier| name.is_some() && *earlier == name) {
                self.mistake(start, format!("{shown} never counts: topics[{earlier}] has the same filter"));
            }
            filters.push(name);
        }
    }

    fn mistake(&mut self, start: usize, reason: String) {
        self.found.push((line_and_column(self.text, start).0, reason));
    }
}

fn told(kind: &Kind, shown: &str, raw: &Raw, reason: &str) -> String {
    match kind {
        Kind::NotServed(_) => format!("[{shown}] {reason}"),
        // It may hold a password.
        Kind::Redis => format!("{shown} {reason}"),
        Kind::Address
        | Kind::Switch
        | Kind::Origins
        | Kind::File
        | Kind::Prefix
        | Kind::Filter
        | Kind::OnSlow
        | Kind::Count(_)
        | Kind::Size(_)
        | Kind::Duration(_) => format!("{shown} = {raw} {reason}"),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Where the byte at `start` is, both from 1.
fn line_and_column(text: &str, start: usize) -> (usize, usize) {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Other(number.to_string()), Raw::Integer),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Array(values) => Raw::List(values.iter().map(|value| raw(value.get_ref())).collect()),
        DeValue::Float(number) => Raw::Other(number.to_string()),
        DeValue::Datetime(date) => Raw::Other(date.to_string()),
        DeValue::Table(_) => Raw::Other("{…}".to_owned()),
    }
}
