//! Histories of a real broker, spoiled.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;

use fanfare_tests::checker;
use fanfare_tests::harness::{run, scenario};

use super::sabotage::spoil;
use super::spoil::WAYS;

#[tokio::test]
async fn spoiled_histories_of_a_real_broker_are_found_out_under_the_right_name() {
    let mut spoiled: BTreeSet<&str> = BTreeSet::new();
    for name in ["kill", "cuts", "join", "trim"] {
        let ran = run(&scenario(name).unwrap().plan(11, 1)).await.unwrap();
        let lines = checker::read(BufReader::new(File::open(&ran.history).unwrap())).unwrap();
        let rest = WAYS.iter().filter(|way| !spoiled.contains(way.name));
        let found = spoil(&lines, rest, 11, 2);
        spoiled.extend(found);
        ran.forget();
    }
    let missed: Vec<&str> = WAYS.iter().map(|way| way.name).filter(|name| !spoiled.contains(name)).collect();
    // Nothing cuts a single node off, and no run is long enough to be red for too long.
    assert_eq!(missed, ["ready while cut off", "not ready when all is well"]);
}
