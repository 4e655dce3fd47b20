//! The table of metrics and what the broker shows are the same.

use std::collections::BTreeSet;

use fanfare_tests::{Ask, Broker};

const TABLE: &str = include_str!("../../../broker/daemon/METRICS.md");

#[tokio::test]
async fn the_table_of_metrics_is_what_the_broker_shows() {
    let broker = Broker::start().await;
    let shown = broker.ask(&Ask::new("GET", "/metrics")).await.text().to_owned();
    let shown: BTreeSet<(String, String)> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
            (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
        })
        .collect();
    assert_eq!(shown, told);
}
