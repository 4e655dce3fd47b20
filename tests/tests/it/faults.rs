//! Real brokers under faults: whatever goes wrong, what clients saw keeps every promise.
//!
//! Each is short and has a seed of its own; `cargo xtask soak` runs them longer, with ever new ones.

use fanfare_tests::harness::{Seen, assert_holds, scenario};

async fn run(name: &str, seed: u64) -> Seen {
    assert_holds(&scenario(name).expect("it is one of the list").plan(seed, 1)).await
}

#[tokio::test]
async fn when_nothing_goes_wrong_everything_comes_once_and_in_order() {
    let seen = run("calm", 1).await;
    assert_eq!((seen.unknown, seen.topic_gaps, seen.null_gaps), (0, 0, 0), "{seen}");
}

#[tokio::test]
async fn a_node_that_is_killed_again_and_again_tells_everybody_what_that_cost() {
    let seen = run("kill", 2).await;
    assert!(seen.lives == 5 && seen.null_gaps >= 4 && seen.not_resumed >= 4, "{seen}");
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_again_and_again_tells_everybody_what_that_cost() {
    let seen = run("roll", 3).await;
    assert!(seen.lives == 4 && seen.null_gaps >= 3, "{seen}");
}

#[tokio::test]
async fn a_node_that_was_frozen_goes_on_as_if_nothing_had_been() {
    let seen = run("freeze", 4).await;
    assert!(seen.sessions > 5 && seen.null_gaps == 0, "{seen}");
}

#[tokio::test]
async fn clients_that_are_cut_off_get_what_they_missed_and_retries_make_one_message() {
    let seen = run("cuts", 5).await;
    assert!(seen.sessions > 20 && seen.not_resumed == 0 && seen.repeated > 10, "{seen}");
}

#[tokio::test]
async fn who_comes_back_after_too_long_is_told_what_is_gone() {
    let seen = run("trim", 6).await;
    assert!(seen.topic_gaps > 0 && seen.not_resumed > 0, "{seen}");
}

#[tokio::test]
async fn whoever_joins_and_leaves_thousands_of_times_misses_nothing_in_between() {
    let seen = run("join", 7).await;
    assert!(seen.joined >= 2_500, "{seen}");
}

#[tokio::test]
async fn a_cursor_that_is_old_of_the_future_foreign_or_garbage_is_told_so_and_no_harm_comes_of_it() {
    let seen = run("wild", 8).await;
    assert!(seen.not_joined > 10 && seen.null_gaps > 20, "{seen}");
}

#[tokio::test]
async fn readers_that_are_too_slow_are_sent_away_and_made_whole_when_they_come_back() {
    let seen = run("slow", 9).await;
    assert!(seen.too_slow > 0 && seen.null_gaps == 0, "{seen}");
}

#[tokio::test]
async fn readers_that_ask_to_drop_get_all_that_no_gap_tells_of() {
    let seen = run("drop", 10).await;
    assert!(seen.null_gaps > 0, "{seen}");
}

#[tokio::test]
async fn readers_that_ask_for_the_latest_end_with_the_newest_of_each_topic() {
    let seen = run("latest", 11).await;
    assert!(seen.received_by_first < seen.published, "{seen}");
}

#[tokio::test]
async fn publishers_that_are_too_fast_are_refused_and_nothing_is_lost_behind_their_backs() {
    let seen = run("flood", 12).await;
    assert!(seen.refused > 0 && seen.null_gaps == 0, "{seen}");
}
