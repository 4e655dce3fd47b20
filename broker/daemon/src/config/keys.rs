//! Every key by its dotted path, what it takes, and which is nearest to one that does not exist.

use super::limit_keys::LIMITS;
use super::value::Kind;

/// A key that takes a value.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// The dotted path; `topics.` stands before the keys of each `[[topics]]`.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
}

/// The longest that a part of the goodbye may take: an hour, in milliseconds.
const DRAIN_MS_MAX: u64 = 60 * 60 * 1_000;

/// The bounds of a topic's history age: a second to a year, in milliseconds.
const AGE_MS: (u64, u64) = (1_000, 365 * 24 * 60 * 60 * 1_000);

const KEYS: &[Key] = &[
    Key { path: "listen", kind: Kind::Address },
    Key { path: "workers", kind: Kind::Count(0..=1_024) },
    Key { path: "origins", kind: Kind::Origins },
    Key { path: "insecure", kind: Kind::Switch },
    Key { path: "topics.filter", kind: Kind::Filter },
    Key { path: "topics.history.count", kind: Kind::Count(0..=1_000_000) },
    Key { path: "topics.history.age", kind: Kind::Duration(AGE_MS.0..=AGE_MS.1) },
    Key { path: "topics.on_slow", kind: Kind::OnSlow },
    Key { path: "drain.delay", kind: Kind::Duration(0..=DRAIN_MS_MAX) },
    Key { path: "drain.spread", kind: Kind::Duration(0..=DRAIN_MS_MAX) },
    Key { path: "drain.reconnect", kind: Kind::Duration(0..=DRAIN_MS_MAX) },
];

/// The sections that a later version serves, each with what this one does in its place.
const SECTIONS_TO_COME: &[(&str, &str)] = &[
    ("backplane", "it is one node and keeps everything in memory; take the section out"),
    ("auth", "it has no keys and no tokens, everybody who reaches it is let in; take the section out"),
    ("tls", "it speaks plain HTTP, put a proxy that ends TLS in front of it; take the section out"),
];

/// Every key that this version serves.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(LIMITS.iter().map(|limit| &limit.key))
}

/// What the key at `path` takes, if it takes a value.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    let section = path.split('.').next().unwrap_or(path);
    if let Some((_, reason)) = SECTIONS_TO_COME.iter().find(|(name, _)| *name == section) {
        return Some(Kind::NotServed(reason));
    }
    all().find(|key| key.path == path).map(|key| key.kind.clone())
}

/// True if keys lie beneath `path`.
pub(super) fn is_section(path: &str) -> bool {
    all().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// What to say of a key that does not exist.
pub(super) fn unknown(path: &str, shown: &str) -> String {
    match nearest(path) {
        Some(near) => format!("{shown} is no key; did you mean {near}?"),
        None => format!("{shown} is no key; there are {}", siblings(path).join(", ")),
    }
}

/// The key or section that `path` was probably meant to be.
fn nearest(path: &str) -> Option<String> {
    let name = last(path);
    let by_distance = |candidate: &String| strsim::damerau_levenshtein(last(candidate), name);
    let near_enough = |candidate: &String| by_distance(candidate) <= (name.len() / 3).max(1);
    let beside = siblings(path).into_iter().filter(near_enough).min_by_key(by_distance);
    let elsewhere = || all().map(|key| key.path.to_owned()).filter(near_enough).min_by_key(by_distance);
    beside.or_else(elsewhere)
}

/// The keys and sections of the section that `path` is in.
fn siblings(path: &str) -> Vec<String> {
    let section = path.rsplit_once('.').map_or(String::new(), |(section, _)| format!("{section}."));
    let mut siblings: Vec<String> = all()
        .filter_map(|key| key.path.strip_prefix(&section))
        .map(|rest| format!("{section}{}", rest.split('.').next().unwrap_or(rest)))
        .collect();
    siblings.sort_unstable();
    siblings.dedup();
    siblings
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
