//! The end: sessions are sent away with word of when to come back, and nothing that was acknowledged is lost on the way.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, CLOSE, FIN, Heard, Setup, handshake, read_answer};
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
    // A long poll that begins by now would be cut off.
    let at_once = broker.get_json("/v1/topics/b/messages?wait=60").await;
    assert_eq!(at_once, json!({"frames": [], "cursor": "@1", "more": false}));
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

#[tokio::test]
async fn long_polls_and_requests_that_have_begun_are_answered_before_the_end() {
    let broker = Broker::start().await;
    let mut poll = broker.wire().await;
    poll.write(&Ask::new("GET", "/v1/topics/b/messages?wait=60").bytes("localhost")).await.unwrap();
    broker.until_metric("fanfare_subscriptions", |count| count == 1.0).await;
    let mut publisher = broker.wire().await;
    let ask = Ask::new("POST", "/v1/topics/a").header("expect", "100-continue").body("12").bytes("localhost");
    let (head, body) = ask.split_at(ask.len() - 2);
    publisher.write(head).await.unwrap();
    let interim = publisher.take_through(b"\r\n\r\n").await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{interim:?}");
    broker.signal("TERM");
    let answer = read_answer(&mut poll).await.expect("the poll is answered").json();
    assert_eq!(answer["frames"], json!([]));
    publisher.write(body).await.unwrap();
    let published = read_answer(&mut publisher).await.expect("the publish is answered").json();
    assert_eq!(published["position"], format!("{}:1", broker.epoch));
    assert_eq!(broker.ended().code, Some(0));
}

#[tokio::test]
async fn sessions_are_sent_away_in_paced_batches() {
    let broker = Setup::bare().flags(&["--listen", "127.0.0.1:0", "--workers", "1"]);
    let broker = broker.config("[drain]\nspread = \"1m\"").start().await;
    let mut followers = Vec::new();
    for _ in 0..500 {
        followers.push(broker.follow("a").await);
    }
    broker.signal("TERM");
    // Once the first is told goodbye the last is still served, which takes ten batches.
    let goodbye = followers[0].next().await;
    assert_eq!(goodbye[0], "goodbye", "{goodbye}");
    broker.publish("a", json!(1)).await;
    let mut served = 0;
    for follower in &mut followers[1..] {
        let mut frame = follower.next().await;
        if frame[0] == "message" {
            served += 1;
            frame = follower.next().await;
        }
        assert_eq!((&frame[0], &frame[1]), (&json!("goodbye"), &json!(1012)), "{frame}");
    }
    assert!((1..=450).contains(&served), "{served} were served after the first was told goodbye");
    drop(followers);
    assert_eq!(broker.ended().code, Some(0));
}
