//! How streams of events end or do not begin: slow clients, goodbyes, refusals.

use fanfare_tests::{Ask, Broker, Events, Wire};
use serde_json::{Value, json};

const SLOW_CLOSES: &str = "fanfare_session_closes_total{code=\"4500\"}";
const TOPICS: [&str; 2] = ["a", "b"];
const NARROW: &str =
    "[limits]\noutbox_bytes = \"128KiB\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 100000 }";

/// A stream on whose connection little fits that is not read.
async fn narrow(broker: &Broker, query: &str) -> Events {
    let wire = Wire::open_narrow(broker.address).await;
    let mut events = Events::open(broker, wire, &Ask::new("GET", &format!("/v1/sse?{query}"))).await;
    assert_eq!(events.next().await.0[0], "live");
    events
}

/// Publishes 8 KiB to each of two topics, often.
async fn publish_much(broker: &Broker) {
    let text = "x".repeat(8 * 1024);
    let items: Vec<Value> = (0..60).map(|n| json!({"topic": TOPICS[n % 2], "data": text})).collect();
    broker.post("/v1/publish", "application/json", Value::from(items).to_string()).await.json();
}

#[tokio::test]
async fn a_stream_that_is_not_read_gets_an_unbroken_beginning_and_a_goodbye_and_resumes() {
    let mut broker = Broker::with(NARROW).await;
    let mut slow = narrow(&broker, "topic=a&topic=b").await;
    let mut reader = broker.follow(">").await;
    let mut published = 0;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        publish_much(&broker).await;
        for _ in 0..60 {
            published += 1;
            assert_eq!(reader.next().await[2], format!("@{published}"));
        }
        assert!(published < 20_000, "nobody was found to be slow");
    }
    let mut received = 0;
    let goodbye = loop {
        let (frame, _) = slow.next().await;
        if frame[0] != "message" {
            break frame;
        }
        received += 1;
        assert_eq!(frame[2], format!("@{received}"));
    };
    assert_eq!((&goodbye[0], &goodbye[1]), (&json!("goodbye"), &json!(4500)), "{goodbye}");
    slow.expect_end().await;
    assert!((1..published).contains(&received));
    let mut back = broker.stream("topic=a&topic=b", slow.last_event_id.as_deref()).await;
    for seq in received + 1..=published {
        assert_eq!(back.next().await.0[2], format!("@{seq}"));
    }
    back.expect(json!(["live", null, format!("@{published}")])).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn a_stream_that_is_never_read_again_is_cut_off() {
    let broker = Broker::with(NARROW).await;
    let _stuck = narrow(&broker, "topic=%3E").await;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        publish_much(&broker).await;
    }
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    // One connection is the one that asks.
    broker.until_metric("fanfare_connections", |count| count == 1.0).await;
}

#[tokio::test]
async fn a_stream_over_http_2_that_is_never_read_is_given_up() {
    let broker = Broker::with(NARROW).await;
    let mut stuck = Events::open_http2(&broker, "/v1/sse?topic=a&topic=b").await;
    stuck.expect(json!(["live", null, "@0"])).await;
    while broker.metric(SLOW_CLOSES).await == 0.0 {
        publish_much(&broker).await;
    }
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
}

#[tokio::test]
async fn a_stream_over_http_2_ends_behind_its_goodbye() {
    let broker = Broker::start().await;
    let mut events = Events::open_http2(&broker, "/v1/sse?topic=a").await;
    events.expect(json!(["live", null, "@0"])).await;
    broker.publish("a", json!(1)).await;
    events.expect(json!(["message", "a", "@1", 1])).await;
    broker.signal("TERM");
    let (goodbye, _) = events.next().await;
    assert_eq!((&goodbye[0], &goodbye[1]), (&json!("goodbye"), &json!(1012)), "{goodbye}");
    events.expect_end().await;
    assert_eq!(broker.ended().code, Some(0));
}

#[tokio::test]
async fn a_slow_stream_is_spared_by_its_policy_and_told_what_it_lacks() {
    for policy in ["drop", "latest"] {
        let broker = Broker::with(NARROW).await;
        let mut slow = narrow(&broker, &format!("topic=a&topic=b&on_slow={policy}")).await;
        let figure = if policy == "drop" { "dropped" } else { "replaced" };
        let mut published = 0;
        while broker.metric(&format!("fanfare_{figure}_messages_total")).await < 100.0 {
            publish_much(&broker).await;
            published += 60;
        }
        let (mut seq, mut skipped) = (0, 0);
        while seq < published {
            let (frame, _) = slow.next().await;
            let place = |index: usize| -> u64 {
                frame[index].as_str().and_then(|place| place.strip_prefix('@')).unwrap().parse().unwrap()
            };
            if frame[0] == "gap" {
                assert_eq!((place(2), policy), (seq, "drop"), "{frame}");
                seq = place(3);
                continue;
            }
            assert!(place(2) == seq + 1 || policy == "latest", "{} after {seq}", frame[2]);
            skipped += place(2) - seq - 1;
            seq = place(2);
        }
        assert!(skipped > 0 || policy == "drop");
        assert_eq!(broker.metric(SLOW_CLOSES).await, 0.0);
    }
}

#[tokio::test]
async fn a_stream_is_sent_away_with_the_time_to_come_back() {
    let broker = Broker::with("[drain]\nreconnect = \"5s\"").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut events = broker.stream("topic=a&topic=b", None).await;
        events.expect(json!(["live", null, "@0"])).await;
        streams.push(events);
    }
    broker.publish("a", json!(1)).await;
    broker.signal("TERM");
    for mut events in streams {
        events.expect(json!(["message", "a", "@1", 1])).await;
        let (goodbye, id) = events.next().await;
        assert_eq!((&goodbye[0], &goodbye[1]), (&json!("goodbye"), &json!(1012)), "{goodbye}");
        let after_ms = goodbye[3]["reconnect_after_ms"].as_u64().unwrap();
        assert!(after_ms <= 5_000);
        assert_eq!((events.retry_ms, id), (Some(after_ms.max(1_000)), None));
        events.expect_end().await;
    }
    let ended = broker.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn who_comes_while_it_stops_is_told_goodbye_and_not_refused() {
    let broker = Broker::with("[drain]\ndelay = \"1m\"").await;
    broker.signal("TERM");
    while broker.get("/readyz").await.status == 200 {}
    let answer = broker.get("/v1/sse?topic=a").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    let text = answer.text();
    assert!(text.starts_with("retry: ") && text.contains("data: [\"goodbye\",1012,"), "{text}");
    broker.signal("TERM");
    assert_eq!(broker.ended().code, Some(0));
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused() {
    let broker = Broker::with("[limits]\nsubscriptions = 100\nsessions_per_address = 2").await;
    let topics = |count: usize| {
        let topics: Vec<String> = (0..count).map(|n| format!("topic=t.{n}")).collect();
        topics.join("&")
    };
    for (query, status, code, told) in [
        ("".to_owned(), 400, "bad_request", &["topic"][..]),
        ("last=1".to_owned(), 400, "bad_request", &["topic"]),
        ("topic=a..b".to_owned(), 400, "bad_filter", &["a..b"]),
        ("topic=".to_owned(), 400, "bad_filter", &["topic"]),
        ("topic=a&filter=b".to_owned(), 400, "bad_request", &["filter", "on_slow"]),
        ("topic=a&last=0".to_owned(), 400, "bad_request", &["last", "0"]),
        ("topic=a&on_slow=wait".to_owned(), 400, "bad_request", &["on_slow", "latest"]),
        (topics(65), 429, "limit", &["64"]),
    ] {
        broker.get(&format!("/v1/sse?{query}")).await.assert_problem(status, code, told);
    }
    let post = broker.post("/v1/sse?topic=a", "text/plain", "").await;
    post.assert_problem(405, "method_not_allowed", &["GET"]);
    assert_eq!(post.header("allow"), Some("GET"));
    let token = Ask::new("GET", "/v1/sse?topic=a").header("authorization", "Bearer x");
    broker.ask(&token).await.assert_problem(501, "unsupported", &[]);

    let mut most = broker.stream(&topics(64), None).await;
    most.expect(json!(["live", null, "@0"])).await;
    broker.publish("t.63", json!(1)).await;
    most.expect(json!(["message", "t.63", "@1", 1])).await;
    let _second = broker.follow("a").await;
    broker.get("/v1/sse?topic=a").await.assert_problem(429, "limit", &["2 sessions"]);
    drop(most);
    broker.until_metric("fanfare_sessions", |count| count == 1.0).await;
    broker.stream("topic=a", None).await.expect(json!(["live", null, "@1"])).await;
}

#[tokio::test]
async fn the_limits_of_subscriptions_hold_for_streams_too() {
    let broker = Broker::with("[limits]\nsubscriptions = 2\nfilters = 3").await;
    broker.get("/v1/sse?topic=a&topic=b&topic=c").await.assert_problem(429, "limit", &["2 of one"]);
    let mut two = broker.stream("topic=a&topic=b", None).await;
    two.expect(json!(["live", null, "@0"])).await;
    broker.get("/v1/sse?topic=a&topic=b").await.assert_problem(429, "limit", &["3 of all"]);
    broker.stream("topic=c", None).await.expect(json!(["live", null, "@0"])).await;
}

#[tokio::test]
async fn a_listed_page_may_read_a_stream_and_another_may_not() {
    let broker = Broker::with("origins = [\"https://app.example\"]").await;
    let ask = Ask::new("GET", "/v1/sse?topic=a");
    let listed = ask.clone().header("origin", "https://app.example");
    let mut events = Events::open(&broker, broker.wire().await, &listed).await;
    assert_eq!(events.head.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(events.head.header("vary"), Some("origin"));
    events.expect(json!(["live", null, "@0"])).await;
    let foreign = ask.header("origin", "https://evil.example");
    broker.ask(&foreign).await.assert_problem(403, "forbidden", &["evil.example"]);
    // `Last-Event-ID` is no header that a page may send without asking.
    let preflight = Ask::new("OPTIONS", "/v1/sse?topic=a")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "last-event-id");
    let allowed = broker.ask(&preflight).await;
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("last-event-id"));
}
