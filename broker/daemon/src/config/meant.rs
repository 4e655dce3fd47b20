//! From the configuration as written to the one as meant: defaults filled in, bounds held against each other.

use std::net::SocketAddr;
use std::path::PathBuf;

use fanfare_core::{Limits, TopicRule, TopicRules};

use super::Settings;
use super::keys::{self, Kept};
use super::mistake::{ConfigError, Mistake};
use super::origin::parse_origin;
use super::value::{Raw, parse_address, parse_filter, parse_on_slow, parse_prefix, show_size};
use super::written::{BackplaneWritten, TopicWritten, Written};
use crate::redis::{Address, TlsFiles};

impl Written {
    /// The settings meant, and the rules for topics in them.
    pub(super) fn settle(self) -> Result<(Settings, Vec<TopicRule>), ConfigError> {
        let mut settings = Settings::default();
        for key in keys::all() {
            let Kept::Number { set, .. } = key.kept else { continue };
            if let Some(written) = self.number(key.path) {
                set(&mut settings, number(key.path, written)?);
            }
        }
        if let Some(written) = &self.listen {
            settings.listen = parse_address(written).map_err(|reason| wrong("listen", written, &reason))?;
        }
        for origin in &self.origins.unwrap_or_default() {
            let parsed = parse_origin(origin).map_err(|reason| wrong("origins", origin, &reason))?;
            settings.origins.push(parsed);
        }
        if let Some(written) = &self.backplane.redis {
            let parsed = Address::parse(written);
            settings.backplane.redis =
                Some(parsed.map_err(|reason| ConfigError::one("backplane.redis", reason))?);
        }
        settings.backplane.files = self.backplane.files();
        settings.backplane.tls().map_err(|(key, reason)| ConfigError::one(key, reason))?;
        if let Some(written) = &self.backplane.prefix {
            settings.backplane.prefix =
                parse_prefix(written).map_err(|reason| wrong("backplane.prefix", written, &reason))?;
        }
        if let Some(insecure) = self.insecure {
            settings.insecure = insecure;
        }
        let rules = self.topics.into_iter().map(TopicWritten::settle).collect::<Result<Vec<_>, _>>()?;
        settings.rules = TopicRules::new(rules.clone());
        let mistakes: Vec<Mistake> = exposed(settings.listen, settings.insecure)
            .into_iter()
            .chain(too_small(&settings.limits))
            .collect();
        if mistakes.is_empty() { Ok((settings, rules)) } else { Err(ConfigError { mistakes }) }
    }
}

impl BackplaneWritten {
    fn files(&self) -> TlsFiles {
        let path = |written: &Option<String>| written.as_ref().map(PathBuf::from);
        TlsFiles { ca: path(&self.ca), certificate: path(&self.certificate), key: path(&self.key) }
    }
}

impl TopicWritten {
    fn settle(self) -> Result<TopicRule, ConfigError> {
        let filter =
            parse_filter(&self.filter).map_err(|reason| wrong("topics.filter", &self.filter, &reason))?;
        let (mut history, mut on_slow) = TopicRules::default().rule_for(filter.as_str());
        if let Some(written) = &self.on_slow {
            on_slow = parse_on_slow(written).map_err(|reason| wrong("topics.on_slow", written, &reason))?;
        }
        if let Some(count) = self.history.count {
            history.count = count;
        }
        if let Some(age) = &self.history.age {
            history.age_ms = number("topics.history.age", age)?;
        }
        Ok(TopicRule { filter, history, on_slow })
    }
}

/// The number that `written` is for the key at `path`.
fn number(path: &str, written: &Raw) -> Result<u64, ConfigError> {
    let kind = keys::kind_of(path).expect("the table of keys has it");
    kind.number(written).map_err(|reason| wrong(path, written, &reason))
}

/// An address that others reach, while there is nothing that keeps anybody out.
fn exposed(listen: SocketAddr, insecure: bool) -> Option<Mistake> {
    let port = listen.port();
    let reason = format!(
        "{listen} is reached from other machines, and this version has no keys yet: pass --insecure (or set \
         insecure = true) if everybody who reaches {listen} may publish and subscribe, or listen on \
         127.0.0.1:{port}"
    );
    let alone = listen.ip().to_canonical().is_loopback() || insecure;
    (!alone).then(|| Mistake { place: "listen".to_owned(), reason })
}

/// Bounds that can't hold even one or two of the frames that another bound lets in.
fn too_small(limits: &Limits) -> impl Iterator<Item = Mistake> {
    let frame = limits.frame_bytes;
    let rows = [
        ("outbox_bytes", limits.outbox_bytes, 2, "twice "),
        ("inbox_bytes", limits.inbox_bytes, 2, "twice "),
        ("history_bytes", limits.history_bytes, 2, "twice "),
        ("batch_bytes", limits.batch_bytes, 1, ""),
    ];
    rows.into_iter().filter(move |(_, bytes, frames, _)| *bytes < frames * frame).map(
        move |(name, bytes, _, times)| Mistake {
            place: format!("limits.{name}"),
            reason: format!(
                "{} is too small: it must be at least {times}limits.frame_bytes, which is {}",
                show_size(bytes as u64),
                show_size(frame as u64)
            ),
        },
    )
}

fn wrong(path: &str, written: impl std::fmt::Display, reason: &str) -> ConfigError {
    ConfigError::one(path, format!("{written} {reason}"))
}
