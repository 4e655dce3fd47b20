//! The configuration as written: all sources merged, everything optional, nothing unknown.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::Raw;

/// What the sources say together.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The address to listen on.
    pub(super) listen: Option<String>,
    /// The number of workers.
    pub(super) workers: Option<Raw>,
    /// The time between two pings.
    pub(super) heartbeat: Option<Raw>,
    /// The web origins served.
    pub(super) origins: Option<Vec<String>>,
    /// Consent to serve everybody.
    pub(super) insecure: Option<bool>,
    /// What joins nodes.
    #[serde(default)]
    pub(super) backplane: BackplaneWritten,
    /// The rules in order.
    #[serde(default)]
    pub(super) topics: Vec<TopicWritten>,
    /// The bounds by name.
    #[serde(default)]
    pub(super) limits: BTreeMap<String, Raw>,
    /// The goodbye's numbers by name.
    #[serde(default)]
    pub(super) drain: BTreeMap<String, Raw>,
}

impl Written {
    /// What is written for the number at `path`.
    pub(super) fn number(&self, path: &str) -> Option<&Raw> {
        match path.split_once('.') {
            Some(("limits", name)) => self.limits.get(name),
            Some(("drain", name)) => self.drain.get(name),
            Some(_) => None,
            None if path == "workers" => self.workers.as_ref(),
            None => self.heartbeat.as_ref(),
        }
    }
}

/// The `[backplane]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackplaneWritten {
    /// Where the Redis is.
    pub(super) redis: Option<String>,
    /// Who vouches for it.
    pub(super) ca: Option<String>,
    /// What it is shown.
    pub(super) certificate: Option<String>,
    /// What proves that.
    pub(super) key: Option<String>,
    /// What stands in every name there.
    pub(super) prefix: Option<String>,
}

/// One `[[topics]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicWritten {
    /// The topics meant.
    pub(super) filter: String,
    /// How much is kept.
    #[serde(default)]
    pub(super) history: HistoryWritten,
    /// What happens to the slow.
    pub(super) on_slow: Option<String>,
}

/// The `history` of a `[[topics]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryWritten {
    /// The most messages.
    pub(super) count: Option<usize>,
    /// The oldest.
    pub(super) age: Option<Raw>,
}
