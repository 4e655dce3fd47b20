//! What the README promises: its commands work and print what it says, its configuration starts a broker.

use std::path::Path;
use std::process::Command;

use fanfare_tests::{Broker, Setup, blocks_of, tour_of};

/// Where the README has the broker, and the epoch that it shows.
const ADDRESS: &str = "127.0.0.1:8900";
const EPOCH: &str = "0.k3f9a";

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    std::fs::read_to_string(path).expect("there is a README")
}

#[tokio::test]
async fn the_tour_works_and_prints_what_it_says() {
    let broker = Broker::start().await;
    // The page that the tour has open.
    let _page = broker.follow(">").await;
    let steps = tour_of(&readme());
    assert!(steps.len() >= 3, "the README has a tour of {} steps", steps.len());
    for step in steps {
        let commands = step.commands.replace(ADDRESS, &broker.address.to_string());
        let output = Command::new("sh").args(["-euc", &commands]).output().expect("there is a shell");
        let printed = String::from_utf8(output.stdout).expect("it prints text");
        let line = step.line;
        assert!(output.status.success(), "line {line}: {}: {printed}", output.status);
        let printed = untimed(&printed.replace(&broker.epoch, EPOCH));
        assert_eq!(printed.trim_end(), untimed(&step.output).trim_end(), "line {line}");
    }
}

#[tokio::test]
async fn its_configuration_starts_a_broker() {
    let files = blocks_of(&readme(), "toml");
    assert!(!files.is_empty());
    for file in files {
        Broker::with(&file).await.assert_well().await;
    }
}

/// Each limit that is told with its default, such as `` `idle` 75s ``.
#[test]
fn the_limits_that_it_tells_are_keys_and_their_defaults_values() {
    let readme = readme();
    let table = readme.split("| what is bounded | keys |").nth(1).expect("a table of limits");
    let table = table.split("\n\n").next().expect("a table has an end");
    let mut limits = String::from("[limits]\n");
    for (name, rest) in table.split('`').skip(1).collect::<Vec<_>>().chunks(2).filter_map(|pair| match pair {
        [name, rest] => Some((name, rest)),
        _ => None,
    }) {
        let value = rest.trim_start().split([' ', ',', '|', '\n']).next().expect("a default");
        let quoted = if value.parse::<u64>().is_ok() { value.to_owned() } else { format!("{value:?}") };
        limits += &format!("{name} = {quoted}\n");
    }
    assert!(limits.lines().count() > 20, "{limits}");
    assert_eq!(settings(&limits), settings(""));
}

/// Each row of the table of keys, such as `` | `heartbeat` | `25s` | ``.
#[test]
fn the_keys_that_it_tells_are_keys_and_their_defaults_values() {
    let readme = readme();
    let table = readme.split("| key | default | meaning |").nth(1).expect("a table of keys");
    let table = table.split("\n\n").next().expect("a table has an end");
    let (mut written, mut rule) = (String::new(), String::from("[[topics]]\nfilter = \">\"\n"));
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (key, value) = (cells[1], cells[2]);
        if value.is_empty() || value == "none" {
            continue;
        }
        let is_bare = value.parse::<u64>().is_ok() || value.parse::<bool>().is_ok();
        let value = if is_bare { value.to_owned() } else { format!("{value:?}") };
        match key.strip_prefix("topics.") {
            Some(key) => rule += &format!("{key} = {value}\n"),
            None => written += &format!("{key} = {value}\n"),
        }
    }
    assert!(written.lines().count() >= 8 && rule.lines().count() >= 5, "{written}{rule}");
    assert_eq!(settings(&written), settings(""));
    assert_eq!(settings(&rule), settings("[[topics]]\nfilter = \">\""));
}

/// The settings in effect with this file, without their sources.
fn settings(file: &str) -> Vec<String> {
    let ended = Setup::bare().config(file).flags(&["check"]).run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let values =
        ended.stdout.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    values.collect()
}

/// The text with the times of messages made equal.
fn untimed(text: &str) -> String {
    let mut parts = text.split("\"time\":");
    let mut untimed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        untimed += "\"time\":0";
        untimed += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    untimed
}
