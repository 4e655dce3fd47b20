//! Slow subscribers, and publishers that are faster than the broker.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, Client, Heard, Socket, Wire, handshake, read_answer};
use serde_json::{Value, json};

const SLOW_CLOSES: &str = "fanfare_slow_session_closes_total";

/// A client on whose connection little fits that it does not read.
async fn narrow(broker: &Broker, filter: &str) -> Client {
    let mut wire = Wire::open_narrow(broker.address).await;
    wire.write(&handshake(Encoding::Json).bytes("localhost")).await.unwrap();
    let mut client = Client::over(Socket::upgraded(wire, Encoding::Json).await, &broker.epoch);
    assert_eq!(client.next().await[0], "welcome");
    assert_eq!(client.ask(json!(["subscribe", 1, filter])).await[0], "ok");
    client
}

#[tokio::test]
async fn a_slow_subscriber_gets_an_unbroken_beginning_and_word_of_it_and_resumes() {
    let mut broker = Broker::with(
        "[limits]\noutbox_bytes = \"256KiB\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 100000 }",
    )
    .await;
    let mut slow = narrow(&broker, "news").await;
    let mut reader = broker.follow("news").await;
    let text = "x".repeat(8 * 1024);
    let mut published = 0;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        let items: Vec<Value> = (0..60).map(|_| json!({"topic": "news", "data": text})).collect();
        broker.post("/v1/publish", "application/json", Value::from(items).to_string()).await.json();
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
        let items: Vec<Value> = (0..100).map(|_| json!({"topic": "news", "data": text})).collect();
        broker.post("/v1/publish", "application/json", Value::from(items).to_string()).await.json();
    }
    let mut slow = narrow(&broker, "other").await;
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

/// The least room that the broker can be given between its workers.
const SMALL_INBOX: &str =
    "[limits]\nframe_bytes = \"1KiB\"\ninbox_bytes = \"4KiB\"\nrequests_per_s = 1000000\n";

#[tokio::test]
async fn a_flood_of_publishes_loses_nothing_that_was_acknowledged() {
    let mut broker = Broker::with(SMALL_INBOX).await;
    let count = 5_000;
    let mut followers = [broker.follow("flood").await, broker.follow(">").await];
    let mut publisher = broker.connect(Encoding::Json).await;
    let publishing = async {
        for first in (0..count).step_by(1_000) {
            publisher.send_all((first..first + 1_000).map(|n| json!(["publish", n + 1, "flood", n]))).await;
            for n in first..first + 1_000 {
                let position = format!("@{}", n + 1);
                let ok = publisher.next().await;
                assert_eq!(
                    (&ok[0], &ok[1], &ok[2]["position"]),
                    (&json!("ok"), &json!(n + 1), &json!(position))
                );
            }
        }
    };
    let [first, second] = &mut followers;
    let (first, second) = (follow(first, count), follow(second, count));
    tokio::join!(publishing, first, second);
    assert_eq!(broker.metric("fanfare_waiting_publishes").await, 0.0);
    assert_eq!(broker.metric("fanfare_inbox_bytes").await, 0.0);
    broker.assert_well().await;
}

async fn follow(client: &mut Client, count: u64) {
    for n in 0..count {
        client.expect(json!(["message", "flood", format!("@{}", n + 1), n])).await;
    }
}

#[tokio::test]
async fn a_publish_that_finds_no_room_is_refused_and_never_delivered() {
    let mut broker = Broker::with(&format!("{SMALL_INBOX}publish_wait = \"0s\"")).await;
    let mut follower = broker.follow("flood").await;
    let mut publishers = Vec::new();
    for n in 0..8u64 {
        let mut wire = broker.wire().await;
        let text = format!("\"{n} {}\"", "x".repeat(900));
        let ask = Ask::new("POST", "/v1/topics/flood").header("content-type", "application/json").body(text);
        wire.write(&ask.bytes("localhost").repeat(100)).await.unwrap();
        publishers.push(wire);
    }
    let (mut taken, mut refused) = (0, 0);
    for wire in &mut publishers {
        for _ in 0..100 {
            let answer = read_answer(wire).await.unwrap();
            if answer.status == 200 {
                taken += 1;
            } else {
                answer.assert_problem(503, "overloaded", &["0 ms"]);
                refused += 1;
            }
        }
    }
    broker.publish("end", json!(1)).await;
    assert_eq!(taken + refused, 800);
    for seq in 1..=taken {
        let message = follower.next().await;
        assert_eq!((&message[0], &message[2]), (&json!("message"), &json!(format!("@{seq}"))));
    }
    let told = broker.publish("flood", json!("last")).await;
    follower.expect(json!(["message", "flood", told["position"], "last"])).await;
    assert_eq!(told["position"], format!("@{}", taken + 2));
    broker.assert_well().await;
}
