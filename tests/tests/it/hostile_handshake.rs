//! Hostile before the upgrade: silence, trickles, floods of headers, and requests to upgrade that break a rule.

use std::time::Duration;

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, handshake, read_answer, within};
use tokio::time::interval;

const IMPATIENT: &str = "[limits]\nhandshake = \"1s\"";

#[tokio::test]
async fn a_handshake_of_a_few_bytes_a_second_is_cut_at_its_limit() {
    let mut broker = Broker::with(IMPATIENT).await;
    tokio::join!(trickle(&broker, 0), trickle(&broker, 1), trickle(&broker, 3), trickle(&broker, 20));
    broker.assert_well().await;
}

/// Sends a handshake byte by byte, the first few at once, until it is cut.
async fn trickle(broker: &Broker, at_once: usize) {
    let bytes = handshake(Encoding::Json).bytes("localhost");
    let mut wire = broker.wire().await;
    wire.write(&bytes[..at_once]).await.unwrap();
    let mut beats = interval(Duration::from_millis(100));
    let cut = async {
        for byte in &bytes[at_once..] {
            beats.tick().await;
            if wire.write(&[*byte]).await.is_err() {
                return;
            }
        }
        panic!("all {} bytes were taken", bytes.len());
    };
    within("the cut", cut).await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_cut_and_meanwhile_others_are_served() {
    let mut broker = Broker::with(IMPATIENT).await;
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(broker.wire().await);
    }
    broker.assert_well().await;
    for wire in &mut silent {
        assert_eq!(wire.take_rest().await, b"");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn half_a_request_and_then_silence_is_cut() {
    let mut broker = Broker::with(IMPATIENT).await;
    let whole = handshake(Encoding::Json).bytes("localhost");
    let mut wires = Vec::new();
    for half in
        [&whole[..1], &whole[..3], &whole[..whole.len() / 2], &whole[..whole.len() - 1], b"PRI * HTTP/2.0"]
    {
        let mut wire = broker.wire().await;
        wire.write(half).await.unwrap();
        wires.push(wire);
    }
    for wire in &mut wires {
        let rest = wire.take_rest().await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "{rest:?}");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_headers_is_refused() {
    let mut broker = Broker::start().await;
    let one_long = Ask::new("GET", "/healthz").header("x-long", &"x".repeat(1 << 20));
    let many = (0..2_000).fold(Ask::new("GET", "/healthz"), |ask, n| ask.header(&format!("x-{n}"), "1"));
    let long_target = Ask::new("GET", &format!("/v1/topics/{}", "x".repeat(100_000)));
    for ask in [one_long, many, long_target] {
        let mut wire = broker.wire().await;
        // It may be refused before all of it is written.
        drop(wire.write(&ask.bytes("localhost")).await);
        if let Some(answer) = read_answer(&mut wire).await {
            assert!([414, 431].contains(&answer.status), "{answer:?}");
        }
        assert_eq!(wire.take_rest().await, b"");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn a_request_to_upgrade_that_breaks_a_rule_is_refused_with_the_reason() {
    let mut broker = Broker::start().await;
    let good = handshake(Encoding::Json).bytes("localhost");
    let good = std::str::from_utf8(&good).unwrap();
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let offer = "sec-websocket-protocol: fanfare.v1.json\r\n";
    let both = &["fanfare.v1.json", "fanfare.v1.msgpack"][..];
    for (from, to, status, code, told) in [
        ("GET", "POST", 405, "method_not_allowed", &["GET"][..]),
        ("HTTP/1.1", "HTTP/1.0", 400, "bad_request", &["HTTP/1.1"]),
        ("connection: Upgrade\r\n", "", 426, "bad_request", &["Connection"]),
        ("upgrade: websocket\r\n", "", 426, "bad_request", &["WebSocket"]),
        ("version: 13", "version: 8", 426, "bad_request", &["13"]),
        (key, "", 400, "bad_request", &["Sec-WebSocket-Key"]),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400, "bad_request", &["Sec-WebSocket-Key", "16 bytes"]),
        ("dGhlIHNhbXBsZSBub25jZQ==", &"QUJD".repeat(1_000), 400, "bad_request", &["Sec-WebSocket-Key"]),
        (key, &key.repeat(2), 400, "bad_request", &["Sec-WebSocket-Key"]),
        (offer, "", 400, "bad_request", both),
        ("fanfare.v1.json", "chat, fanfare.v2.json", 400, "bad_request", both),
        (
            offer,
            "sec-websocket-protocol: fanfare.v1.json\r\ncontent-length: 5\r\n",
            400,
            "bad_request",
            &["body"],
        ),
        ("fanfare.v1.json", "fanfare.v1.json, fanfare.bearer.abc", 501, "unsupported", &["token"]),
        (offer, &format!("{offer}authorization: Bearer bearer.abc\r\n"), 501, "unsupported", &["token"]),
    ] {
        let request = good.replacen(from, to, 1);
        assert_ne!(request, good, "{from:?}");
        let mut wire = broker.wire().await;
        wire.write(request.as_bytes()).await.unwrap();
        let answer = read_answer(&mut wire).await.unwrap();
        answer.assert_problem(status, code, told);
        assert!(!answer.text().contains("bearer.abc"), "{}", answer.text());
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn the_first_known_offer_is_taken_and_answered_alone() {
    let broker = Broker::start().await;
    for (offers, taken) in [
        ("fanfare.v1.msgpack, fanfare.v1.json", "fanfare.v1.msgpack"),
        ("chat,fanfare.v1.json,fanfare.v1.msgpack", "fanfare.v1.json"),
    ] {
        let request = String::from_utf8(handshake(Encoding::Json).bytes("localhost")).unwrap();
        let mut wire = broker.wire().await;
        wire.write(request.replace("fanfare.v1.json", offers).as_bytes()).await.unwrap();
        let answer = read_answer(&mut wire).await.unwrap();
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some(taken)));
    }
}

#[tokio::test]
async fn sessions_of_one_address_are_bounded() {
    let mut broker = Broker::with("[limits]\nsessions_per_address = 3").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(broker.connect(Encoding::Json).await);
    }
    broker.ask(&handshake(Encoding::Json)).await.assert_problem(429, "limit", &["127.0.0.1", "3 sessions"]);
    sessions.pop();
    broker.until_metric("fanfare_sessions", |count| count == 2.0).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_ended_after_its_time() {
    let mut broker = Broker::with("[limits]\nidle = \"1s\"").await;
    let mut wire = broker.wire().await;
    for _ in 0..2 {
        wire.write(&Ask::new("GET", "/healthz").bytes("localhost")).await.unwrap();
        assert_eq!(read_answer(&mut wire).await.unwrap().status, 200);
    }
    assert_eq!(wire.take_rest().await, b"");
    broker.assert_well().await;
}
