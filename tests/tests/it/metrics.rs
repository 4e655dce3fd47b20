//! The table of metrics and what the broker shows are the same.

use std::collections::BTreeSet;

use fanfare_tests::{Broker, Redis, Setup};

const TABLE: &str = include_str!("../../../broker/daemon/METRICS.md");

#[tokio::test]
async fn the_table_of_metrics_is_what_a_broker_shows() {
    let redis = Redis::start();
    let (alone, joined) = (Broker::start().await, Setup::node(&redis).start().await);
    let of_backplane = |(name, _): &(String, String)| name.starts_with("fanfare_backplane_");
    let told = told();
    assert_eq!(shown(&joined).await, told);
    assert_eq!(shown(&alone).await, told.into_iter().filter(|row| !of_backplane(row)).collect());
}

async fn shown(broker: &Broker) -> BTreeSet<(String, String)> {
    let shown = broker.get("/metrics").await.text().to_owned();
    let types = shown.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let rows = types.filter_map(|line| line.split_once(' '));
    rows.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

fn told() -> BTreeSet<(String, String)> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
        (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
    })
    .collect()
}
