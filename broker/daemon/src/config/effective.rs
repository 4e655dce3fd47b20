//! The configuration in effect: what all sources give together, and which of them gave what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::{Config, FileFormat, Value};
use fanfare_core::TopicRule;

use super::mistake::{ConfigError, Mistake};
use super::written::Written;
use super::{Settings, environment, file, keys};
use crate::cli::ServeFlags;

/// Where the sources stand.
const COLUMN: usize = 36;

/// The configuration in effect; it prints as a file that has the same effect, each value with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// What it sets.
    pub settings: Settings,
    rules: Vec<TopicRule>,
    /// Each key that is set, as a person counts, with what set it; the others have their defaults.
    sources: BTreeMap<String, String>,
}

/// What a source beside the file sets.
pub(super) struct Override {
    /// The key's path.
    pub(super) path: String,
    /// Its value, checked.
    pub(super) value: Value,
    /// What set it.
    pub(super) source: String,
}

impl Effective {
    /// Reads the sources as [`Settings::load`] does.
    pub fn load(
        flags: &ServeFlags,
        environment: impl Iterator<Item = (String, String)>,
        working_dir: &Path,
    ) -> Result<Effective, ConfigError> {
        let mut mistakes = Vec::new();
        let file = file::read(flags.config.as_deref(), working_dir, &mut mistakes).unwrap_or_default();
        let variables = environment::read(environment, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ConfigError { mistakes });
        }
        let mut sources = file.sources;
        let mut layers = Config::builder().add_source(config::File::from_str(&file.text, FileFormat::Toml));
        for Override { path, value, source } in variables.into_iter().chain(overrides(flags)) {
            layers = layers.set_override(&path, value).map_err(merge_mistake)?;
            sources.insert(path, source);
        }
        let merged = layers.build().map_err(merge_mistake)?;
        match merged.try_deserialize::<Written>().map_err(merge_mistake)?.settle() {
            Ok((settings, rules)) => Ok(Effective { settings, rules, sources }),
            Err(mut error) => {
                for Mistake { place, .. } in &mut error.mistakes {
                    let source = sources.get(place).map_or("default", String::as_str);
                    *place = format!("{place} ({source})");
                }
                Err(error)
            }
        }
    }

    /// Writes a line and what set the key; `shown` is its path, as a person counts.
    fn write(&self, f: &mut fmt::Formatter<'_>, shown: &str, line: &str) -> fmt::Result {
        let source = self.sources.get(shown).map_or("default", String::as_str);
        writeln!(f, "{line:<COLUMN$} # {source}")
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = "";
        for key in keys::all() {
            let Some(line) = key.line(&self.settings) else { continue };
            if key.section() != section {
                section = key.section();
                writeln!(f, "\n[{section}]")?;
            }
            self.write(f, key.path, &line)?;
        }
        for (index, rule) in self.rules.iter().enumerate() {
            writeln!(f, "\n[[topics]]")?;
            for key in keys::all() {
                let Some(line) = key.line_of_rule(rule) else { continue };
                self.write(f, &key.path.replacen("topics", &format!("topics[{index}]"), 1), &line)?;
            }
        }
        Ok(())
    }
}

/// What the flags set.
fn overrides(flags: &ServeFlags) -> Vec<Override> {
    let listen = flags.listen.map(|listen| ("listen", listen.to_string().into()));
    let workers = flags.workers.map(|workers| ("workers", u64::from(workers).into()));
    let insecure = flags.insecure.then(|| ("insecure", true.into()));
    let set = [listen, workers, insecure].into_iter().flatten();
    set.map(|(path, value)| Override { path: path.to_owned(), value, source: format!("flag --{path}") })
        .collect()
}

/// Unlikely, since each source was checked before; told as it comes.
fn merge_mistake(error: config::ConfigError) -> ConfigError {
    ConfigError::one("the configuration as a whole", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dir;
    use super::COLUMN;

    const FILE: &str = r#"
workers = 1
listen = "127.0.0.1:1"
origins = ["HTTPS://App.example:443"]
limits.topics = 1
limits.frame_bytes = 2_048

[drain]
delay = "90s"

[[topics]]
filter = "a\"b.>"
history = { count = 7 }
[[topics]]
filter = "logs.*"
on_slow = "drop"
"#;

    #[test]
    fn each_value_is_shown_with_its_source() {
        let environment = [("FANFARE__LIMITS__TOPICS", "2"), ("FANFARE__WORKERS", "2")];
        let effective = Dir::new(&[("fanfare.toml", FILE)]).effective(&environment, "--workers 3").unwrap();
        let shown = effective.to_string();
        let (shown, topics) = shown.split_once("\n[[topics]]").unwrap();
        for (line, source) in [
            ("listen = \"127.0.0.1:1\"", "file fanfare.toml:3"),
            ("workers = 3", "flag --workers"),
            ("heartbeat = \"25s\"", "default"),
            ("origins = [\"https://app.example\"]", "file fanfare.toml:4"),
            ("insecure = false", "default"),
            ("topics = 2", "variable FANFARE__LIMITS__TOPICS"),
            ("frame_bytes = \"2KiB\"", "file fanfare.toml:6"),
            ("numbering_ttl = \"1d\"", "default"),
            ("delay = \"1m 30s\"", "file fanfare.toml:9"),
        ] {
            let line = format!("{line:<COLUMN$} # {source}");
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in {shown}");
        }
        assert_eq!(
            topics.lines().map(|line| line.replace("  ", "").replace(" #", "#")).collect::<Vec<_>>(),
            [
                "",
                "filter = 'a\"b.>'# file fanfare.toml:12",
                "history.count = 7# file fanfare.toml:13",
                "history.age = \"5m\"# default",
                "on_slow = \"disconnect\"# default",
                "",
                "[[topics]]",
                "filter = \"logs.*\"# file fanfare.toml:15",
                "history.count = 100# default",
                "history.age = \"5m\"# default",
                "on_slow = \"drop\"# file fanfare.toml:16",
            ]
        );
    }

    #[test]
    fn what_is_shown_has_the_same_effect_as_a_file() {
        for (file, line) in [("", ""), (FILE, "--workers 3"), ("insecure = true", "--listen [::]:1")] {
            let effective = Dir::new(&[("fanfare.toml", file)]).effective(&[], line).unwrap();
            let again = Dir::new(&[("fanfare.toml", &effective.to_string())]).effective(&[], "").unwrap();
            assert_eq!(again.settings, effective.settings, "{effective}");
        }
    }
}
