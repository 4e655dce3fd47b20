//! Publishing, and following what is published.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker};
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_reaches_who_follows_its_topic_and_the_publisher_learns_who_heard() {
    let broker = Broker::start().await;
    let told = broker.publish("orders.eu", json!({"id": 1})).await;
    let expected = json!({"topic": "orders.eu", "position": "@1", "heard": false, "receivers": 0});
    assert_eq!(told, expected);

    let mut exact = broker.connect(Encoding::Json).await;
    exact.send(json!(["subscribe", 1, "orders.eu"])).await;
    exact.expect(json!(["ok", 1, {"cursor": "@1"}])).await;
    let told = broker.publish("orders.eu", json!({"id": 2})).await;
    assert_eq!((&told["heard"], &told["receivers"]), (&json!(true), &json!(1)));
    exact.expect(json!(["message", "orders.eu", "@2", {"id": 2}])).await;

    let mut wide = broker.connect(Encoding::MessagePack).await;
    wide.send(json!(["subscribe", 9, "orders.>"])).await;
    wide.expect(json!(["ok", 9, {"cursor": "@2"}])).await;
    let told = broker.publish("orders.eu", json!([3, null, -1.5])).await;
    assert_eq!(told["heard"], true);
    assert!(broker.publish("invoices.eu", json!(4)).await["heard"] == false);
    broker.publish("orders.us", json!("5")).await;
    exact.expect(json!(["message", "orders.eu", "@3", [3, null, -1.5]])).await;
    wide.expect(json!(["message", "orders.eu", "@3", [3, null, -1.5]])).await;
    wide.expect(json!(["message", "orders.us", "@5", "5"])).await;
}

#[tokio::test]
async fn clients_publish_in_either_encoding_and_are_answered_in_order() {
    let broker = Broker::start().await;
    let mut follower = broker.follow("a.>").await;
    let mut seq = 0;
    for encoding in Encoding::ALL {
        let mut publisher = broker.connect(encoding).await;
        publisher.send_all((1..=50).map(|id| json!(["publish", id, "a.b", {"id": id}]))).await;
        for id in 1..=50 {
            seq += 1;
            let position = format!("@{seq}");
            publisher.expect(json!(["ok", id, {"position": position, "heard": true, "receivers": 1}])).await;
            follower.expect(json!(["message", "a.b", position, {"id": id}])).await;
        }
    }
}

#[tokio::test]
async fn who_publishes_to_itself_gets_its_own_message_unless_it_asked_not_to() {
    let broker = Broker::start().await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, "a", {"echo": false}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@0"}])).await;
    client.send(json!(["publish", 2, "a", "mine"])).await;
    client.expect(json!(["ok", 2, {"position": "@1", "heard": false, "receivers": 0}])).await;
    broker.publish("a", json!("another's")).await;
    client.expect(json!(["message", "a", "@2", "another's"])).await;

    client.send(json!(["subscribe", 3, "*"])).await;
    client.expect(json!(["ok", 3, {"cursor": "@2"}])).await;
    client.send(json!(["publish", 4, "a", "mine"])).await;
    let mut answers = [client.next().await, client.next().await];
    answers.sort_by_key(|answer| answer[0].to_string());
    assert_eq!(answers[0], json!(["message", "a", "@3", "mine"]));
    assert_eq!((&answers[1][0], &answers[1][2]["heard"]), (&json!("ok"), &json!(true)));
}

#[tokio::test]
async fn after_unsubscribing_nothing_comes_and_a_filter_is_followed_once() {
    let broker = Broker::start().await;
    let mut client = broker.follow("a").await;
    client.send(json!(["subscribe", 2, "a"])).await;
    client.expect_error(Some(2), "already_subscribed", &["\"a\""]).await;
    client.send(json!(["unsubscribe", 3, "a"])).await;
    client.expect(json!(["ok", 3, {}])).await;
    let told = broker.publish("a", json!(1)).await;
    assert_eq!((&told["heard"], &told["receivers"]), (&json!(false), &json!(0)));
    client.send(json!(["unsubscribe", 4, "a"])).await;
    client.expect_error(Some(4), "not_subscribed", &["\"a\""]).await;
}

#[tokio::test]
async fn a_message_comes_once_however_many_filters_of_a_session_match() {
    let broker = Broker::start().await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send_all(["a.b", "a.*", "*.b", "a.>", ">"].map(|filter| json!(["subscribe", 1, filter]))).await;
    for _ in 0..5 {
        client.expect(json!(["ok", 1, {"cursor": "@0"}])).await;
    }
    broker.publish("a.b", json!(1)).await;
    broker.publish("a.c", json!(2)).await;
    client.expect(json!(["message", "a.b", "@1", 1])).await;
    client.expect(json!(["message", "a.c", "@2", 2])).await;
}

#[tokio::test]
async fn headers_and_types_reach_subscribers_as_they_are() {
    let broker = Broker::start().await;
    let mut follower = broker.follow("a").await;
    let mut publisher = broker.connect(Encoding::MessagePack).await;
    let options = json!({"type": "text/markdown", "headers": {"trace": "4bf92f", "é": ""}, "later": [1]});
    publisher.send(json!(["publish", 1, "a", "# hi", options])).await;
    let meta = json!({"type": "text/markdown", "headers": {"trace": "4bf92f", "é": ""}});
    follower.expect(json!(["message", "a", "@1", "# hi", meta])).await;
}

#[tokio::test]
async fn a_batch_succeeds_or_fails_item_by_item() {
    let broker = Broker::start().await;
    let mut follower = broker.follow(">").await;
    let body = json!([
        {"topic": "a", "data": {"order": 42}},
        {"topic": "a b", "data": 1},
        {"topic": "notes", "data": "hi", "type": "text/plain", "headers": {"trace": "4bf92f"}, "ttl_s": 60},
        {"data": 1},
        7,
        {"topic": "icons", "data": "iVBORw==", "encoding": "base64", "type": "image/png"},
        {"topic": "a", "data": "?", "encoding": "base64"},
    ]);
    let answer = broker.post("/v1/publish", "application/json", body.to_string()).await.json();
    let results = answer["results"].as_array().unwrap();
    let codes: Vec<&Value> = results.iter().map(|result| &result["error"]["code"]).collect();
    let none = Value::Null;
    let expected = [
        &none,
        &json!("bad_topic"),
        &none,
        &json!("bad_request"),
        &json!("bad_request"),
        &none,
        &json!("bad_data"),
    ];
    assert_eq!(codes, expected);
    assert!(results[3]["error"]["detail"].as_str().unwrap().contains("topic"), "{answer}");
    follower.expect(json!(["message", "a", "@1", {"order": 42}])).await;
    follower
        .expect(
            json!(["message", "notes", "@2", "hi", {"type": "text/plain", "headers": {"trace": "4bf92f"}}]),
        )
        .await;
    follower
        .expect(json!(["message", "icons", "@3", "iVBORw==", {"encoding": "base64", "type": "image/png"}]))
        .await;
}

#[tokio::test]
async fn a_batch_that_is_no_list_or_too_long_publishes_nothing() {
    let broker =
        Broker::with("[limits]\nbatch_items = 3\nframe_bytes = \"1KiB\"\nbatch_bytes = \"2KiB\"").await;
    let item = json!({"topic": "a", "data": 1});
    let long = json!([{"topic": "a", "data": "x".repeat(3_000)}]).to_string();
    for (body, status, code, told) in [
        (item.to_string(), 400, "bad_frame", "no array"),
        (String::new(), 400, "bad_frame", ""),
        ("[1,".to_owned(), 400, "bad_frame", ""),
        (
            json!([item, item, item, item]).to_string(),
            429,
            "limit",
            "4 items, the limit is 3 (limits.batch_items)",
        ),
        (long, 413, "too_large", "the limit is 2048 (limits.batch_bytes)"),
    ] {
        broker.post("/v1/publish", "application/json", body).await.assert_problem(status, code, &[told]);
    }
    let one_too_large = json!([item, {"topic": "a", "data": "x".repeat(1_500)}]).to_string();
    let answer = broker.post("/v1/publish", "application/json", one_too_large).await.json();
    assert_eq!(answer["results"][1]["error"]["code"], "too_large");
    assert_eq!(broker.get_json("/v1/topics/a/messages").await["cursor"], "@1");
}

#[tokio::test]
async fn a_retry_with_the_same_idempotency_key_publishes_once() {
    let broker = Broker::start().await;
    let mut follower = broker.follow("pay").await;
    let keyed = |data: &str, key: &str| {
        Ask::new("POST", "/v1/topics/pay")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(data)
    };
    let first = broker.ask(&keyed("{\"cents\": 5}", "k1")).await.json();
    let again = broker.ask(&keyed("{\"cents\": 5}", "k1")).await.json();
    assert_eq!((&first["position"], &first["repeated"]), (&again["position"], &Value::Null));
    assert_eq!(again["repeated"], true);
    broker.ask(&keyed("{\"cents\": 6}", "k1")).await.assert_problem(
        422,
        "idempotency_mismatch",
        &["idempotency key"],
    );

    let mut client = broker.connect(Encoding::Json).await;
    client
        .send_all([
            json!(["publish", 1, "pay", {"cents": 9}, {"idempotency_key": "k2"}]),
            json!(["publish", 2, "pay", {"cents": 9}, {"idempotency_key": "k2"}]),
            json!(["publish", 3, "pay", {"cents": 8}, {"idempotency_key": "k2"}]),
            json!(["publish", 4, "pay2", {"cents": 8}, {"idempotency_key": "k2"}]),
        ])
        .await;
    client.expect(json!(["ok", 1, {"position": "@2", "heard": true, "receivers": 1}])).await;
    let again = client.next().await;
    assert_eq!(
        (&again[0], &again[2]["position"], &again[2]["repeated"]),
        (&json!("ok"), &json!("@2"), &json!(true))
    );
    client.expect_error(Some(3), "idempotency_mismatch", &["idempotency key"]).await;
    client.expect(json!(["ok", 4, {"position": "@3", "heard": false, "receivers": 0}])).await;

    follower.expect(json!(["message", "pay", "@1", {"cents": 5}])).await;
    follower.expect(json!(["message", "pay", "@2", {"cents": 9}])).await;
    broker.publish("pay", json!("last")).await;
    follower.expect(json!(["message", "pay", "@4", "last"])).await;
}

#[tokio::test]
async fn a_message_past_its_time_to_live_is_skipped_and_is_no_hole() {
    let broker = Broker::start().await;
    broker.publish("a", json!("before")).await;
    broker.post("/v1/topics/a?ttl_s=1", "application/json", "\"fleeting\"").await.json();
    broker.publish("a", json!("after")).await;
    let kept =
        |topic: &'static str| async { broker.get_json(topic).await["frames"].as_array().unwrap().len() };
    let target = "/v1/topics/a/messages";
    assert_eq!(kept(target).await, 3);
    fanfare_tests::within("the time to live", async { while kept(target).await > 2 {} }).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, "a", {"after": "@0"}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@0", "resumed": true}])).await;
    client.expect(json!(["replay", "a", ["message", "a", "@1", "before"]])).await;
    client.expect(json!(["replay", "a", ["message", "a", "@3", "after"]])).await;
    client.expect(json!(["live", "a", "@3"])).await;
}
