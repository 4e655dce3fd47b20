//! Heartbeats both ways, and what they do to cursors.

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client, FIN, Heard, PING, PONG};
use serde_json::{Value, json};

/// A client may be late by twice this, on a machine with much to do.
const CONFIG: &str = "heartbeat = \"500ms\"";

/// The cursor of the next `ping`, which is answered.
async fn pinged(client: &mut Client) -> Value {
    let ping = client.next().await;
    assert_eq!(ping[0], "ping", "{ping}");
    client.send(json!(["pong"])).await;
    ping[1].clone()
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let broker = Broker::with(CONFIG).await;
    let mut client = broker.connect(Encoding::MessagePack).await;
    assert_eq!(client.welcome["heartbeat_ms"], 500);
    for _ in 0..4 {
        assert_eq!(pinged(&mut client).await, "@0");
    }
    assert_eq!(client.ask(json!(["subscribe", 1, "a"])).await, json!(["ok", 1, {"cursor": "@0"}]));
}

#[tokio::test]
async fn who_is_silent_for_two_heartbeats_is_closed() {
    let broker = Broker::with(CONFIG).await;
    let mut silent = broker.follow("a").await;
    let ping = json!(["ping", "@0"]);
    silent.expect(ping.clone()).await;
    // On a busy machine the second ping is due before the silence is seen.
    let mut last = silent.next().await;
    while last == ping {
        last = silent.next().await;
    }
    assert_eq!((&last[0], &last[1]), (&"goodbye".into(), &4501.into()), "{last}");
    assert!(last[2].as_str().is_some_and(|reason| reason.contains("1000 ms")), "{last}");
    assert!(matches!(silent.socket.next().await, Heard::Close(4501, _)));
    broker.until_metric("fanfare_subscriptions", |count| count == 0.0).await;
}

#[tokio::test]
async fn whatever_a_client_sends_shows_that_it_lives() {
    let broker = Broker::with(CONFIG).await;
    let mut client = broker.connect(Encoding::Json).await;
    for round in 0..2 {
        assert_eq!(client.next().await[0], "ping");
        client.socket.send_frame(FIN | PING, b"are you there?").await;
        assert_eq!(client.socket.next().await, Heard::Pong(b"are you there?".to_vec()), "round {round}");
        assert_eq!(client.next().await[0], "ping");
        client.socket.send_frame(FIN | PONG, b"").await;
        assert_eq!(client.next().await[0], "ping");
        client.send(json!(["unknown"])).await;
        client.expect_error(None, "unknown_op", &["unknown"]).await;
    }
}

#[tokio::test]
async fn a_ping_keeps_the_cursor_of_a_quiet_filter_fresh() {
    let broker =
        Broker::with("heartbeat = \"500ms\"\n[[topics]]\nfilter = \"busy\"\nhistory = { count = 2 }").await;
    let mut quiet = broker.follow("quiet").await;
    assert_eq!(pinged(&mut quiet).await, "@0");
    broker.publish_numbers("busy", 0..50).await;
    while pinged(&mut quiet).await != "@50" {}
    broker.publish("quiet", json!("one")).await;
    loop {
        let frame = quiet.next().await;
        if frame[0] == "message" {
            assert_eq!(frame, json!(["message", "quiet", "@51", "one"]));
            break;
        }
    }
    // All that matches and is at or below the cursor of a ping has come before it.
    quiet.send(json!(["pong"])).await;
    let cursor = pinged(&mut quiet).await;
    assert_eq!(cursor, "@51");
    drop(quiet);
    let mut back = broker.connect(Encoding::Json).await;
    back.send(json!(["subscribe", 1, "*", {"after": cursor}])).await;
    back.expect(json!(["ok", 1, {"cursor": cursor, "resumed": true}])).await;
    back.expect(json!(["live", "*", cursor])).await;
}
