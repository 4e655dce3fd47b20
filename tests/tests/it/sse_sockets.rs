//! What becomes of the connection of a stream over HTTP/1.1: what is said on it besides, and how either side ends it.

use fanfare_tests::{Ask, Broker, Events, Wire, read_answer};
use serde_json::json;

/// What is asked on a connection behind the request of a stream.
const MORE: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn ask() -> Ask {
    Ask::new("GET", "/v1/sse?topic=a")
}

#[tokio::test]
async fn answers_to_earlier_requests_come_before_the_stream() {
    let broker = Broker::with("[limits]\noutbox_bytes = \"64MiB\"").await;
    let items: Vec<_> = (0..10).map(|_| json!({"topic": "b", "data": "x".repeat(60_000)})).collect();
    for _ in 0..10 {
        broker.post("/v1/publish", "application/json", json!(items).to_string()).await.json();
    }
    // More than the sockets hold: the stream is asked for while it is still being written.
    let history = Ask::new("GET", "/v1/topics/b/messages?limit=100").body("not read").bytes("localhost");
    let mut wire = Wire::open_narrow(broker.address).await;
    wire.write(&[&history, MORE, &ask().bytes("localhost")].concat()).await.unwrap();
    broker.until_metric("fanfare_connections", |count| count == 2.0).await;
    let history = read_answer(&mut wire).await.unwrap();
    assert!(history.body.len() > 4 << 20, "{} bytes", history.body.len());
    assert_eq!(read_answer(&mut wire).await.unwrap().status, 200);
    let mut events = Events::answered(&broker, wire).await;
    events.expect(json!(["live", null, "@100"])).await;
    broker.publish("a", json!(1)).await;
    events.expect(json!(["message", "a", "@101", 1])).await;
}

#[tokio::test]
async fn what_follows_the_request_of_a_stream_is_not_answered() {
    let mut broker = Broker::start().await;
    let mut wire = broker.wire().await;
    let smuggled = Ask::new("POST", "/v1/topics/a").body("1").bytes("localhost");
    wire.write(&[ask().bytes("localhost"), smuggled.clone(), MORE.to_vec()].concat()).await.unwrap();
    let mut events = Events::answered(&broker, wire).await;
    events.expect(json!(["live", null, "@0"])).await;
    events.wire().write(&[&smuggled, MORE].concat()).await.unwrap();
    broker.publish("a", json!("first")).await;
    events.expect(json!(["message", "a", "@1", "first"])).await;
    drop(events);
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn a_request_with_a_body_is_a_stream_too() {
    let broker = Broker::start().await;
    let mut events = Events::open(&broker, broker.wire().await, &ask().body("{\"not\": \"read\"}")).await;
    events.expect(json!(["live", null, "@0"])).await;
    broker.publish("a", json!(1)).await;
    events.expect(json!(["message", "a", "@1", 1])).await;
}

#[tokio::test]
async fn a_client_that_ends_its_half_is_taken_for_gone() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    events.wire().finish().await;
    events.expect_end().await;
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    assert_eq!(broker.publish("a", json!(1)).await["heard"], false);
}

#[tokio::test]
async fn a_client_that_says_more_and_more_is_cut_off() {
    let mut broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    // Once it is cut off writing fails.
    while events.wire().write(MORE).await.is_ok() {}
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    broker.until_metric("fanfare_connections", |count| count == 1.0).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_goodbye_though_its_client_keeps_the_connection() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    broker.signal("TERM");
    assert_eq!(events.next().await.0[0], "goodbye");
    events.expect_end().await;
    events.wire().finish().await;
    let ended = broker.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
