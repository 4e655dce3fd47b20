//! Good histories pass; spoiled in any way, at any place, they are found out under the right name.

use std::collections::BTreeSet;

use fanfare_tests::checker::{Claim, Line, check_lines};
use fanfare_tests::harness::Chance;

use super::generated::history;
use super::spoil::{WAYS, Way};

/// Spoils a history in these ways at several places; the names of those for which it has a place.
pub(crate) fn spoil<'a>(
    good: &[Line],
    ways: impl Iterator<Item = &'a Way>,
    seed: u64,
    places: usize,
) -> BTreeSet<&'static str> {
    let report = check_lines(good.to_vec());
    assert!(report.is_clean(), "seed {seed}: the history is good\n{report}");
    let mut spoiled = BTreeSet::new();
    for (number, way) in ways.enumerate() {
        for place in 0..places {
            let mut lines = good.to_vec();
            let mut chance = Chance::of(seed).fork(100 * number + place);
            if !(way.spoil)(&mut lines, &mut chance) {
                continue;
            }
            spoiled.insert(way.name);
            let report = check_lines(lines);
            let (name, claim) = (way.name, way.claim);
            assert!(report.has(claim), "seed {seed}, {name}, place {place}: no {claim}\n{report}");
        }
    }
    spoiled
}

#[test]
fn good_histories_pass_however_lives_end() {
    for seed in 0..200 {
        let report = check_lines(history(seed, 250));
        assert!(report.is_clean(), "seed {seed}\n{report}");
    }
}

#[test]
fn spoiled_histories_are_found_out_under_the_right_name() {
    let mut spoiled = BTreeSet::new();
    for seed in 0..30 {
        spoiled.extend(spoil(&history(seed, 200), WAYS.iter(), seed, 3));
    }
    // These need a single node, or a history that is trimmed: the recorded ones have them.
    let elsewhere = BTreeSet::from(["begin too low", "remove a topic's gap"]);
    let missed: Vec<&str> = WAYS
        .iter()
        .map(|way| way.name)
        .filter(|name| !spoiled.contains(name) && !elsewhere.contains(name))
        .collect();
    assert_eq!(missed, Vec::<&str>::new(), "no history has a place for these");
}

#[test]
fn every_claim_can_be_broken() {
    let broken: BTreeSet<Claim> = WAYS.iter().map(|way| way.claim).collect();
    assert_eq!(broken, BTreeSet::from(Claim::ALL));
}

#[test]
fn a_history_of_many_lines_is_checked_in_seconds() {
    let lines = history(1, 12_000);
    assert!(lines.len() > 300_000, "{}", lines.len());
    let begun = std::time::Instant::now();
    let report = check_lines(lines);
    assert!(report.is_clean(), "{report}");
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
