//! Lives of the numbering: when one ends, when it goes on, and what is remembered of it.

use fanfare_core::Record;

use super::*;

/// A record without its life, as `began seq floor` and the ends of earlier lives.
fn shown_record(record: &Record) -> String {
    let ends: Vec<String> = record.ended.iter().map(|(_, seq)| seq.to_string()).collect();
    format!("{} {} {} [{}]", record.began, record.seq, record.floor, ends.join(" "))
}

/// What is done to the server between two looks of the same node.
type Event = fn(&Scene);

#[tokio::test]
async fn a_life_ends_exactly_where_the_server_can_not_know_what_became_of_it() {
    let cases: [(&str, Event, bool, &str); 7] = [
        ("nothing happened", |_| (), true, "0 3 0 []"),
        (
            "another replication id: it has started again or become the primary",
            |scene| set(scene, "replication", "0123"),
            false,
            "3 3 0 [3]",
        ),
        ("a number lower than seen: something was lost", |scene| set(scene, "seq", "2"), false, "2 2 0 [2]"),
        ("a number higher than seen: others publish too", |scene| set(scene, "seq", "9"), true, "0 9 0 []"),
        (
            "no record: the directory tells how far it was, and nothing of before is known",
            |scene| scene.redis.command(&["DEL", &scene.calls.keys.record()]),
            false,
            "3 3 3 []",
        ),
        ("nothing at all", |scene| scene.redis.command(&["FLUSHALL"]), false, "0 0 0 []"),
        ("scripts are lost", |scene| scene.redis.command(&["SCRIPT", "FLUSH"]), true, "0 3 0 []"),
    ];
    for (case, event, goes_on, after) in cases {
        let scene = Scene::new().await;
        for _ in 0..3 {
            scene.publish("a", "x").await.unwrap();
        }
        let before = scene.calls.record().await.unwrap();
        event(&scene);
        let found = scene.calls.record().await.unwrap();
        assert_eq!(shown_record(&found), after, "{case}");
        assert_eq!(found.epoch == before.epoch, goes_on, "{case}");
        assert_eq!(scene.calls.record().await.unwrap(), found, "{case}: once");
        let next = scene.publish("a", "x").await.unwrap();
        assert_eq!((next.position.epoch, next.position.seq), (found.epoch, found.seq + 1), "{case}");
    }
}

fn set(scene: &Scene, field: &str, value: &str) {
    scene.redis.command::<()>(&["HSET", &scene.calls.keys.record(), field, value]);
}

#[tokio::test]
async fn the_last_eight_lives_are_remembered() {
    let scene = Scene::new().await;
    let mut lives = vec![scene.connected.record.epoch];
    for round in 1..=10 {
        scene.publish("a", "x").await.unwrap();
        set(&scene, "replication", &round.to_string());
        lives.push(scene.calls.record().await.unwrap().epoch);
    }
    let record = scene.calls.record().await.unwrap();
    let expected: Vec<_> = lives[2..10].iter().copied().zip(3..=10).collect();
    assert_eq!(record.ended, expected);
    assert_eq!((record.epoch, record.began), (lives[10], 10));
}

#[tokio::test]
async fn a_restart_without_its_data_forgets_and_one_with_it_goes_on_counting() {
    for (redis, after) in [(Redis::start(), "0 0 0 []"), (Redis::persistent(), "2 2 0 [2]")] {
        let mut scene = Scene::on(redis, BOUNDS).await;
        scene.publish("a", "1").await.unwrap();
        scene.publish("a", "2").await.unwrap();
        scene.redis.restart();
        let again = node(&scene.redis, 1, BOUNDS).await;
        assert_eq!(shown_record(&again.record), after);
    }
}

/// Sets the server back to what it was after the first of some messages of a topic, as a snapshot of it would.
fn roll_back(redis: &Redis, calls: &Calls, life: u64) {
    let (record, topics, list) = (calls.keys.record(), calls.keys.directory(), calls.keys.list("a"));
    redis.command::<()>(&["HSET", &record, "life", &life.to_string(), "seq", "1", "began", "0", "ended", ""]);
    redis.command::<()>(&["ZADD", &topics, "1", "a"]);
    redis.command::<()>(&["LTRIM", &list, "0", "0"]);
}

#[tokio::test]
async fn a_server_that_was_set_back_while_a_node_was_away_begins_a_life() {
    let scene = Scene::new().await;
    let first = scene.publish("a", "1").await.unwrap().position;
    scene.publish("a", "2").await.unwrap();
    let again = async |life: u64| {
        roll_back(&scene.redis, &scene.calls, life);
        let address = Address::parse(&scene.redis.url()).unwrap();
        let seen = scene.calls.seen.clone();
        driven(connect(&address, None, PREFIX, 1, BOUNDS, seen).await.unwrap())
    };
    let mut lives = vec![first.epoch.life];
    for _ in 0..2 {
        let connected = again(first.epoch.life).await;
        assert_eq!(shown_record(&connected.record), "1 1 0 [1]", "also where that life was over already");
        assert!(!lives.contains(&connected.record.epoch.life));
        lives.push(connected.record.epoch.life);
        assert_eq!(published(&connected.calls, draft("a", "x")).await.unwrap().position.seq, 2);
    }
    let stranger = node(&scene.redis, 2, BOUNDS).await;
    assert_eq!(lives.last(), Some(&stranger.record.epoch.life), "what nobody has seen goes on");
}

#[tokio::test]
async fn what_a_forgotten_life_left_behind_is_not_read() {
    let scene = Scene::new().await;
    scene.publish("a", "1").await.unwrap();
    scene.redis.command::<()>(&["DEL", &scene.calls.keys.record()]);
    assert_eq!(scene.publish("a", "2").await.unwrap().position.seq, 2);
    assert_eq!(shown(&scene.read(&[one("a")], 0).await), ["a 2: 0<2"]);
}

#[tokio::test]
async fn what_an_ended_life_left_behind_is_read_under_its_own_name() {
    let scene = Scene::new().await;
    let first = scene.publish("a", "1").await.unwrap().position;
    set(&scene, "replication", "0123");
    let second = scene.publish("a", "2").await.unwrap().position;
    assert_ne!(first.epoch, second.epoch);
    let read = scene.read(&[one("a")], 0).await;
    let positions: Vec<_> = read[0].kept.iter().map(|numbered| numbered.message.position).collect();
    assert_eq!(positions, [first, second]);
}

#[tokio::test]
async fn a_key_of_a_forgotten_life_is_not_known_and_one_of_an_ended_life_is() {
    let keyed = || {
        let mut draft = draft("a", "1");
        draft.publication.idempotency_key = Some("k".into());
        draft
    };
    let scene = Scene::new().await;
    let first = published(&scene.calls, keyed()).await.unwrap();
    set(&scene, "replication", "0123");
    let again = published(&scene.calls, keyed()).await.unwrap();
    assert_eq!((again.position, again.repeated), (first.position, true));
    scene.redis.command::<()>(&["DEL", &scene.calls.keys.record()]);
    assert!(!published(&scene.calls, keyed()).await.unwrap().repeated);
}

#[tokio::test]
async fn what_another_version_or_partition_count_made_is_refused_with_what_to_do() {
    for (field, value, told) in [
        ("version", "3", Some("version 3")),
        ("version", "2", None),
        ("version", "0", None),
        ("partitions", "16", Some("16 partitions")),
    ] {
        let scene = Scene::new().await;
        set(&scene, field, value);
        let address = Address::parse(&scene.redis.url()).unwrap();
        let found = connect(&address, None, PREFIX, 2, BOUNDS, Seen::default()).await.map(drop);
        match told {
            None => assert_eq!(found, Ok(())),
            Some(told) => {
                let fault = found.unwrap_err().to_string();
                assert!(fault.contains(told) && fault.contains("backplane.prefix"), "{fault}");
            }
        }
        let version: String = scene.redis.command(&["HGET", &scene.calls.keys.record(), "version"]);
        assert_eq!(
            version,
            match (field, value) {
                ("version", "0") => "1",
                ("version", value) => value,
                _ => "1",
            }
        );
    }
}

#[tokio::test]
async fn a_version_that_comes_while_a_node_runs_is_looked_at_with_every_call() {
    let scene = Scene::new().await;
    for (written, is_served, left) in [("0", true, "1"), ("2", true, "2"), ("3", false, "3")] {
        set(&scene, "version", written);
        let found = scene.calls.record().await.map(drop);
        match found {
            Ok(()) => assert!(is_served, "version {written}"),
            Err(fault) => {
                assert!(!is_served && fault.to_string().contains("has version 3, and this"), "{fault}");
                assert!(matches!(fault, Fault::Incompatible(_)));
            }
        }
        let version: String = scene.redis.command(&["HGET", &scene.calls.keys.record(), "version"]);
        assert_eq!(version, left, "it is raised, and never lowered");
    }
    assert!(publish_all(&scene.calls, &[draft("a", "x")]).await.is_err());
    let topics: u64 = scene.redis.command(&["ZCARD", &scene.calls.keys.directory()]);
    assert_eq!(topics, 0, "nothing is written any more");
}
