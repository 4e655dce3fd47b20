//! Reading, probing, clearing, listing and forgetting.

use fanfare_protocol::Position;

use super::*;

#[tokio::test]
async fn a_read_brings_what_is_above_of_topics_and_of_all_beneath_prefixes() {
    let scene = Scene::new().await;
    for topic in ["a", "b.c", "b.d", "b", "a", "b.c", "e"] {
        scene.publish(topic, "x").await.unwrap();
    }
    for (channels, above, expected) in [
        (vec![one("a")], 0, vec!["a 5: 0<1 1<5"]),
        (vec![one("a")], 1, vec!["a 5: 1<5"]),
        (vec![one("a")], 5, vec![]),
        (vec![one("nothing")], 0, vec![]),
        (vec![below("b")], 0, vec!["b.c 6: 0<2 2<6", "b.d 3: 0<3"]),
        (vec![below("b")], 4, vec!["b.c 6: 2<6"]),
        (vec![one("a"), one("b.c"), below("b")], 4, vec!["a 5: 1<5", "b.c 6: 2<6"]),
        (vec![below("")], 6, vec!["e 7: 0<7"]),
        (vec![], 0, vec![]),
    ] {
        let (record, read) = scene.calls.read(&channels, above).await.unwrap();
        assert_eq!((shown(&read), record.seq), (expected.iter().map(|line| (*line).to_owned()).collect(), 7));
    }
}

#[tokio::test]
async fn a_long_read_takes_many_calls_and_is_whole() {
    let scene = Scene::with(Bounds { topics: 5_000, read_bytes: 64 << 20, ..BOUNDS }).await;
    let big = "x".repeat(60_000);
    let rule = HistoryRule { count: 1_000, age_ms: 60_000 };
    let mut batch = Vec::new();
    for number in 0..2_500 {
        batch.push(Unnumbered { rule, ..draft(&format!("t.{number}"), "small") });
    }
    for number in 0..300 {
        batch.push(Unnumbered { rule, ..draft("long", "small") });
        if number % 20 == 0 {
            batch.push(Unnumbered { rule, ..draft("big", &big) });
        }
    }
    let all = batch.len();
    for batch in batch.chunks(100) {
        for outcome in publish_all(&scene.calls, batch).await.unwrap() {
            outcome.unwrap();
        }
    }
    let read = scene.read(&[below(""), one("long")], 0).await;
    assert_eq!(read.len(), 2_502);
    let mut seqs: Vec<u64> = read.iter().flat_map(|topic| topic.kept.iter().map(seq)).collect();
    assert!(read.iter().all(|topic| topic.kept.is_sorted_by_key(seq)));
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=all as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_too_much_for_one_read_counts_as_missing() {
    let scene = Scene::with(Bounds { read_bytes: 2_000, ..BOUNDS }).await;
    for _ in 0..20 {
        scene.publish("a", &"x".repeat(200)).await.unwrap();
        scene.publish("b", &"x".repeat(200)).await.unwrap();
    }
    let read = scene.read(&[below(""), one("a")], 0).await;
    let lasts: Vec<(u64, usize)> = read.iter().map(|topic| (topic.last, topic.kept.len())).collect();
    assert_eq!(lasts, [(39, 9), (40, 0)]);
    assert_eq!(seq(&read[0].kept[8]), 39, "the newest are brought");
    assert_eq!(read[0].kept[0].prev, 21, "and the first says that there were others");
}

#[tokio::test]
async fn below_a_message_that_can_not_be_read_all_counts_as_missing() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        scene.publish("a", "x").await.unwrap();
    }
    let garble =
        "redis.call('LSET', KEYS[1], ARGV[1], string.sub(redis.call('LINDEX', KEYS[1], ARGV[1]), 1, 35))";
    let list = scene.calls.keys.list("a");
    for (at, left) in
        [("0", "a 5: 1<2 2<3 3<4 4<5"), ("2", "a 5: 3<4 4<5"), ("1", "a 5: 3<4 4<5"), ("4", "a 5:")]
    {
        scene.redis.command::<()>(&["EVAL", garble, "1", &list, at]);
        assert_eq!(shown(&scene.read(&[one("a")], 0).await), [left], "{at}");
    }
    scene.publish("a", "x").await.unwrap();
    assert_eq!(shown(&scene.read(&[one("a")], 0).await), ["a 6: 5<6"]);
}

#[tokio::test]
async fn a_probe_comes_behind_everything_numbered_before() {
    let mut scene = Scene::new().await;
    scene.follow(&[one("a")]).await;
    scene.publish("a", "1").await.unwrap();
    scene.publish("b", "2").await.unwrap();
    assert!(scene.calls.probe(7).await.unwrap());
    assert!(
        matches!(heard(&mut scene.connected.pushes, &scene.calls).await, Envelope::Message(one) if seq(&one) == 1)
    );
    let expected = Envelope::Probed { probe: 7, record: scene.calls.record().await.unwrap() };
    assert_eq!(heard(&mut scene.connected.pushes, &scene.calls).await, expected);
}

#[tokio::test]
async fn a_probe_that_nobody_hears_is_told() {
    let scene = Scene::new().await;
    let own = [scene.calls.keys.node(1)];
    follow(&scene.connected.subscription, "SUNSUBSCRIBE", &own).await.unwrap();
    assert!(!scene.calls.probe(1).await.unwrap());
}

#[tokio::test]
async fn a_cleared_topic_keeps_its_place_and_its_followers_are_told() {
    let mut scene = Scene::new().await;
    scene.publish("a.b", "1").await.unwrap();
    scene.publish("a.b", "2").await.unwrap();
    scene.follow(&[below("a")]).await;
    assert_eq!(scene.calls.clear(&name("a.b")).await.unwrap(), 2);
    let to = Position { epoch: scene.connected.record.epoch, seq: 2 };
    let cleared = Envelope::Cleared { topic: name("a.b"), to };
    assert_eq!(heard(&mut scene.connected.pushes, &scene.calls).await, cleared);
    assert_eq!(shown(&scene.read(&[one("a.b")], 0).await), ["a.b 2:"]);
    assert_eq!(scene.publish("a.b", "3").await.unwrap().position.seq, 3);
    assert_eq!(shown(&scene.read(&[one("a.b")], 0).await), ["a.b 3: 2<3"]);
    assert_eq!(scene.calls.clear(&name("unknown")).await.unwrap(), 0);
}

#[tokio::test]
async fn idle_topics_without_history_are_forgotten_and_the_floor_rises() {
    let scene = Scene::with(Bounds { numbering_ttl_ms: 1, ..BOUNDS }).await;
    for topic in ["kept", "empty", "other"] {
        scene.publish(topic, "x").await.unwrap();
    }
    scene.calls.clear(&name("empty")).await.unwrap();
    let forgotten = async {
        while scene.calls.sweep().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), forgotten).await.unwrap();
    let found = scene.calls.find(0, 10, &[""]).await.unwrap();
    let topics: Vec<&str> = found.topics.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((topics, found.record.floor, found.record.seq), (vec!["kept", "other"], 2, 3));
    let born_again = scene.publish("empty", "x").await.unwrap();
    assert_eq!(
        shown(&scene.read(&[one("empty")], 0).await),
        [format!("empty 4: 0<{}", born_again.position.seq)]
    );
}

#[tokio::test]
async fn topics_are_forgotten_though_the_clock_of_redis_was_set_back() {
    let scene = Scene::with(Bounds { numbering_ttl_ms: 1, ..BOUNDS }).await;
    for topic in ["empty", "other"] {
        scene.publish(topic, "x").await.unwrap();
    }
    scene.calls.clear(&name("empty")).await.unwrap();
    let clock = scene.calls.keys.clock();
    scene.redis.command::<u64>(&["ZADD", &clock, "9000000000000", "9000000000000:1"]);
    let forgotten = async {
        while scene.calls.sweep().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), forgotten).await.unwrap();
}

#[tokio::test]
async fn a_new_topic_takes_the_place_of_the_longest_idle_empty_one() {
    let scene = Scene::with(Bounds { topics: 3, ..BOUNDS }).await;
    for topic in ["a", "b", "c"] {
        scene.publish(topic, "x").await.unwrap();
    }
    assert_eq!(scene.publish("d", "x").await, Err(Refusal::TooManyTopics { topics_max: 3 }));
    scene.calls.clear(&name("c")).await.unwrap();
    scene.calls.clear(&name("b")).await.unwrap();
    assert_eq!(scene.publish("d", "x").await.unwrap().position.seq, 4);
    let found = scene.calls.find(0, 10, &[""]).await.unwrap();
    let topics: Vec<&str> = found.topics.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((topics, found.record.floor), (vec!["a", "c", "d"], 2));
}

#[tokio::test]
async fn topics_are_described_by_what_is_kept_of_them() {
    let scene = Scene::new().await;
    scene.publish("a", "1").await.unwrap();
    scene.publish("a", "2").await.unwrap();
    let found = scene.calls.describe(&[name("a"), name("b")]).await.unwrap();
    assert_eq!((found[0].0, found[1]), (2, (0, None)));
    assert!(found[0].1.is_some_and(|time| time > 1_700_000_000_000));
}

#[tokio::test]
async fn two_prefixes_on_one_redis_do_not_meet() {
    let scene = Scene::new().await;
    let address = Address::parse(&scene.redis.url()).unwrap();
    let other = driven(connect(&address, None, "another", 1, BOUNDS, Seen::default()).await.unwrap());
    follow(&other.subscription, "SSUBSCRIBE", &[other.calls.keys.channel(&below(""))]).await.unwrap();
    let first = scene.publish("a", "1").await.unwrap();
    assert!(!first.heard);
    assert_eq!(published(&other.calls, draft("a", "1")).await.unwrap().position.seq, 1);
    assert!(scene.calls.read(&[one("a")], 1).await.unwrap().1.is_empty());
}

#[tokio::test]
async fn a_message_keeps_who_published_it_and_how_long_it_is_worth_replaying() {
    let scene = Scene::new().await;
    let mut draft = draft("a", "1");
    draft.origin = Some(SessionId(9));
    draft.publication.ttl_s = Some(30);
    published(&scene.calls, draft).await.unwrap();
    let read = scene.read(&[one("a")], 0).await;
    let kept = &read[0].kept[0];
    assert_eq!((kept.origin, kept.ttl_s), (Some((1, SessionId(9))), Some(30)));
    assert!(kept.age_ms < 10_000);
}
