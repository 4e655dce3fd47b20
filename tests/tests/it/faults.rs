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
    assert!(seen.lives == 5 && seen.null_gaps >= 20 && seen.not_resumed >= 20, "{seen}");
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_again_and_again_tells_everybody_what_that_cost() {
    let seen = run("roll", 3).await;
    assert!(seen.lives == 4 && seen.null_gaps >= 15, "{seen}");
}

#[tokio::test]
async fn a_node_that_was_frozen_goes_on_as_if_nothing_had_been() {
    let seen = run("freeze", 4).await;
    assert!(seen.faults == 2 && seen.sessions > 5 && seen.null_gaps == 0, "{seen}");
}

#[tokio::test]
async fn clients_that_are_cut_off_get_what_they_missed_and_retries_make_one_message() {
    let seen = run("cuts", 5).await;
    assert!(seen.sessions > 5 && seen.not_resumed == 0 && seen.repeated > 0, "{seen}");
}

#[tokio::test]
async fn who_comes_back_after_too_long_is_told_what_is_gone() {
    let seen = run("trim", 6).await;
    assert!(seen.topic_gaps > 0 && seen.not_resumed > 0, "{seen}");
}

#[tokio::test]
async fn whoever_joins_and_leaves_thousands_of_times_misses_nothing_in_between() {
    let seen = run("join", 7).await;
    assert!(seen.joined_cleanly >= 2_000, "{seen}");
}

#[tokio::test]
async fn a_cursor_that_is_old_of_the_future_foreign_or_garbage_is_told_so_and_no_harm_comes_of_it() {
    let seen = run("wild", 8).await;
    assert!(seen.not_joined > 0 && seen.null_gaps > 0, "{seen}");
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

/// Checks that `faults` were healed, and that nobody was told of anything missing.
fn assert_unnoticed(seen: &Seen, faults: usize) {
    let told = seen.null_gaps + seen.topic_gaps + seen.not_resumed;
    assert!(seen.faults == faults && told == 0, "{seen}");
}

/// Checks that so many faults showed, each in time.
fn assert_noticed(seen: &Seen, faults: usize) {
    let noticed = seen.times.noticed;
    assert!(noticed.count == faults && noticed.most_ms <= 5_000, "{seen}");
}

/// Checks that after each fault each client heard of what followed in time, so many times in all.
fn assert_all_heard_again(seen: &Seen, times: usize) {
    let heard = seen.times.heard_again;
    assert!(heard.count == times && heard.most_ms <= 10_000, "{seen}");
}

#[tokio::test]
async fn clients_of_a_joined_node_that_is_killed_resume_elsewhere_and_miss_nothing() {
    let seen = run("joined-kill", 21).await;
    assert_unnoticed(&seen, 4);
    let resumed = seen.times.resumed_elsewhere;
    assert!(resumed.count >= 5 && resumed.p99_ms < 3_000, "{seen}");
}

#[tokio::test]
async fn joined_nodes_are_told_to_stop_one_behind_the_other_and_nobody_misses_anything() {
    let seen = run("joined-roll", 22).await;
    assert_unnoticed(&seen, 3);
    assert!(seen.moved >= 5, "{seen}");
}

#[tokio::test]
async fn joined_nodes_are_upgraded_one_by_one_and_back_again_and_nobody_misses_anything() {
    let seen = run("joined-upgrade", 35).await;
    assert_unnoticed(&seen, 6);
    assert!(seen.moved >= 5 && seen.repeated_elsewhere > 0 && seen.refused == 0, "{seen}");
}

#[tokio::test]
async fn a_joined_node_that_is_frozen_delivers_nothing_stale_and_nobody_misses_anything() {
    let seen = run("joined-freeze", 23).await;
    assert_unnoticed(&seen, 1);
    assert!(seen.unknown > 0 && seen.sessions > 5, "{seen}");
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_with_its_data_is_noticed_by_publishers_alone() {
    let seen = run("redis-kill", 24).await;
    assert_unnoticed(&seen, 2);
    assert!(seen.unknown > 0 && seen.unready > 0, "{seen}");
    assert_all_heard_again(&seen, 10);
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_a_new_life_and_a_gap_to_every_subscriber() {
    let seen = run("redis-forget", 25).await;
    assert!(seen.faults == 2 && seen.lives == 3 && seen.null_gaps >= 10 && seen.unready > 0, "{seen}");
    assert_all_heard_again(&seen, 10);
}

#[tokio::test]
async fn a_redis_that_comes_back_with_less_is_a_new_life_and_a_gap_to_those_who_saw_more() {
    let seen = run("redis-rewind", 35).await;
    assert!(seen.faults == 3 && seen.lives >= 3 && seen.null_gaps >= 10 && seen.unready > 0, "{seen}");
    assert_all_heard_again(&seen, 15);
}

#[tokio::test]
async fn a_redis_that_is_frozen_makes_nodes_unready_and_nobody_misses_anything() {
    let seen = run("redis-freeze", 26).await;
    assert_unnoticed(&seen, 1);
    assert!(seen.unavailable > 0 && seen.unready > 0, "{seen}");
    assert_noticed(&seen, 1);
}

#[tokio::test]
async fn a_redis_without_memory_has_publishes_refused_and_none_of_them_is_a_ghost() {
    let seen = run("redis-full", 27).await;
    assert_unnoticed(&seen, 3);
    assert!(seen.refused > 0, "{seen}");
}

#[tokio::test]
async fn a_slow_and_uneven_way_to_redis_breaks_no_connection_to_it() {
    let seen = run("redis-slow", 28).await;
    assert_unnoticed(&seen, 1);
    assert!(seen.published_late > 0 && seen.losses == 0, "{seen}");
    assert_eq!(seen.sessions, 5, "a client has lost its connection: {seen}");
}

#[tokio::test]
async fn a_node_that_is_cut_off_from_redis_in_any_way_says_so_and_its_subscribers_miss_nothing() {
    let seen = run("cut-off", 29).await;
    assert_unnoticed(&seen, 4);
    assert!(seen.unavailable > 0 && seen.unready > 0, "{seen}");
    assert_noticed(&seen, 4);
}

#[tokio::test]
async fn a_subscription_that_is_stuck_without_an_error_is_found_out_and_made_anew() {
    let seen = run("deaf", 30).await;
    assert_unnoticed(&seen, 1);
    assert_noticed(&seen, 1);
}

#[tokio::test]
async fn a_publish_that_is_tried_again_on_another_node_is_one_message_at_one_position() {
    let seen = run("joined-retry", 31).await;
    assert!(seen.repeated_elsewhere > 0 && seen.null_gaps == 0, "{seen}");
}

#[tokio::test]
async fn whoever_joins_on_one_node_misses_nothing_that_is_published_on_another() {
    let seen = run("joined-join", 32).await;
    assert!(seen.joined_cleanly >= 1_000 && seen.not_joined == 0 && seen.null_gaps == 0, "{seen}");
}

#[tokio::test]
async fn cursors_that_are_none_of_ones_own_do_no_harm_on_joined_nodes() {
    let seen = run("joined-wild", 33).await;
    assert!(seen.not_joined > 0 && seen.null_gaps > 0 && seen.moved > 0, "{seen}");
}

#[tokio::test]
async fn publishers_as_fast_as_they_are_answered_lose_nothing_for_subscribers_of_another_node() {
    let seen = run("joined-flood", 34).await;
    assert!(seen.published >= 3_000 && seen.received_by_first > 0, "{seen}");
}

#[tokio::test]
async fn publishers_that_are_faster_than_a_narrow_node_are_held_back_or_its_subscribers_are_told() {
    let seen = run("joined-narrow", 36).await;
    assert!(seen.refused > 0, "nobody was held back: {seen}");
    assert!(seen.falls_behind > 0 && seen.losses > 0, "the node took all that came: {seen}");
    assert!(seen.cut_as_slow > 0 && seen.null_gaps > 0, "nobody was too slow: {seen}");
}
