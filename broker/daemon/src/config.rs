//! What the broker is told before it starts: a file, variables of the environment, flags.
//!
//! Two steps: as written ([`written`]: all optional), then as meant ([`Settings`]: all present, checked).
//! Each source is checked alone, so that a mistake is told with its place; all mistakes are told at once.

mod environment;
mod file;
mod keys;
mod limit_keys;
mod meant;
mod mistake;
mod origin;
mod value;
mod written;

use std::net::SocketAddr;
use std::path::Path;

use config::{Config, FileFormat};
use fanfare_core::{Limits, TopicRules};

pub use self::mistake::{ConfigError, Mistake};
pub(crate) use self::value::parse_address;
use self::written::Written;
use crate::cli::ServeFlags;

/// Everything that a broker needs to know to start, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the broker listens.
    pub listen: SocketAddr,
    /// How many workers there are; 0 is one for each core.
    pub workers: usize,
    /// The web origins served besides the broker's own: lower case, no default port.
    pub origins: Vec<String>,
    /// True if everybody who reaches the broker may publish and subscribe.
    pub insecure: bool,
    /// What holds for which topics.
    pub rules: TopicRules,
    /// Every bound.
    pub limits: Limits,
    /// How the broker takes its leave.
    pub drain: Drain,
}

/// How the broker takes its leave of its sessions when it is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long HTTP is served on, with `/readyz` red, before the first session is told goodbye.
    pub delay_ms: u64,
    /// Over how long the sessions are closed, in paced batches.
    pub spread_ms: u64,
    /// The longest that a goodbye asks its client to wait before it comes back; each is told a random time.
    pub reconnect_ms: u64,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { delay_ms: 0, spread_ms: 10_000, reconnect_ms: 5_000 }
    }
}

impl Settings {
    /// The settings that the file, `environment` and `flags` give together; what comes later in this list wins.
    ///
    /// The file is the one that the flags name, else `fanfare.toml` in `working_dir` if there is one.
    pub fn load(
        flags: &ServeFlags,
        environment: impl Iterator<Item = (String, String)>,
        working_dir: &Path,
    ) -> Result<Settings, ConfigError> {
        let mut mistakes = Vec::new();
        let text = file::read(flags.config.as_deref(), working_dir, &mut mistakes);
        let overrides = environment::read(environment, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ConfigError { mistakes });
        }
        let mut layers = Config::builder();
        if let Some(text) = text {
            layers = layers.add_source(config::File::from_str(&text, FileFormat::Toml));
        }
        for (path, value) in overrides.into_iter().chain(flag_values(flags)) {
            layers = layers.set_override(path, value).map_err(merge_mistake)?;
        }
        let merged = layers.build().map_err(merge_mistake)?;
        merged.try_deserialize::<Written>().map_err(merge_mistake)?.settle()
    }
}

/// What the flags set, as if it stood in a file.
fn flag_values(flags: &ServeFlags) -> Vec<(String, config::Value)> {
    let mut values: Vec<(&str, config::Value)> = Vec::new();
    if let Some(listen) = flags.listen {
        values.push(("listen", listen.to_string().into()));
    }
    if let Some(workers) = flags.workers {
        values.push(("workers", u64::from(workers).into()));
    }
    if flags.insecure {
        values.push(("insecure", true.into()));
    }
    values.into_iter().map(|(path, value)| (path.to_owned(), value)).collect()
}

/// Unlikely, since each source was checked before; told as it comes.
fn merge_mistake(error: config::ConfigError) -> ConfigError {
    ConfigError::one("the configuration as a whole", error.to_string())
}

#[cfg(test)]
mod tests;
