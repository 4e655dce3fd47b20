//! The command line, the configuration, and the end.

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Setup};
use serde_json::{Value, json};

#[tokio::test]
async fn a_second_broker_on_the_same_address_fails_and_says_so() {
    let mut broker = Broker::start().await;
    let address = broker.address.to_string();
    let ended = Setup::bare().flags(&["--listen", &address]).run();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("{address} is in use")), "{}", ended.stderr);
    assert!(ended.stderr.contains("--listen"), "{}", ended.stderr);
    broker.assert_well().await;
}

#[tokio::test]
async fn beyond_loopback_it_starts_only_if_that_is_meant() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let ended = Setup::bare().flags(&["--listen", listen]).run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(listen) && ended.stderr.contains("--insecure"), "{}", ended.stderr);
    }
    let mut broker = Setup::bare().flags(&["--listen", "0.0.0.0:0", "--insecure"]).start().await;
    broker.assert_well().await;
}

#[test]
fn every_mistake_of_a_configuration_is_told_with_its_place() {
    let file = "heartbeet = \"1s\"\n[limits]\nframe_bytes = \"64 parrots\"\nframes = 1\n[[topics]]\nfilter = \"a..b\"\n";
    let ended = Setup::new().config(file).variable("FANFARE__LIMITS__TOPICS", "0").run();
    assert_eq!(ended.code, Some(1));
    for told in [
        "fanfare.toml:1",
        "heartbeet",
        "did you mean heartbeat?",
        "fanfare.toml:3",
        "64 parrots",
        "fanfare.toml:4",
        "limits.frames",
        "fanfare.toml:6",
        "a..b",
        "FANFARE__LIMITS__TOPICS",
        "below the minimum, 1",
    ] {
        assert!(ended.stderr.contains(told), "{told:?} is not told:\n{}", ended.stderr);
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let ended = Setup::new().flags(&["--config", "broker.toml"]).run();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("broker.toml") && ended.stderr.contains("can't be read"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn flags_win_over_variables_and_variables_over_the_file() {
    let broker = Setup::bare()
        .file(
            "broker.toml",
            "listen = \"127.0.0.1:1\"\nworkers = 1\nheartbeat = \"10s\"\n[limits]\nsubscriptions = 7",
        )
        .config("heartbeat = \"1h\"")
        .variable("FANFARE__WORKERS", "2")
        .variable("FANFARE__HEARTBEAT", "20s")
        .variable("FANFARE__LISTEN", "127.0.0.1:2")
        .flags(&["--config", "broker.toml", "--workers", "3", "--listen", "127.0.0.1:0"])
        .start()
        .await;
    let client = broker.connect(Encoding::Json).await;
    assert_eq!(client.welcome["heartbeat_ms"], 20_000);
    assert_eq!(client.welcome["limits"]["subscriptions"], 7);
    broker.logged("the number of workers", |line| line.contains("workers=3").then_some(()));
}

#[test]
fn help_and_version_are_printed() {
    for flag in ["--help", "-h"] {
        let ended = Setup::bare().flags(&[flag]).run();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        for told in ["--listen", "--config", "--insecure", "curl", "127.0.0.1:8900"] {
            assert!(ended.stdout.contains(told), "{flag} does not tell {told}");
        }
    }
    let ended = Setup::bare().flags(&["--version"]).run();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout, format!("fanfare {}\n", env!("CARGO_PKG_VERSION")));
    let ended = Setup::bare().flags(&["--listne", "x"]).run();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--listen"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_log_is_one_json_object_a_line_if_asked() {
    let broker = Setup::new().flags(&["--log-json"]).start().await;
    let ended = broker.end_by("TERM");
    assert!(ended.stderr.lines().count() >= 2, "{}", ended.stderr);
    for line in ended.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["level"], line["timestamp"].is_string()), (&json!("INFO"), true));
    }
}

#[tokio::test]
async fn what_is_logged_is_asked_for_by_level_and_a_slip_is_told() {
    let broker = Setup::new().variable("FANFARE_LOG", "warn,fanfare=info").start().await;
    assert!(broker.end_by("TERM").stderr.contains("stopping"));
    for written in ["debgu", "fanfare=loud", "info,debgu"] {
        let ended = Setup::new().variable("FANFARE_LOG", written).run();
        assert_eq!(ended.code, Some(1), "{written}");
        assert!(
            ended.stderr.contains(&format!("FANFARE_LOG: {written:?} is none of debug")),
            "{}",
            ended.stderr
        );
    }
    let broker = Setup::new().variable("FANFARE_LOG", "").start().await;
    assert!(broker.end_by("TERM").stderr.contains("stopping"));
}

#[tokio::test]
async fn rules_for_topics_say_how_much_is_kept() {
    let broker = Broker::with(
        "[[topics]]\nfilter = \"none\"\nhistory = { count = 0 }\n[[topics]]\nfilter = \"*\"\nhistory = { count = 2 }",
    )
    .await;
    for (topic, kept) in [("none", 0), ("two", 2), ("a.b", 5)] {
        broker.publish_numbers(topic, 0..5).await;
        let read = broker.get_json(&format!("/v1/topics/{topic}/messages")).await;
        assert_eq!(read["frames"].as_array().unwrap().len(), kept, "{topic}");
    }
}

#[test]
fn check_tells_each_setting_with_its_source_and_every_mistake() {
    let setup = Setup::bare().config("heartbeat = \"10s\"").variable("FANFARE__LIMITS__TOPICS", "7");
    let ended = setup.flags(&["check", "--workers", "3"]).run();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for (setting, source) in [
        ("heartbeat = \"10s\"", "file fanfare.toml:1"),
        ("topics = 7", "FANFARE__LIMITS__TOPICS"),
        ("workers = 3", "--workers"),
        ("frame_bytes = \"64KiB\"", "default"),
    ] {
        let told = |line: &str| line.starts_with(setting) && line.contains(source);
        assert!(ended.stdout.lines().any(told), "{setting} by {source} is not told:\n{}", ended.stdout);
    }
    let ended = Setup::bare().config("heartbeet = \"1s\"\nworkers = -1").flags(&["check"]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("heartbeet") && ended.stderr.contains("workers"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_example_file_is_what_the_binary_prints_and_changes_nothing() {
    let example = Setup::bare().flags(&["check", "--example"]).run();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fanfare.example.toml");
    assert_eq!(example.stdout, std::fs::read_to_string(path).unwrap());
    let with = Setup::bare().config(&example.stdout).flags(&["check"]).run();
    let without = Setup::bare().flags(&["check"]).run();
    let values = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split('#').next()).map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(values(&with.stdout), values(&without.stdout));
}
