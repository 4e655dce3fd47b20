//! The end: sessions are sent away with word of when to come back, and nothing that was acknowledged is lost on the way.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, CLOSE, FIN, Heard, handshake, read_answer};
use serde_json::json;

#[tokio::test]
async fn it_ends_by_terminate_and_interrupt_while_clients_are_connected() {
    for signal in ["TERM", "INT"] {
        let broker = Broker::start().await;
        let mut follower = broker.follow(">").await;
        broker.signal(signal);
        let reason = {
            let goodbye = follower.next().await;
            assert_eq!((&goodbye[0], &goodbye[1]), (&json!("goodbye"), &json!(1012)), "{goodbye}");
            assert!(goodbye[3]["reconnect_after_ms"].as_u64().unwrap() <= 5_000, "{goodbye}");
            goodbye[2].clone()
        };
        let Heard::Close(1012, told) = follower.socket.next().await else { panic!("a close follows") };
        assert_eq!(reason, told);
        follower.socket.send_frame(FIN | CLOSE, &1012u16.to_be_bytes()).await;
        drop(follower);
        let ended = broker.ended();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.stderr);
        assert!(ended.stderr.contains("stopped"), "{signal}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_the_goodbye_comes_before_it() {
    let broker = Broker::start().await;
    let mut followers = Vec::new();
    for _ in 0..20 {
        followers.push(broker.follow("a").await);
    }
    let mut wire = broker.wire().await;
    let ask = Ask::new("POST", "/v1/topics/a").header("content-type", "text/plain").body("x");
    wire.write(&ask.bytes("localhost").repeat(200)).await.unwrap();
    for _ in 0..100 {
        assert_eq!(read_answer(&mut wire).await.unwrap().status, 200);
    }
    broker.signal("TERM");
    let mut acknowledged = 100;
    for _ in 100..200 {
        let Some(answer) = read_answer(&mut wire).await else { break };
        acknowledged += u64::from(answer.status == 200);
    }
    for mut follower in followers {
        let mut received = 0;
        let goodbye = loop {
            let frame = follower.next().await;
            if frame[0] != "message" {
                break frame;
            }
            received += 1;
            assert_eq!(frame[2], format!("@{received}"));
        };
        assert_eq!(goodbye[1], 1012, "{goodbye}");
        assert!(
            (100..=acknowledged).contains(&received),
            "{received} of {acknowledged} came before the goodbye"
        );
    }
}

#[tokio::test]
async fn while_it_stops_it_is_not_ready_but_serves_who_is_there() {
    let broker = Broker::with("[drain]\ndelay = \"1m\"").await;
    let mut follower = broker.follow("a").await;
    let mut poll = broker.wire().await;
    poll.write(&Ask::new("GET", "/v1/topics/b/messages?wait=60").bytes("localhost")).await.unwrap();
    broker.until_metric("fanfare_subscriptions", |count| count == 2.0).await;
    assert_eq!(broker.get("/readyz").await.status, 200);
    broker.signal("TERM");
    while broker.get("/readyz").await.status == 200 {}
    broker.get("/readyz").await.assert_problem(503, "unavailable", &["stop"]);
    broker.publish("a", json!(1)).await;
    follower.expect(json!(["message", "a", "@1", 1])).await;
    broker.signal("TERM");
    let ended = broker.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("at once"), "{}", ended.stderr);
}

#[tokio::test]
async fn who_comes_while_sessions_are_sent_away_is_told_to_come_later() {
    let broker = Broker::with("[drain]\nspread = \"1m\"\n[limits]\nsessions_per_address = 1000").await;
    let mut followers = Vec::new();
    for _ in 0..200 {
        followers.push(broker.connect(Encoding::Json).await);
    }
    broker.signal("TERM");
    let mut came = broker.ask(&handshake(Encoding::Json)).await;
    while came.status == 101 {
        came = broker.ask(&handshake(Encoding::Json)).await;
    }
    let (status, code, _) = came.problem();
    assert_eq!((status, code.as_str()), (503, "unavailable"));
    broker.signal("INT");
    assert_eq!(broker.ended().code, Some(0));
}
