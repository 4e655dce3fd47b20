//! What each trouble of Redis is answered with: to publishers over both edges, to subscribers, and to `/readyz`.

use fanfare_tests::{Ask, Broker, Client, Redis, Setup, within};
use serde_json::{Value, json};

async fn node(redis: &Redis) -> Broker {
    let node = Setup::node(redis).start().await;
    node.until_ready().await;
    node
}

/// A publish is refused with this code and reason, by HTTP and over a WebSocket, and may be tried again.
async fn refused(node: &Broker, client: &mut Client, code: &str, told: &[&str]) {
    let answer = node.post("/v1/topics/a", "text/plain", "x").await;
    answer.assert_problem(503, code, told);
    assert!(answer.header("retry-after").is_some(), "it may be tried again");
    let error = client.ask(json!(["publish", 7, "a", "x"])).await;
    assert_eq!((&error[0], &error[2]), (&json!("error"), &json!(code)), "{error}");
    assert!(
        told.iter().all(|word| error[3].as_str().unwrap().contains(word)),
        "{error} does not say {told:?}"
    );
    assert!(error[4]["retry_after_ms"].is_u64(), "{error}");
}

/// Waits until `/readyz` is red for a reason that says `what`.
async fn unready(node: &Broker, what: &str) {
    let wait = async { while !node.until_readiness(503).await.contains(what) {} };
    within(&format!("/readyz says {what:?}"), wait).await;
}

/// Publishes once it is possible again; the client hears it next, whatever was refused as unknown before.
async fn heals(node: &Broker, client: &mut Client, data: &str) {
    node.until_ready().await;
    let told = node.publish("a", json!(data)).await;
    assert!(told["position"].is_string(), "{told}");
    let heard = async { while client.next().await[3] != data {} };
    within("what was published", heard).await;
}

#[tokio::test]
async fn a_redis_that_is_gone_is_unavailable_and_so_is_one_that_is_stopped() {
    let mut redis = Redis::persistent();
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    redis.kill();
    unready(&a, "Redis").await;
    refused(&a, &mut client, "unavailable", &["Redis"]).await;
    redis.restart();
    heals(&a, &mut client, "back").await;
    redis.pause();
    let answer = a.post("/v1/topics/a", "text/plain", "x").await;
    answer.assert_problem(503, "unavailable", &["did not answer within 1000 ms", "is not known"]);
    unready(&a, "Redis has not answered for 2 s").await;
    refused(&a, &mut client, "unavailable", &[]).await;
    redis.resume();
    heals(&a, &mut client, "again").await;
}

#[tokio::test]
async fn a_redis_slower_than_a_publish_may_wait_leaves_it_open_and_a_retry_with_its_key_makes_one_message() {
    let redis = Redis::start();
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    let ask = Ask::new("POST", "/v1/topics/a")
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .body("1");
    redis.command::<()>(&["CLIENT", "PAUSE", "1500", "ALL"]);
    a.ask(&ask).await.assert_problem(503, "unavailable", &["did not answer within 1000 ms", "is not known"]);
    assert_eq!(a.get("/readyz").await.status, 200, "it is slow, and no more");
    client.expect(json!(["message", "a", "@1", 1])).await;
    let again = a.ask(&ask).await.json();
    assert_eq!(again["repeated"], true, "{again}");
    a.publish("a", json!(2)).await;
    client.expect(json!(["message", "a", "@2", 2])).await;
    assert_eq!(a.metric("fanfare_backplane_losses_total").await, 0.0);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_as_storage_full_and_nothing_was_published() {
    let redis = Redis::start();
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (mut client, mut publisher) = (b.follow("a").await, a.follow("other").await);
    a.publish("a", json!(1)).await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1mb"]);
    refused(&a, &mut publisher, "storage_full", &["memory"]).await;
    let item = json!([{"topic": "a", "data": "x"}]).to_string();
    let batch = a.post("/v1/publish", "application/json", item).await.json();
    assert_eq!(batch["results"][0]["error"]["code"], "storage_full", "{batch}");
    assert_eq!(a.get("/readyz").await.status, 200, "it still delivers");
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    a.publish("a", json!(2)).await;
    client.expect(json!(["message", "a", "@1", 1])).await;
    client.expect(json!(["message", "a", "@2", 2])).await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_or_lacks_its_own_is_unavailable_with_the_reason() {
    let (redis, primary) = (Redis::start(), Redis::start());
    let (host, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let answer = a.post("/v1/topics/a", "text/plain", "x").await;
    answer.assert_problem(503, "unavailable", &["NOREPLICAS"]);
    unready(&a, "NOREPLICAS").await;
    refused(&a, &mut client, "unavailable", &["NOREPLICAS"]).await;
    redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    heals(&a, &mut client, "enough").await;
    redis.command::<()>(&["REPLICAOF", &host, &port]);
    unready(&a, "read-only replica").await;
    refused(&a, &mut client, "unavailable", &["read-only replica"]).await;
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    a.until_ready().await;
}

#[tokio::test]
async fn a_redis_that_may_throw_away_what_it_keeps_serves_on_with_readyz_red() {
    let redis = Redis::start();
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru"]);
    unready(&a, "maxmemory-policy is allkeys-lru and must be noeviction").await;
    assert_eq!(a.publish("a", json!(1)).await["position"], "@1");
    client.expect(json!(["message", "a", "@1", 1])).await;
    let ok = a.follow("other").await.ask(json!(["publish", 7, "a", 2])).await;
    assert_eq!(ok[0], "ok", "{ok}");
    client.expect(json!(["message", "a", "@2", 2])).await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    a.until_ready().await;
}

#[tokio::test]
async fn doubts_are_counted_by_their_cause_with_the_gaps_that_came_of_them() {
    let mut redis = Redis::start();
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    let first = r#"fanfare_backplane_doubts_total{cause="connection"}"#;
    assert_eq!((a.metric(first).await, a.metric("fanfare_backplane_doubt_open").await), (1.0, 0.0));
    a.publish("a", json!(1)).await;
    client.expect(json!(["message", "a", "@1", 1])).await;
    redis.kill();
    a.until_metric("fanfare_backplane_doubt_open", |open| open == 1.0).await;
    redis.restart();
    let gap = client.next().await;
    assert_eq!((&gap[0], &gap[1]), (&json!("gap"), &Value::Null), "{gap}");
    a.until_metric("fanfare_backplane_doubt_open", |open| open == 0.0).await;
    for (name, count) in [
        (first, 2.0),
        (r#"fanfare_backplane_doubts_total{cause="hole"}"#, 0.0),
        (r#"fanfare_backplane_gaps_total{cause="life"}"#, 1.0),
        ("fanfare_backplane_lives_ended_total", 1.0),
        ("fanfare_backplane_doubt_seconds_count", 2.0),
    ] {
        assert_eq!(a.metric(name).await, count, "{name}");
    }
}
