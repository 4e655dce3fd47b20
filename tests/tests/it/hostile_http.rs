//! Hostile over plain HTTP: bodies over their limit, framing that contradicts itself, requests in pieces.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, read_answer};
use serde_json::json;

/// The beginning of a publish; its framing is to follow.
const HEAD: &str = "POST /v1/topics/a HTTP/1.1\r\nhost: localhost\r\n";
/// A publish that must not be taken for one where it stands.
const SMUGGLED: &str = "POST /v1/topics/smuggled HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n1";

#[tokio::test]
async fn a_body_over_its_limit_is_refused_whether_its_length_is_declared_or_not() {
    let mut broker = Broker::start().await;
    for (target, limit, name) in
        [("/v1/topics/a", 65_536, "limits.frame_bytes"), ("/v1/publish", 1_048_576, "limits.batch_bytes")]
    {
        let declared =
            format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", limit + 1);
        let mut wire = broker.wire().await;
        wire.write(declared.as_bytes()).await.unwrap();
        let answer = read_answer(&mut wire).await.expect("it is refused before it comes");
        answer.assert_problem(413, "too_large", &[&(limit + 1).to_string(), &limit.to_string(), name]);

        let mut wire = broker.wire().await;
        let head = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
        wire.write(head.as_bytes()).await.unwrap();
        let chunk = [b"1000\r\n", &[b' '; 4_096][..], b"\r\n"].concat();
        for _ in 0..=limit / 4_096 {
            // It may be refused before all of it is written.
            drop(wire.write(&chunk).await);
        }
        let answer = read_answer(&mut wire).await.expect("it is refused once it is too long");
        answer.assert_problem(413, "too_large", &[&limit.to_string(), name]);
    }
    let huge = "POST /v1/topics/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9223372036854775807\r\n\r\n";
    let mut wire = broker.wire().await;
    wire.write(huge.as_bytes()).await.unwrap();
    read_answer(&mut wire).await.unwrap().assert_problem(413, "too_large", &["9223372036854775807"]);
    assert_eq!(broker.get_json("/v1/topics").await["topics"], json!([]));
    broker.assert_well().await;
}

#[tokio::test]
async fn framing_that_contradicts_itself_is_refused_and_ends_the_connection() {
    let mut broker = Broker::start().await;
    for framing in [
        "content-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        "content-length: 1, 2\r\n\r\n1",
        "content-length: -1\r\n\r\n",
        "content-length: +1\r\n\r\n1",
        "content-length: 0x1\r\n\r\n1",
        "content-length: 18446744073709551616\r\n\r\n1",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n1;\n\n\r\n1\r\n0\r\n\r\n",
        "bad\0header: 1\r\n\r\n",
        "no colon\r\n\r\n",
        " folded: 1\r\n\r\n",
    ] {
        let mut wire = broker.wire().await;
        wire.write(format!("{HEAD}{framing}{SMUGGLED}").as_bytes()).await.unwrap();
        let rest = wire.take_rest().await;
        let answers = String::from_utf8_lossy(&rest);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{framing:?} is answered {answers}");
        assert!(answers.starts_with("HTTP/1.1 400 "), "{framing:?} is answered {answers}");
    }
    assert_eq!(broker.get_json("/v1/topics").await["topics"], json!([]));
    broker.assert_well().await;
}

#[tokio::test]
async fn chunks_win_over_a_length_and_what_follows_them_is_no_request() {
    let mut broker = Broker::start().await;
    for framing in
        ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let mut wire = broker.wire().await;
        wire.write(format!("{HEAD}{framing}\r\n\r\n1\r\n7\r\n0\r\n\r\n{SMUGGLED}").as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut wire).await.unwrap().header("connection"), Some("close"));
        assert_eq!(wire.take_rest().await, b"");
    }
    let topics = broker.get_json("/v1/topics").await["topics"].clone();
    assert_eq!((topics.as_array().unwrap().len(), &topics[0]["topic"]), (1, &json!("a")));
    broker.assert_well().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let mut broker = Broker::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"get / http/1.1\r\n\r\n",
        b"\r\n\r\n\r\n\r\nX",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all, whatever comes",
        &[0xff; 4_096],
    ] {
        let mut wire = broker.wire().await;
        wire.write(bytes).await.unwrap();
        wire.finish().await;
        let rest = wire.take_rest().await;
        let answer = String::from_utf8_lossy(&rest);
        assert!(!answer.contains(" 200 "), "{bytes:?} is answered {answer}");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn requests_may_come_one_behind_the_other_and_byte_by_byte() {
    let broker = Broker::start().await;
    let ask = Ask::new("POST", "/v1/topics/a").header("content-type", "application/json").body("7");
    let mut wire = broker.wire().await;
    wire.write(&ask.bytes("localhost").repeat(50)).await.unwrap();
    for seq in 1..=50 {
        let told = read_answer(&mut wire).await.unwrap().json();
        assert_eq!(told["position"], format!("{}:{seq}", broker.epoch));
    }
    for byte in ask.bytes("localhost") {
        wire.write(&[byte]).await.unwrap();
    }
    assert_eq!(read_answer(&mut wire).await.unwrap().json()["position"], format!("{}:51", broker.epoch));
}

#[tokio::test]
async fn a_body_that_is_cut_off_publishes_nothing() {
    let mut broker = Broker::start().await;
    let whole = Ask::new("POST", "/v1/topics/a").header("content-type", "text/plain").body("0123456789");
    let bytes = whole.bytes("localhost");
    for end in bytes.len() - 10..bytes.len() {
        let mut wire = broker.wire().await;
        wire.write(&bytes[..end]).await.unwrap();
        wire.finish().await;
        wire.take_rest().await;
    }
    assert_eq!(broker.get_json("/v1/topics").await["topics"], json!([]));
    broker.assert_well().await;
}

#[tokio::test]
async fn idempotency_keys_are_bounded_in_length_and_number() {
    let broker = Broker::with("[limits]\nidempotency_keys = 2").await;
    let keyed = |key: &str| Ask::new("POST", "/v1/topics/a").header("idempotency-key", key).body("1");
    broker.ask(&keyed("")).await.assert_problem(400, "bad_request", &["Idempotency-Key"]);
    let twice = keyed("one").header("Idempotency-Key", "other");
    let told = "header Idempotency-Key stands 2 times, the limit is 1";
    broker.ask(&twice).await.assert_problem(400, "bad_request", &[told]);
    let twice = Ask::new("POST", "/v1/topics/a").header("content-type", "text/plain");
    let twice = twice.header("content-type", "application/json").body("1");
    broker.ask(&twice).await.assert_problem(400, "bad_request", &["header Content-Type stands 2 times"]);
    broker.ask(&keyed(&"k".repeat(65))).await.assert_problem(
        413,
        "too_large",
        &["Idempotency-Key", "65", "64"],
    );
    broker.ask(&keyed("k1")).await.json();
    broker.ask(&keyed(&"k".repeat(64))).await.json();
    let (status, code, detail) = broker.ask(&keyed("k3")).await.problem();
    assert_eq!((status, code.as_str()), (503, "overloaded"), "{detail}");
    assert_eq!(broker.ask(&keyed("k1")).await.json()["repeated"], true);
}

#[tokio::test]
async fn topics_are_bounded_in_number() {
    let mut broker = Broker::with("[limits]\ntopics = 3").await;
    for topic in ["a", "b", "c"] {
        broker.publish(topic, json!(1)).await;
    }
    let answer = broker.post("/v1/topics/d", "text/plain", "x").await;
    answer.assert_problem(429, "limit", &["3 topics"]);
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["publish", 1, "e", 1])).await;
    client.expect_error(Some(1), "limit", &["3 topics"]).await;
    broker.ask(&Ask::new("DELETE", "/v1/topics/b/messages")).await.json();
    assert_eq!(broker.publish("well.being", json!(1)).await["position"], "@4");
    broker.assert_well().await;
}

#[tokio::test]
async fn who_asks_before_it_sends_a_body_is_told_to_go_on_or_not() {
    let broker = Broker::start().await;
    let mut wire = broker.wire().await;
    wire.write(format!("{HEAD}expect: 100-continue\r\ncontent-length: 2\r\n\r\n").as_bytes()).await.unwrap();
    let interim = wire.take_through(b"\r\n\r\n").await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{interim:?}");
    wire.write(b"42").await.unwrap();
    assert_eq!(read_answer(&mut wire).await.unwrap().status, 200);
    let mut wire = broker.wire().await;
    wire.write(format!("{HEAD}expect: 100-continue\r\ncontent-length: 70000\r\n\r\n").as_bytes())
        .await
        .unwrap();
    read_answer(&mut wire).await.unwrap().assert_problem(413, "too_large", &["70000", "65536"]);
}
