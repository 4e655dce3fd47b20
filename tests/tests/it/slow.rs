//! Slow subscribers: told, disconnected or spared by policy, while others keep receiving.

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client, Heard, Socket, Wire, handshake};
use serde_json::{Value, json};

const SLOW_CLOSES: &str = "fanfare_session_closes_total{code=\"4500\"}";

/// A client on whose connection little fits that it does not read.
async fn narrow(broker: &Broker, filter: &str, options: Value) -> Client {
    let mut wire = Wire::open_narrow(broker.address).await;
    wire.write(&handshake(Encoding::Json).bytes("localhost")).await.unwrap();
    let mut client = Client::over(Socket::upgraded(wire, Encoding::Json).await, &broker.epoch);
    assert_eq!(client.next().await[0], "welcome");
    assert_eq!(client.ask(json!(["subscribe", 1, filter, options])).await[0], "ok");
    client
}

/// Publishes 8 KiB to each of the topics, in one batch.
async fn publish_to(broker: &Broker, topics: &[String]) {
    let text = "x".repeat(8 * 1024);
    let items: Vec<Value> = topics.iter().map(|topic| json!({"topic": topic, "data": text})).collect();
    broker.post("/v1/publish", "application/json", Value::from(items).to_string()).await.json();
}

#[tokio::test]
async fn a_slow_subscriber_gets_an_unbroken_beginning_and_word_of_it_and_resumes() {
    let mut broker = Broker::with(
        "[limits]\noutbox_bytes = \"256KiB\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 100000 }",
    )
    .await;
    let mut slow = narrow(&broker, "news", json!({})).await;
    let mut reader = broker.follow("news").await;
    let text = "x".repeat(8 * 1024);
    let mut published = 0;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        publish_to(&broker, &vec!["news".to_owned(); 60]).await;
        for _ in 0..60 {
            published += 1;
            reader.expect(json!(["message", "news", format!("@{published}"), text])).await;
        }
        assert!(published < 20_000, "nobody was found to be slow");
    }
    let mut received = 0;
    let goodbye = loop {
        let frame = slow.next().await;
        if frame[0] != "message" {
            break frame;
        }
        received += 1;
        assert_eq!(frame[2], format!("@{received}"));
    };
    assert_eq!((&goodbye[0], &goodbye[1]), (&json!("goodbye"), &json!(4500)), "{goodbye}");
    assert!(goodbye[3]["reconnect_after_ms"].is_u64(), "{goodbye}");
    let Heard::Close(4500, reason) = slow.socket.next().await else { panic!("a close follows") };
    assert!(reason.contains("262144"), "{reason}");
    assert!(received > 0 && received < published);

    let mut back = broker.connect(Encoding::Json).await;
    let cursor = format!("@{received}");
    back.send(json!(["subscribe", 1, "news", {"after": cursor}])).await;
    back.expect(json!(["ok", 1, {"cursor": cursor, "resumed": true}])).await;
    for seq in received + 1..=published {
        let message = json!(["message", "news", format!("@{seq}"), text]);
        back.expect(json!(["replay", "news", message])).await;
    }
    back.expect(json!(["live", "news", format!("@{published}")])).await;
    assert_eq!(broker.metric(SLOW_CLOSES).await, 1.0);
    broker.assert_well().await;
}

#[tokio::test]
async fn a_replay_is_as_slow_as_it_is_read_and_makes_nobody_slow() {
    let broker = Broker::with(
        "[limits]\noutbox_bytes = \"128KiB\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 100000 }",
    )
    .await;
    let text = "x".repeat(8 * 1024);
    for _ in 0..12 {
        publish_to(&broker, &vec!["news".to_owned(); 100]).await;
    }
    let mut slow = narrow(&broker, "other", json!({})).await;
    slow.send(json!(["subscribe", 2, "news", {"after": "@0"}])).await;
    slow.expect(json!(["ok", 2, {"cursor": "@0", "resumed": true}])).await;
    // It reads nothing until all that fits is on its way.
    let mut waits = 0.0;
    loop {
        let sent = broker.metric("fanfare_delivered_bytes_total").await;
        if sent == waits && sent > 0.0 {
            break;
        }
        waits = sent;
    }
    for seq in 1..=1_200 {
        let message = json!(["message", "news", format!("@{seq}"), text]);
        slow.expect(json!(["replay", "news", message])).await;
    }
    slow.expect(json!(["live", "news", "@1200"])).await;
    assert_eq!(broker.metric(SLOW_CLOSES).await, 0.0);
}

#[tokio::test]
async fn who_asks_to_drop_gets_everything_but_what_a_gap_tells_of() {
    let mut broker = Broker::with("[limits]\noutbox_bytes = \"256KiB\"").await;
    let mut slow = narrow(&broker, "news", json!({"on_slow": "drop"})).await;
    let mut published = 0;
    while broker.metric("fanfare_gaps_total").await < 5.0 {
        publish_to(&broker, &vec!["news".to_owned(); 60]).await;
        published += 60;
        assert!(published < 20_000, "nothing was dropped");
    }
    let (mut stands_at, mut gaps) = (0, 0);
    while stands_at < published {
        let frame = slow.next().await;
        let seq =
            |place: usize| -> u64 { frame[place].as_str().unwrap().trim_start_matches('@').parse().unwrap() };
        if frame[0] == "gap" {
            assert_eq!((&frame[1], seq(2)), (&Value::Null, stands_at), "{frame}");
            assert!(seq(3) > stands_at, "{frame}");
            (stands_at, gaps) = (seq(3), gaps + 1);
        } else {
            assert_eq!((&frame[0], seq(2)), (&json!("message"), stands_at + 1), "{frame}");
            stands_at += 1;
        }
    }
    assert!(gaps > 0);
    publish_to(&broker, &["news".to_owned()]).await;
    assert_eq!(slow.next().await[2], format!("@{}", published + 1));
    assert_eq!(broker.metric(SLOW_CLOSES).await, 0.0);
    broker.assert_well().await;
}

#[tokio::test]
async fn who_asks_for_the_latest_ends_with_the_newest_of_each_topic() {
    let config = "[limits]\noutbox_bytes = \"256KiB\"\n[[topics]]\nfilter = \">\"\non_slow = \"latest\"";
    let mut broker = Broker::with(config).await;
    let mut slow = narrow(&broker, "prices.*", json!({})).await;
    let topics: Vec<String> = (0..60).map(|n| format!("prices.{}", n % 10)).collect();
    let mut published = 0u64;
    while broker.metric("fanfare_replaced_messages_total").await < 500.0 {
        publish_to(&broker, &topics).await;
        published += 60;
        assert!(published < 20_000, "nothing was replaced");
    }
    let newest: Vec<u64> = (published - 9..=published).collect();
    let mut received = std::collections::BTreeMap::new();
    while !received.values().eq(newest.iter()) {
        let frame = slow.next().await;
        assert_eq!(frame[0], "message", "{frame}");
        let seq: u64 = frame[2].as_str().unwrap().trim_start_matches('@').parse().unwrap();
        let earlier = received.insert(frame[1].as_str().unwrap().to_owned(), seq);
        assert!(earlier.is_none_or(|earlier| earlier < seq), "{frame}");
    }
    assert_eq!(broker.metric(SLOW_CLOSES).await, 0.0);
    assert_eq!(broker.metric("fanfare_gaps_total").await, 0.0);
    broker.assert_well().await;
}

#[tokio::test]
async fn a_slow_subscriber_that_never_reads_again_is_gone_once_its_time_to_close_is_over() {
    let mut broker = Broker::with("[limits]\noutbox_bytes = \"256KiB\"").await;
    let _deaf = narrow(&broker, "news", json!({})).await;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        publish_to(&broker, &vec!["news".to_owned(); 60]).await;
    }
    broker.until_metric("fanfare_sessions", |sessions| sessions == 0.0).await;
    broker.assert_well().await;
}
