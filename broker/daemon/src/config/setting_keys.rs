//! The keys beside the limits: those of no section, `[drain]`, and those of each `[[topics]]`.

use std::ops::RangeInclusive;

use fanfare_core::WORKERS_MAX;
use toml::Value;

use super::keys::{Kept, Key, number};
use super::limit_keys::{DAY, HOUR, PATIENCE, SECOND};
use super::value::{Kind, show_duration};

/// The keys of no section.
pub(super) const PLAIN: &[Key] = &[
    Key {
        path: "listen",
        kind: Kind::Address,
        about: "Address and port to listen on; also --listen. Beyond this machine it needs insecure.",
        kept: Kept::Setting(|settings| settings.listen.to_string().into()),
    },
    number!(
        "workers",
        workers: usize,
        Kind::Count(0..=WORKERS_MAX as u64),
        "Threads that serve connections, 0 for one on each core; also --workers."
    ),
    number!(
        "heartbeat",
        limits.heartbeat_ms: u64,
        Kind::Duration(PATIENCE),
        "Time between two pings. A session that is silent for twice that is closed."
    ),
    Key {
        path: "origins",
        kind: Kind::Origins,
        about: "Web origins that may call besides the broker's own page, as in [\"https://app.example\"]: scheme, host \
                and port, each written out, no wildcards.",
        kept: Kept::Setting(|settings| settings.origins.clone().into()),
    },
    Key {
        path: "insecure",
        kind: Kind::Switch,
        about: "Consent to listen beyond this machine although everybody who reaches the broker may publish and \
                subscribe; also --insecure.",
        kept: Kept::Setting(|settings| settings.insecure.into()),
    },
];

/// The row of a key whose value is the path of a file, and is kept in the named field of the backplane's files.
macro_rules! file {
    ($path:literal, $field:ident, $example:literal, $about:literal) => {
        Key {
            path: $path,
            kind: Kind::File,
            about: $about,
            kept: Kept::Optional(
                |settings| Some(settings.backplane.files.$field.as_ref()?.display().to_string().into()),
                $example,
            ),
        }
    };
}

/// The keys of `[backplane]`.
pub(super) const BACKPLANE: &[Key] = &[
    Key {
        path: "backplane.redis",
        kind: Kind::Redis,
        about: "The Redis, 7 or later, by which nodes are joined; rediss:// speaks TLS. Without it the broker is one node \
                and keeps everything in memory.",
        kept: Kept::Optional(
            |settings| Some(settings.backplane.redis.as_ref()?.to_string().into()),
            "redis://user:password@127.0.0.1:6379",
        ),
    },
    file!(
        "backplane.ca",
        ca,
        "/etc/fanfare/redis-ca.pem",
        "The authorities that vouch for the certificate of a rediss:// address, as a PEM file; without it those of the \
         system. All files are read when the broker starts."
    ),
    file!(
        "backplane.certificate",
        certificate,
        "/etc/fanfare/redis-client.pem",
        "The certificate that this node shows to Redis, as a PEM file with its chain; needed where Redis has \
         tls-auth-clients yes, as by default."
    ),
    file!(
        "backplane.key",
        key,
        "/etc/fanfare/redis-client.key",
        "The private key of that certificate, as a PEM file."
    ),
    Key {
        path: "backplane.prefix",
        kind: Kind::Prefix,
        about: "What stands in every name on Redis: brokers with the same prefix are one, others on the same Redis do \
                not meet them.",
        kept: Kept::Setting(|settings| settings.backplane.prefix.as_str().into()),
    },
];

/// How long a part of the goodbye may take.
const GOODBYE: RangeInclusive<u64> = 0..=HOUR;

/// The keys of `[drain]`.
pub(super) const DRAIN: &[Key] = &[
    number!(
        "drain.delay",
        drain.delay_ms: u64,
        Kind::Duration(GOODBYE),
        "After SIGTERM: how long requests and open sessions are served on, with /readyz red so that a load balancer \
         turns away, before the first session is told goodbye."
    ),
    number!(
        "drain.spread",
        drain.spread_ms: u64,
        Kind::Duration(GOODBYE),
        "Over how long sessions are closed, in paced batches, so that they do not all come back at once."
    ),
    number!(
        "drain.reconnect",
        drain.reconnect_ms: u64,
        Kind::Duration(GOODBYE),
        "Each goodbye tells its client to come back after a random time up to this."
    ),
];

/// The bounds of a topic's history age.
const AGE: RangeInclusive<u64> = SECOND..=365 * DAY;

/// The keys of each `[[topics]]`.
pub(super) const TOPICS: &[Key] = &[
    Key {
        path: "topics.filter",
        kind: Kind::Filter,
        about: "The topics that the rule is for: a name such as orders.eu, or one with wildcards, where * is one segment \
                and > one or more at the end.",
        kept: Kept::Topic(|rule| rule.filter.as_str().into()),
    },
    Key {
        path: "topics.history.count",
        kind: Kind::Count(0..=1_000_000),
        about: "How many messages of each topic are kept, the newest; 0 keeps none.",
        kept: Kept::Topic(|rule| Value::Integer(rule.history.count as i64)),
    },
    Key {
        path: "topics.history.age",
        kind: Kind::Duration(AGE),
        about: "How long a message is kept at most.",
        kept: Kept::Topic(|rule| show_duration(rule.history.age_ms).into()),
    },
    Key {
        path: "topics.on_slow",
        kind: Kind::OnSlow,
        about: "What happens to a subscriber that can't keep up: \"disconnect\" it and let it resume, \"drop\" the \
                oldest and tell a gap, or keep only the \"latest\" of each topic.",
        kept: Kept::Topic(|rule| rule.on_slow.as_str().into()),
    },
];
