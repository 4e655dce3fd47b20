//! What the broker is told before it starts: a file, variables of the environment, flags.
//!
//! Two steps: as written ([`written`]: all optional), then as meant ([`Settings`]: all present, checked).
//! Each source is checked alone, so that a mistake is told with its place; all mistakes are told at once.

mod effective;
mod environment;
mod example;
mod file;
mod keys;
mod limit_keys;
mod meant;
mod mistake;
mod origin;
mod setting_keys;
mod value;
mod written;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use fanfare_core::{Limits, TopicRules};

pub use self::effective::Effective;
pub use self::example::example;
pub use self::mistake::{ConfigError, Mistake};
pub(crate) use self::value::parse_address;
use crate::cli::ServeFlags;
use crate::redis::{Address, Tls, TlsFiles};

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
    /// What joins this broker with others.
    pub backplane: BackplaneSettings,
    /// What holds for which topics.
    pub rules: TopicRules,
    /// Every bound.
    pub limits: Limits,
    /// How the broker takes its leave.
    pub drain: Drain,
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
        Effective::load(flags, environment, working_dir).map(|effective| effective.settings)
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8900)),
            workers: 0,
            origins: Vec::new(),
            insecure: false,
            backplane: BackplaneSettings::default(),
            rules: TopicRules::default(),
            limits: Limits::default(),
            drain: Drain::default(),
        }
    }
}

/// What joins a broker with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackplaneSettings {
    /// The Redis by which nodes are joined; none: one node, everything in memory.
    pub redis: Option<Address>,
    /// The files that a connection over TLS needs.
    pub files: TlsFiles,
    /// What stands in every name on Redis.
    pub prefix: String,
}

impl BackplaneSettings {
    /// How TLS is spoken to Redis, if it is; else the key that stands against it, and why.
    pub(crate) fn tls(&self) -> Result<Option<Tls>, (&'static str, String)> {
        Tls::load(self.redis.as_ref(), &self.files)
    }
}

impl Default for BackplaneSettings {
    fn default() -> BackplaneSettings {
        BackplaneSettings { redis: None, files: TlsFiles::default(), prefix: "fanfare".to_owned() }
    }
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

#[cfg(test)]
mod tests;
