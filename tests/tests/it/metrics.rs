//! The table of metrics and what the broker shows are the same.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_tests::{Broker, Redis, Setup};

const TABLE: &str = include_str!("../../../broker/daemon/METRICS.md");

/// What is told of a metric beside its name: its kind and its labels.
type Row = (String, BTreeSet<String>);

#[tokio::test]
async fn the_table_of_metrics_is_what_a_broker_shows() {
    let redis = Redis::start();
    let (alone, joined) = (Broker::start().await, Setup::node(&redis).start().await);
    let told = told();
    assert!(told.len() > 40, "{told:?}");
    assert_eq!(shown(&joined).await, told);
    let mut of_one = told;
    of_one.retain(|name, _| !name.starts_with("fanfare_backplane_"));
    assert_eq!(shown(&alone).await, of_one);
}

/// The rows that a broker shows.
async fn shown(broker: &Broker) -> BTreeMap<String, Row> {
    let shown = broker.get("/metrics").await.text().to_owned();
    let types = shown.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split_once(' '));
    let mut rows: BTreeMap<String, Row> =
        names.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    for (name, labels) in shown.lines().filter_map(|line| line.split_once('{')) {
        // A bucket's label is not of the metric.
        let Some(name) = name.strip_suffix("_total").or_else(|| rows.contains_key(name).then_some(name))
        else {
            assert!(name.ends_with("_bucket"), "{name} has a label and no type");
            continue;
        };
        let labels =
            labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
        rows.get_mut(name).expect(name).1.extend(labels);
    }
    rows
}

/// The rows of the table.
fn told() -> BTreeMap<String, Row> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    let mut told = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let name = cells[1].trim_matches('`').to_owned();
        assert!(told.insert(name, (cells[2].to_owned(), labels)).is_none(), "{row} stands twice");
    }
    told
}
