//! Numbering, keeping and spreading.

use super::*;

#[tokio::test]
async fn messages_are_numbered_over_all_topics_and_know_their_predecessor() {
    let mut scene = Scene::new().await;
    scene.follow(&[one("a"), below("b")]).await;
    for (topic, seq) in [("a", 1), ("b.c", 2), ("a", 3), ("other", 4), ("b.c", 5)] {
        let published = scene.publish(topic, "x").await.unwrap();
        assert_eq!((published.position.seq, published.heard), (seq, topic != "other"), "{topic}");
    }
    for expected in ["a 1 0", "b.c 2 0", "a 3 1", "b.c 5 2"] {
        let Envelope::Message(one) = heard(&mut scene.connected.pushes, &scene.calls).await else {
            panic!("a message")
        };
        assert_eq!(format!("{} {} {}", one.message.topic.as_str(), seq(&one), one.prev), expected);
        assert_eq!((one.age_ms, one.message.payload), (0, Payload::Text("x".into())));
    }
}

#[tokio::test]
async fn a_repeated_publish_is_known_on_every_node_for_its_window() {
    let scene = Scene::with(Bounds { idempotency_ms: 300, ..BOUNDS }).await;
    let other = node(&scene.redis, 2, BOUNDS).await;
    let keyed = || {
        let mut draft = draft("a", "1");
        draft.publication.idempotency_key = Some("k".into());
        draft
    };
    let first = published(&scene.calls, keyed()).await.unwrap();
    let again = published(&other.calls, keyed()).await.unwrap();
    assert_eq!((again.position, again.repeated), (first.position, true));
    let key = scene.calls.keys.repeated("a", "k");
    let gone = async { while scene.redis.command::<bool>(&["EXISTS", &key]) {} };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    let anew = published(&scene.calls, keyed()).await.unwrap();
    assert_eq!((anew.position.seq, anew.repeated), (2, false));
}

#[tokio::test]
async fn a_topic_keeps_as_many_messages_as_its_rule_says_and_for_as_long() {
    let scene = Scene::new().await;
    let list = scene.calls.keys.list("a");
    let publish = async |count, age_ms| {
        let rule = HistoryRule { count, age_ms };
        published(&scene.calls, Unnumbered { rule, ..draft("a", "x") }).await.unwrap();
        scene.redis.command::<u64>(&["LLEN", &list])
    };
    for (count, kept) in [(3, 1), (3, 2), (3, 3), (3, 3), (2, 2), (0, 0), (1, 1)] {
        assert_eq!(publish(count, 60_000).await, kept);
    }
    let left = scene.redis.command::<u64>(&["PTTL", &list]);
    assert!((50_000..=60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn old_messages_go_from_a_list_that_is_not_full() {
    let scene = Scene::new().await;
    let list = scene.calls.keys.list("a");
    let publish = async || {
        let rule = HistoryRule { count: 1_000, age_ms: 1 };
        // The list must not end by itself between two messages.
        published(&scene.calls, Unnumbered { rule, ..draft("a", "x") }).await.unwrap();
        scene.redis.command::<u64>(&["PERSIST", &list]);
    };
    for _ in 0..200 {
        publish().await;
    }
    let kept = scene.redis.command::<u64>(&["LLEN", &list]);
    assert!(kept <= 64, "{kept}");
}

#[tokio::test]
async fn a_lost_script_is_loaded_again() {
    let scene = Scene::new().await;
    scene.publish("a", "1").await.unwrap();
    scene.redis.command::<()>(&["SCRIPT", "FLUSH"]);
    let outcomes = publish_all(&scene.calls, &[draft("a", "2"), draft("a", "3")]).await.unwrap();
    let seqs: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().position.seq).collect();
    assert_eq!(seqs, [2, 3]);
    scene.redis.command::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(shown(&scene.read(&[one("a")], 1).await), ["a 3: 1<2 2<3"]);
}

#[tokio::test]
async fn without_memory_nothing_is_numbered_and_nobody_hears_of_it() {
    let mut scene = Scene::new().await;
    scene.follow(&[below("")]).await;
    scene.publish("a", "1").await.unwrap();
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert!(matches!(scene.publish("a", "2").await, Err(Refusal::BackplaneFull { .. })));
    assert!(scene.calls.probe(1).await.unwrap(), "a probe passes");
    assert_eq!(scene.read(&[one("a")], 0).await.len(), 1);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(scene.publish("a", "3").await.unwrap().position.seq, 2);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(match heard(&mut scene.connected.pushes, &scene.calls).await {
            Envelope::Message(one) => seq(&one),
            Envelope::Probed { record, .. } => record.seq,
            Envelope::Cleared { .. } => panic!("nothing was cleared"),
        });
    }
    assert_eq!(told, [1, 1, 2]);
}

#[tokio::test]
async fn a_message_of_128_bytes_costs_less_than_400() {
    let scene = Scene::new().await;
    let data = "x".repeat(128);
    for _ in 0..100 {
        scene.publish("orders.eu.42", &data).await.unwrap();
    }
    let bytes: u64 =
        scene.redis.command(&["MEMORY", "USAGE", &scene.calls.keys.list("orders.eu.42"), "SAMPLES", "0"]);
    assert!((150..400).contains(&(bytes / 100)), "{} bytes a message", bytes / 100);
}
