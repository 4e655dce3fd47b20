//! Every key by its dotted path: what it takes, what it is, and which is nearest to one that does not exist.

use fanfare_core::TopicRule;
use toml::Value;

use super::Settings;
use super::limit_keys::LIMITS;
use super::setting_keys::{BACKPLANE, DRAIN, PLAIN, TOPICS};
use super::value::Kind;

/// A key that takes a value.
#[derive(Debug)]
pub(super) struct Key {
    /// The dotted path; `topics.` stands before the keys of each `[[topics]]`.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What it is, in a sentence or two; the bounds are told by the kind.
    pub(super) about: &'static str,
    /// Where its value is kept.
    pub(super) kept: Kept,
}

/// Where the value of a key is kept once it is checked.
#[derive(Debug)]
pub(super) enum Kept {
    /// In the settings.
    Setting(fn(&Settings) -> Value),
    /// In the settings, where there may be nothing; then the value shown is one that could stand there.
    Optional(fn(&Settings) -> Option<Value>, &'static str),
    /// In the settings, as a number.
    Number {
        /// Puts the number in its place; it lies in the key's range, and so fits.
        set: fn(&mut Settings, u64),
        /// What stands there.
        value: fn(&Settings) -> u64,
    },
    /// In each rule for topics.
    Topic(fn(&TopicRule) -> Value),
}

impl Key {
    /// The section that it stands in, empty if in none.
    pub(super) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The line that sets it to what it is in the settings; none if it is not set, or is a key of `[[topics]]`.
    pub(super) fn line(&self, settings: &Settings) -> Option<String> {
        match self.kept {
            Kept::Setting(value) => Some(self.assign(&value(settings))),
            Kept::Optional(value, _) => value(settings).map(|value| self.assign(&value)),
            Kept::Number { value, .. } => Some(self.assign(&self.kind.write(value(settings)))),
            Kept::Topic(_) => None,
        }
    }

    /// The line that sets it to what it is in a rule for topics; none for any other key.
    pub(super) fn line_of_rule(&self, rule: &TopicRule) -> Option<String> {
        match self.kept {
            Kept::Topic(value) => Some(self.assign(&value(rule))),
            Kept::Setting(_) | Kept::Optional(..) | Kept::Number { .. } => None,
        }
    }

    /// The line that could set it, where nothing does.
    pub(super) fn line_of_nothing(&self, settings: &Settings) -> Option<String> {
        match self.kept {
            Kept::Optional(value, example) if value(settings).is_none() => Some(self.assign(&example.into())),
            Kept::Optional(..) | Kept::Setting(_) | Kept::Number { .. } | Kept::Topic(_) => None,
        }
    }

    fn assign(&self, value: &Value) -> String {
        let name = self.path.split_once('.').map_or(self.path, |(_, name)| name);
        format!("{name} = {value}")
    }
}

/// The row of a key whose value is a number and is kept in the named field of [`Settings`].
macro_rules! number {
    ($path:literal, $($field:ident).+ : $type:ty, $kind:expr, $about:literal) => {
        $crate::config::keys::Key {
            path: $path,
            kind: $kind,
            about: $about,
            kept: $crate::config::keys::Kept::Number {
                set: |settings, number| settings.$($field).+ = number as $type,
                value: |settings| settings.$($field).+ as u64,
            },
        }
    };
}
pub(super) use number;

/// The sections that a later version serves, each with what this one does in its place.
const SECTIONS_TO_COME: &[(&str, &str)] = &[
    ("auth", "it has no keys and no tokens, everybody who reaches it is let in; take the section out"),
    ("tls", "it speaks plain HTTP, put a proxy that ends TLS in front of it; take the section out"),
];

/// Every key that this version serves, as they stand in a file: a section's keys together, those of none first.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    [PLAIN, BACKPLANE, LIMITS, DRAIN, TOPICS].into_iter().flatten()
}

/// What the key at `path` takes, if it takes a value.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    let section = path.split('.').next().unwrap_or(path);
    if let Some((_, reason)) = SECTIONS_TO_COME.iter().find(|(name, _)| *name == section) {
        return Some(Kind::NotServed(reason));
    }
    all().find(|key| key.path == path).map(|key| key.kind.clone())
}

/// A key that lies beneath `path`, if that is a section.
pub(super) fn first_beneath(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers among the settings with their values, as they print.
    fn fields(settings: &Settings) -> Vec<(String, String)> {
        let printed = format!("workers: {}, {:?}, {:?}", settings.workers, settings.limits, settings.drain);
        let bare = printed.replace("Limits {", "").replace("Drain {", "").replace('}', "");
        let pairs = bare.split(',').filter_map(|field| field.trim().split_once(": "));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The key's own name, with the unit that its field has.
    fn field_name(key: &Key) -> String {
        let name = last(key.path);
        if matches!(key.kind, Kind::Duration(_)) { format!("{name}_ms") } else { name.to_owned() }
    }

    #[test]
    fn every_number_has_a_key_and_every_key_sets_the_field_of_its_name() {
        let default = fields(&Settings::default());
        let mut named: Vec<String> = default.iter().map(|(name, _)| name.clone()).collect();
        let mut keyed = Vec::new();
        for key in all() {
            let Kept::Number { set, value } = key.kept else { continue };
            let mut settings = Settings::default();
            set(&mut settings, 31);
            assert_eq!(value(&settings), 31, "{}", key.path);
            let changed: Vec<(String, String)> =
                fields(&settings).into_iter().filter(|field| !default.contains(field)).collect();
            assert_eq!(changed, [(field_name(key), "31".to_owned())]);
            keyed.push(field_name(key));
        }
        keyed.sort();
        named.sort();
        assert_eq!(keyed, named);
    }

    #[test]
    fn every_default_lies_in_its_range() {
        for key in all() {
            let Kept::Number { value, .. } = key.kept else { continue };
            let (Kind::Count(range) | Kind::Size(range) | Kind::Duration(range)) = &key.kind else {
                panic!("{} is no number", key.path);
            };
            assert!(range.contains(&value(&Settings::default())), "{}", key.path);
        }
    }

    #[test]
    fn every_key_is_explained_in_one_or_two_whole_sentences() {
        for Key { path, about, .. } in all() {
            assert!(about.ends_with('.') && about.len() > 20, "{path}: {about}");
            assert!(about.len() <= 190, "{path} is explained in {} bytes", about.len());
            assert!(about.is_ascii() && !about.contains("  "), "{path}: {about}");
            assert!(about.starts_with(|c: char| c.is_ascii_uppercase()), "{path}: {about}");
        }
    }
}
