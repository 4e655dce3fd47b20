use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser as _;
use fanfare_core::{HistoryRule, TopicRule};
use fanfare_protocol::{Filter, OnSlow};

use super::*;
use crate::cli::{Arguments, Command};

/// A directory of its own for one test, gone at its end.
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn new(files: &[(&str, &str)]) -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fanfare-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        for (name, text) in files {
            std::fs::write(dir.join(name), text).unwrap();
        }
        Dir(dir)
    }

    pub(super) fn effective(&self, environment: &[(&str, &str)], line: &str) -> Result<Effective, String> {
        let words = ["fanfare"].into_iter().chain(line.split_whitespace());
        let command = Arguments::try_parse_from(words).unwrap().into_command();
        let Command::Serve(flags) = command else { panic!("{command:?}") };
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Effective::load(&flags, environment, &self.0).map_err(|error| error.to_string())
    }

    fn load(&self, environment: &[(&str, &str)], line: &str) -> Result<Settings, String> {
        self.effective(environment, line).map(|effective| effective.settings)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn load(file: &str, environment: &[(&str, &str)], line: &str) -> Result<Settings, String> {
    Dir::new(&[("fanfare.toml", file)]).load(environment, line)
}

#[test]
fn nothing_written_gives_the_defaults() {
    let expected = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 8900)),
        workers: 0,
        origins: Vec::new(),
        insecure: false,
        backplane: BackplaneSettings {
            redis: None,
            files: TlsFiles::default(),
            prefix: "fanfare".to_owned(),
        },
        rules: TopicRules::default(),
        limits: Limits::default(),
        drain: Drain { delay_ms: 0, spread_ms: 10_000, reconnect_ms: 5_000 },
    };
    assert_eq!(Dir::new(&[]).load(&[("HOME", "/")], ""), Ok(expected.clone()));
    assert_eq!(load("", &[("FANFARE_PORT", "tcp://10.0.0.1:8900")], ""), Ok(expected));
}

#[test]
fn everything_that_can_be_written_is_read() {
    let file = r#"
        listen = "0.0.0.0:9000"
        insecure = true
        workers = 3
        heartbeat = "10s"
        origins = ["https://App.example:443", "http://127.0.0.1:5173"]
        [[topics]]
        filter = "prices.>"
        history = { count = 1, age = "1h" }
        on_slow = "latest"
        [[topics]]
        filter = "logs.*"
        history.count = 0
        on_slow = "drop"
        [limits]
        frame_bytes = "128KiB"
        batch_bytes = 2097152
        publish_wait = "0s"
        numbering_ttl = "1h 30m"
        subscriptions = 5
        [backplane]
        redis = "redis://me:secret@10.0.0.1/2"
        prefix = "a.b"
        [drain]
        delay = "5s"
        spread = "0s"
        reconnect = "1m"
    "#;
    let rule = |filter: &str, count, age_ms, on_slow| TopicRule {
        filter: Filter::parse(filter).unwrap(),
        history: HistoryRule { count, age_ms },
        on_slow,
    };
    let expected = Settings {
        listen: SocketAddr::from(([0, 0, 0, 0], 9000)),
        workers: 3,
        origins: vec!["https://app.example".to_owned(), "http://127.0.0.1:5173".to_owned()],
        insecure: true,
        backplane: BackplaneSettings {
            redis: Some(Address::parse("redis://me:secret@10.0.0.1/2").unwrap()),
            files: TlsFiles::default(),
            prefix: "a.b".to_owned(),
        },
        rules: TopicRules::new(vec![
            rule("prices.>", 1, 3_600_000, OnSlow::Latest),
            rule("logs.*", 0, 300_000, OnSlow::Drop),
        ]),
        limits: Limits {
            heartbeat_ms: 10_000,
            frame_bytes: 128 * 1024,
            batch_bytes: 2 * 1024 * 1024,
            publish_wait_ms: 0,
            numbering_ttl_ms: 5_400_000,
            subscriptions: 5,
            ..Limits::default()
        },
        drain: Drain { delay_ms: 5_000, spread_ms: 0, reconnect_ms: 60_000 },
    };
    assert_eq!(load(file, &[], ""), Ok(expected));
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let file = "workers = 1\nlisten = \"127.0.0.1:1\"\nheartbeat = \"1s\"\n[limits]\ntopics = 1\nholes = 1\n";
    let environment = [
        ("FANFARE__WORKERS", "2"),
        ("FANFARE__LISTEN", "127.0.0.1:2"),
        ("FANFARE__LIMITS__TOPICS", "2"),
        ("FANFARE__LIMITS__FRAME_BYTES", "32KiB"),
        ("FANFARE__LIMITS__OUTBOX_BYTES", "131072"),
        ("FANFARE__ORIGINS", "https://a.example, https://b.example"),
        ("FANFARE__INSECURE", "true"),
    ];
    let settings = load(file, &environment, "--listen 127.0.0.1:3").unwrap();
    assert_eq!((settings.listen.port(), settings.workers, settings.insecure), (3, 2, true));
    assert_eq!(settings.origins, ["https://a.example", "https://b.example"]);
    let limits = Limits {
        topics: 2,
        holes: 1,
        frame_bytes: 32 * 1024,
        outbox_bytes: 128 * 1024,
        heartbeat_ms: 1_000,
        ..Limits::default()
    };
    assert_eq!(settings.limits, limits);
}

#[test]
fn the_file_given_is_read_and_not_the_one_that_lies_there() {
    let dir = Dir::new(&[("fanfare.toml", "workers = 1"), ("other.toml", "workers = 2")]);
    assert_eq!(dir.load(&[], "").unwrap().workers, 1);
    assert_eq!(dir.load(&[], "--config other.toml").unwrap().workers, 2);
    let error = dir.load(&[], "--config missing.toml").unwrap_err();
    assert!(error.starts_with("missing.toml: the configuration file can't be read: No such file"), "{error}");
}

const FILES_WITH_A_MISTAKE: &[(&str, &str)] = &[
    ("workers = 1\nworkers = 2", "fanfare.toml:2: column 1 of \"workers = 2\": duplicate key"),
    (
        "[limits]\nframe_byte = 1",
        "fanfare.toml:2: limits.frame_byte is no key; did you mean limits.frame_bytes?",
    ),
    ("[limit]\nx = 1", "fanfare.toml:1: limit is no key; did you mean limits?"),
    ("heartbeat_ms = 1", "fanfare.toml:1: heartbeat_ms is no key; did you mean heartbeat?"),
    ("frame_bytes = 1", "fanfare.toml:1: frame_bytes is no key; did you mean limits.frame_bytes?"),
    (
        "[[topics]]\nfilter = \"a\"\nonslow = \"drop\"",
        "fanfare.toml:3: topics[0].onslow is no key; did you mean topics.on_slow?",
    ),
    (
        "zzz = 1",
        "fanfare.toml:1: zzz is no key; there are backplane, drain, heartbeat, insecure, limits, listen, origins, topics, workers",
    ),
    ("limits = 1", "fanfare.toml:1: limits is a section: write its keys beneath [limits]"),
    ("[topics]\nfilter = \"a\"", "fanfare.toml:1: topics is a list: begin each entry with [[topics]]"),
    ("[[topics]]\non_slow = \"drop\"", "fanfare.toml:1: topics[0] has no filter"),
    (
        "[[topics]]\nfilter = \"a\"\nhistory = 3",
        "fanfare.toml:3: topics[0].history is a section: write its keys beneath [topics[0].history]",
    ),
    (
        "[[topics]]\nfilter = \"a\"\n[[topics]]\nfilter = \"a\"",
        "fanfare.toml:3: topics[1] never counts: topics[0] has the same filter",
    ),
    (
        "[[topics]]\nfilter = \"a..b\"",
        "fanfare.toml:2: topics[0].filter = \"a..b\" is no filter such as \"prices.>\": it has an empty segment (2)",
    ),
    (
        "[[topics]]\nfilter = \"a\"\non_slow = \"wait\"",
        "fanfare.toml:3: topics[0].on_slow = \"wait\" is none of \"disconnect\", \"drop\" and \"latest\"",
    ),
    ("listen = 8900", "fanfare.toml:1: listen = 8900 is no text; put it in quotes"),
    (
        "listen = \":8900\"",
        "fanfare.toml:1: listen = \":8900\" is no address and port such as 127.0.0.1:8900 or [::]:8900",
    ),
    ("workers = -1", "fanfare.toml:1: workers = -1 is below the minimum, 0"),
    ("workers = 65", "fanfare.toml:1: workers = 65 is above the maximum, 64"),
    ("workers = 1.5", "fanfare.toml:1: workers = 1.5 is no whole number"),
    ("workers = \"4\"", "fanfare.toml:1: workers = \"4\" is no whole number"),
    (
        "heartbeat = 25",
        "fanfare.toml:1: heartbeat = 25 has no unit; write a duration such as \"25s\" or \"500ms\"",
    ),
    ("heartbeat = \"0s\"", "fanfare.toml:1: heartbeat = \"0s\" is below the minimum, 100ms"),
    (
        "heartbeat = \"soon\"",
        "fanfare.toml:1: heartbeat = \"soon\" is no duration such as \"25s\", \"500ms\" or \"1h\"",
    ),
    ("limits.topics = 0", "fanfare.toml:1: limits.topics = 0 is below the minimum, 1"),
    (
        "limits.frame_bytes = \"1GiB\"",
        "fanfare.toml:1: limits.frame_bytes = \"1GiB\" is above the maximum, 16MiB",
    ),
    (
        "limits.frame_bytes = \"big\"",
        "fanfare.toml:1: limits.frame_bytes = \"big\" is no size such as \"64KiB\"",
    ),
    ("limits.poll_wait = \"1h\"", "fanfare.toml:1: limits.poll_wait = \"1h\" is above the maximum, 10m"),
    ("drain.spread = \"2h\"", "fanfare.toml:1: drain.spread = \"2h\" is above the maximum, 1h"),
    (
        "[drain]\ntimeout = \"1s\"",
        "fanfare.toml:2: drain.timeout is no key; there are drain.delay, drain.reconnect, drain.spread",
    ),
    ("drain = \"1s\"", "fanfare.toml:1: drain is a section: write its keys beneath [drain]"),
    ("insecure = 1", "fanfare.toml:1: insecure = 1 is neither true nor false"),
    (
        "origins = \"https://a.example\"",
        "fanfare.toml:1: origins = \"https://a.example\" is no list; write one such as [\"https://app.example\"]",
    ),
    (
        "origins = [\"https://a.example/\"]",
        "fanfare.toml:1: origins = [\"https://a.example/\"] holds \"https://a.example/\", but an origin is scheme, host and port only: nothing follows, not even a slash",
    ),
    (
        "origins = [\"*\"]",
        "fanfare.toml:1: origins = [\"*\"] holds \"*\", but wildcards are not served: list each origin",
    ),
    (
        "[backplane]\nredis = \"127.0.0.1\"",
        "fanfare.toml:2: backplane.redis is no address such as \"redis://127.0.0.1:6379\" or \"rediss://user:password@host:6379\"",
    ),
    (
        "[backplane]\nredis = \"redis://:secret@a:b\"",
        "fanfare.toml:2: backplane.redis is no address of a Redis: invalid client config",
    ),
    (
        "[backplane]\nredis = \"redis://:secret@a",
        "fanfare.toml:2: column 27 of \"redis = \\\"redis://…\": invalid basic string, expected `\"`",
    ),
    (
        "[backplane]\nprefix = \"{a}\"",
        "fanfare.toml:2: backplane.prefix = \"{a}\" is no prefix: 1 to 64 letters, digits and . _ - :",
    ),
    (
        "[tls]\na = 1",
        "fanfare.toml:1: [tls] is not served by this version: it speaks plain HTTP, put a proxy that ends TLS in front of it; take the section out",
    ),
];

#[test]
fn a_mistake_in_a_file_is_told_with_its_line_and_what_would_do() {
    for (file, told) in FILES_WITH_A_MISTAKE {
        assert_eq!(load(file, &[], "").unwrap_err(), *told, "{file}");
    }
}

#[test]
fn a_mistake_in_a_variable_is_told_with_its_name() {
    for (name, value, told) in [
        ("FANFARE__LISTNE", "x", "FANFARE__LISTNE: listne is no key; did you mean listen?"),
        (
            "FANFARE__LISTEN",
            "",
            "FANFARE__LISTEN: \"\" is no address and port such as 127.0.0.1:8900 or [::]:8900",
        ),
        ("FANFARE__WORKERS", "many", "FANFARE__WORKERS: \"many\" is no whole number"),
        ("FANFARE__INSECURE", "yes", "FANFARE__INSECURE: \"yes\" is neither true nor false"),
        ("FANFARE__LIMITS__TOPICS", "0", "FANFARE__LIMITS__TOPICS: \"0\" is below the minimum, 1"),
        (
            "FANFARE__LIMITS",
            "1",
            "FANFARE__LIMITS: limits is a section: set its keys, such as FANFARE__LIMITS__CONNECTIONS",
        ),
        (
            "FANFARE__DRAIN",
            "1s",
            "FANFARE__DRAIN: drain is a section: set its keys, such as FANFARE__DRAIN__DELAY",
        ),
        (
            "FANFARE__TOPICS__0__FILTER",
            "a",
            "FANFARE__TOPICS__0__FILTER: rules for topics can only be written in a file",
        ),
        (
            "FANFARE_LIMITS_TOPICS",
            "1",
            "FANFARE_LIMITS_TOPICS: is not read: two underscores part the words, FANFARE__LIMITS__TOPICS",
        ),
        (
            "FANFARE__AUTH__KEYS",
            "x",
            "FANFARE__AUTH__KEYS: [auth] is not served by this version: it has no keys and no tokens, everybody who reaches it is let in; take the section out",
        ),
    ] {
        assert_eq!(load("", &[(name, value)], "").unwrap_err(), told, "{name}={value}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let file = "workers = -1\n[limits]\ntopics = 0\nframes = 1\n";
    let environment = [("FANFARE__WORKERS", "x"), ("FANFARE__HEARTBEAT", "25")];
    let error = load(file, &environment, "").unwrap_err();
    let places: Vec<&str> = error.lines().filter_map(|line| line.trim().split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "the configuration has 5 mistakes",
            "fanfare.toml:1",
            "fanfare.toml:3",
            "fanfare.toml:4",
            "FANFARE__HEARTBEAT",
            "FANFARE__WORKERS",
        ]
    );
}

#[test]
fn bounds_are_held_against_each_other() {
    let file = "[limits]\nframe_bytes = \"1MiB\"\noutbox_bytes = \"2MiB\"\nbatch_bytes = \"1MiB\"\n";
    assert!(load(file, &[], "").is_ok());
    let error = load("[limits]\nframe_bytes = \"1MiB\"\nbatch_bytes = \"512KiB\"", &[], "").unwrap_err();
    assert_eq!(
        error,
        "the configuration has 2 mistakes\n  limits.outbox_bytes (default): 1MiB is too small: it must be at \
         least twice limits.frame_bytes, which is 1MiB\n  limits.batch_bytes (file fanfare.toml:3): 512KiB is too small: it must be at least \
         limits.frame_bytes, which is 1MiB"
    );
}

#[test]
fn beyond_loopback_the_broker_needs_consent() {
    for (line, starts) in [
        ("--listen 127.0.0.2:1", true),
        ("--listen [::1]:1", true),
        ("--listen [::ffff:127.0.0.1]:1", true),
        ("--listen 0.0.0.0:1", false),
        ("--listen [::]:1", false),
        ("--listen 192.0.2.1:1", false),
        ("--listen 0.0.0.0:1 --insecure", true),
    ] {
        assert_eq!(load("", &[], line).is_ok(), starts, "{line}");
    }
    assert_eq!(
        load("", &[], "--listen 0.0.0.0:80").unwrap_err(),
        "listen (flag --listen): 0.0.0.0:80 is reached from other machines, and this version has no keys yet: pass --insecure (or \
         set insecure = true) if everybody who reaches 0.0.0.0:80 may publish and subscribe, or listen on \
         127.0.0.1:80"
    );
}
