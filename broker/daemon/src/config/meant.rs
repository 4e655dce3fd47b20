//! From the configuration as written to the one as meant: defaults filled in, bounds held against each other.

use std::net::{Ipv4Addr, SocketAddr};

use fanfare_core::{HistoryRule, Limits, TopicRule, TopicRules};
use fanfare_protocol::OnSlow;

use super::limit_keys::LIMITS;
use super::mistake::{ConfigError, Mistake};
use super::origin::parse_origin;
use super::value::{Raw, parse_address, parse_filter, parse_on_slow, show_size};
use super::written::{DrainWritten, TopicWritten, Written};
use super::{Drain, Settings, keys};

/// Where the broker listens when it is told nothing.
const LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8900);

impl Written {
    /// The settings meant.
    pub(super) fn settle(self) -> Result<Settings, ConfigError> {
        let limits = self.limits()?;
        let drain = self.drain.settle()?;
        let listen = match &self.listen {
            Some(written) => parse_address(written).map_err(|reason| wrong("listen", written, &reason))?,
            None => SocketAddr::from(LISTEN),
        };
        let origins = self.origins.unwrap_or_default();
        let origins = origins
            .iter()
            .map(|origin| parse_origin(origin).map_err(|reason| wrong("origins", origin, &reason)))
            .collect::<Result<Vec<String>, ConfigError>>()?;
        let rules = self.topics.into_iter().map(TopicWritten::settle).collect::<Result<Vec<_>, _>>()?;
        let insecure = self.insecure.unwrap_or(false);
        let mistakes: Vec<Mistake> =
            exposed(listen, insecure).into_iter().chain(too_small(&limits)).collect();
        if !mistakes.is_empty() {
            return Err(ConfigError { mistakes });
        }
        let workers = self.workers.unwrap_or(0);
        Ok(Settings { listen, workers, origins, insecure, rules: TopicRules::new(rules), limits, drain })
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        for limit in LIMITS {
            let path = limit.key.path;
            let written = match path.strip_prefix("limits.") {
                Some(name) => self.limits.get(name),
                None => self.heartbeat.as_ref(),
            };
            let Some(written) = written else { continue };
            let number = limit.key.kind.number(written).map_err(|reason| wrong(path, written, &reason))?;
            (limit.set)(&mut limits, number);
        }
        Ok(limits)
    }
}

impl DrainWritten {
    fn settle(&self) -> Result<Drain, ConfigError> {
        let mut drain = Drain::default();
        for (path, written, meant) in [
            ("drain.delay", &self.delay, &mut drain.delay_ms),
            ("drain.spread", &self.spread, &mut drain.spread_ms),
            ("drain.reconnect", &self.reconnect, &mut drain.reconnect_ms),
        ] {
            if let Some(written) = written {
                *meant = number(path, written)?;
            }
        }
        Ok(drain)
    }
}

impl TopicWritten {
    fn settle(self) -> Result<TopicRule, ConfigError> {
        let filter =
            parse_filter(&self.filter).map_err(|reason| wrong("topics.filter", &self.filter, &reason))?;
        let on_slow = match &self.on_slow {
            Some(written) => {
                parse_on_slow(written).map_err(|reason| wrong("topics.on_slow", written, &reason))?
            }
            None => OnSlow::Disconnect,
        };
        let mut history = HistoryRule::default();
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
