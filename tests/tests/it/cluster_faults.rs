//! What happens to Redis, and what clients of the nodes are told of it.

use std::time::Duration;

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client, Proxy, Redis, Setup, Way};
use serde_json::{Value, json};

async fn node(redis: &Redis) -> Broker {
    let node = Setup::node(redis).start().await;
    node.until_ready().await;
    node
}

/// What a publish is answered with, once it is not answered with 503.
async fn publish_in_time(node: &Broker, topic: &str, data: Value) -> Value {
    loop {
        let answer = node.post(&format!("/v1/topics/{topic}"), "application/json", data.to_string()).await;
        if answer.status != 503 {
            return answer.json();
        }
    }
}

/// The next frame that is no ping.
async fn next(client: &mut Client) -> Value {
    loop {
        let frame = client.next().await;
        if frame[0] != "ping" {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_redis_that_comes_back_with_its_data_is_noticed_by_nobody() {
    let mut redis = Redis::persistent();
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut client = b.follow("a").await;
    a.publish("a", json!(1)).await;
    client.expect(json!(["message", "a", "@1", 1])).await;
    redis.kill();
    a.until_readiness(503).await;
    a.post("/v1/topics/a", "text/plain", "lost").await.assert_problem(503, "unavailable", &["Redis"]);
    let refused = client.ask(json!(["publish", 1, "a", "lost"])).await;
    assert_eq!((&refused[0], &refused[2]), (&json!("error"), &json!("unavailable")), "{refused}");
    assert!(refused[4]["retry_after_ms"].is_u64(), "{refused}");
    redis.restart();
    let told = publish_in_time(&a, "a", json!(2)).await;
    let frame = next(&mut client).await;
    assert_eq!(
        (&frame[0], &frame[2], &frame[3]),
        (&json!("message"), &told["position"], &json!(2)),
        "{frame}"
    );
    let mut resumed = b.connect(Encoding::Json).await;
    let ok = resumed.ask(json!(["subscribe", 1, "a", {"after": "@1"}])).await;
    assert_eq!(ok[2]["resumed"], true, "{ok}");
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_to_every_subscriber() {
    let mut redis = Redis::start();
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut client = b.follow("a").await;
    a.publish("a", json!(1)).await;
    client.expect(json!(["message", "a", "@1", 1])).await;
    redis.restart();
    let gap = next(&mut client).await;
    assert_eq!((&gap[0], &gap[1], &gap[2]), (&json!("gap"), &Value::Null, &json!("@1")), "{gap}");
    assert!(gap[3].as_str().unwrap().ends_with(":0"), "{gap}");
    let told = publish_in_time(&a, "a", json!(2)).await;
    let frame = next(&mut client).await;
    assert_eq!((&frame[2], &frame[3]), (&told["position"], &json!(2)));
}

#[tokio::test]
async fn a_redis_that_comes_back_with_less_is_told_to_those_who_saw_what_is_lost_and_to_nobody_else() {
    let mut redis = Redis::hasty();
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (mut saw_all, mut saw_one) = (b.follow("a").await, b.follow("a").await);
    a.publish("a", json!(1)).await;
    for client in [&mut saw_all, &mut saw_one] {
        client.expect(json!(["message", "a", "@1", 1])).await;
    }
    drop(saw_one);
    redis.save();
    a.publish("a", json!("lost")).await;
    saw_all.expect(json!(["message", "a", "@2", "lost"])).await;
    redis.restart_as_saved();
    let gap = next(&mut saw_all).await;
    assert_eq!((&gap[0], &gap[1], &gap[2]), (&json!("gap"), &Value::Null, &json!("@2")), "{gap}");
    b.until_ready().await;
    let mut saw_one = b.connect(Encoding::Json).await;
    let ok = saw_one.ask(json!(["subscribe", 1, "a", {"after": "@1"}])).await;
    assert_eq!((&ok[0], &ok[2]["resumed"]), (&json!("ok"), &json!(true)), "{ok}");
    assert_eq!(next(&mut saw_one).await, json!(["live", "a", gap[3]]));
    let told = publish_in_time(&a, "a", json!(2)).await;
    assert_ne!(told["position"], format!("{}:2", a.epoch), "a position is used twice");
    for client in [&mut saw_all, &mut saw_one] {
        let frame = next(client).await;
        assert_eq!((&frame[2], &frame[3]), (&told["position"], &json!(2)), "{frame}");
    }
}

#[tokio::test]
async fn a_stopped_redis_makes_nodes_unready_and_is_found_again() {
    let redis = Redis::start();
    let a = node(&redis).await;
    let mut client = a.follow("a").await;
    redis.pause();
    let refused = a.post("/v1/topics/a", "text/plain", "x").await;
    refused.assert_problem(503, "unavailable", &[]);
    a.until_readiness(503).await;
    redis.resume();
    a.until_ready().await;
    let told = publish_in_time(&a, "a", json!("back")).await;
    let told = told["position"].as_str().unwrap().replace(&a.epoch, "").replace(':', "@");
    // What was refused as unknown may have been published after all.
    let mut frame = next(&mut client).await;
    while frame[2] != told {
        frame = next(&mut client).await;
    }
    assert_eq!(frame[3], "back");
}

#[tokio::test]
async fn a_replica_a_wrong_password_and_an_evicting_policy_are_told_by_readyz() {
    let (redis, primary) = (Redis::start(), Redis::start());
    let (host, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
    redis.command::<()>(&["REPLICAOF", &host, &port]);
    let a = Setup::node(&redis).start().await;
    assert!(a.until_readiness(503).await.contains("read-only replica"));
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    a.until_ready().await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "volatile-ttl"]);
    assert!(a.until_readiness(503).await.contains("volatile-ttl"));
    let url = format!("redis://someone:secret-of-mine@{}", redis.address);
    let b = Setup::new().variable("FANFARE__BACKPLANE__REDIS", &url).start().await;
    assert!(b.until_readiness(503).await.contains("user or password"));
    let said = b.end_by("INT").stderr;
    assert!(!said.contains("secret-of-mine"), "{said}");
}

#[tokio::test]
async fn a_node_starts_without_its_redis_and_is_ready_once_it_is_there() {
    let mut redis = Redis::start();
    redis.kill();
    let mut a = Setup::node(&redis).start().await;
    assert!(a.until_readiness(503).await.contains("refused"));
    a.get("/v1/topics/a/messages").await.assert_problem(503, "unavailable", &[]);
    a.get("/v1/topics").await.assert_problem(503, "unavailable", &[]);
    redis.restart();
    a.until_ready().await;
    a.learn_epoch().await;
    assert_eq!(a.publish("a", json!(1)).await["position"], "@1");
}

#[tokio::test]
async fn a_broker_does_not_start_on_what_another_version_made() {
    let redis = Redis::start();
    redis.command::<u64>(&["HSET", "{fanfare:0}/record", "version", "9", "partitions", "1"]);
    let ended = Setup::node(&redis).run();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("has version 9") && ended.stderr.contains("backplane.prefix"),
        "{}",
        ended.stderr
    );
}

/// A node that reaches its Redis through a proxy.
async fn behind(proxy: &Proxy) -> Broker {
    let url = format!("redis://{}", proxy.address());
    let node = Setup::new().variable("FANFARE__BACKPLANE__REDIS", &url).start().await;
    node.until_ready().await;
    node
}

#[tokio::test]
async fn a_node_that_is_cut_off_in_any_way_is_unready_and_its_clients_miss_nothing() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let (a, b) = (behind(&proxy).await, node(&redis).await);
    let mut client = a.follow("a").await;
    let cuts: [fn(&Proxy); 4] =
        [Proxy::stall, |proxy| proxy.hold(Way::In), |proxy| proxy.hold(Way::Out), Proxy::refuse];
    for (round, cut) in cuts.into_iter().enumerate() {
        cut(&proxy);
        let told = b.publish("a", json!(round)).await;
        assert!(told["position"].is_string(), "{told}");
        a.until_readiness(503).await;
        a.post("/v1/topics/elsewhere", "text/plain", "x").await.assert_problem(503, "unavailable", &[]);
        proxy.heal();
        a.until_ready().await;
        let frame = next(&mut client).await;
        assert_eq!((&frame[0], &frame[2], &frame[3]), (&json!("message"), &told["position"], &json!(round)));
    }
}

#[tokio::test]
async fn a_node_that_takes_less_than_comes_is_cut_off_by_redis_and_its_clients_miss_nothing() {
    let redis = Redis::impatient();
    let proxy = Proxy::narrow(redis.address);
    let (a, b) = (node(&redis).await, behind(&proxy).await);
    let mut client = b.follow("a").await;
    b.signal("STOP");
    let filling = "x".repeat(60_000);
    for round in 0..100 {
        let told = a.publish("a", json!([round, filling])).await;
        assert!(told["position"].is_string(), "{told}");
    }
    b.signal("CONT");
    for round in 0..100 {
        let frame = next(&mut client).await;
        assert_eq!((&frame[0], &frame[3][0]), (&json!("message"), &json!(round)));
    }
    b.logged("Redis cuts the node off", |line| line.contains("closed the connection").then_some(()));
    assert!(b.metric("fanfare_backplane_reads_total").await > 0.0, "what it missed was read");
}

#[tokio::test]
async fn a_slow_and_uneven_network_breaks_no_connection() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    proxy.delay(Duration::from_millis(50), Duration::from_millis(100));
    let (a, b) = (behind(&proxy).await, node(&redis).await);
    let mut client = a.follow("a").await;
    for round in 0..20 {
        b.publish("a", json!(round)).await;
    }
    for round in 0..20 {
        assert_eq!(next(&mut client).await[3], round);
    }
    assert_eq!(a.publish("a", json!("own")).await["heard"], true);
    assert_eq!(next(&mut client).await[3], "own");
    a.until_metric("fanfare_backplane_probe_seconds_count", |count| count >= 3.0).await;
    assert_eq!(a.metric("fanfare_backplane_losses_total").await, 0.0);
}

#[tokio::test]
async fn many_who_resume_at_once_share_a_read() {
    let redis = Redis::start();
    let (a, b) = (node(&redis).await, node(&redis).await);
    a.publish_numbers("a", 0..50).await;
    let reads = b.metric("fanfare_backplane_reads_total").await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(b.connect(Encoding::Json).await);
    }
    for client in &mut clients {
        client.send(json!(["subscribe", 1, "a", {"after": "@0"}])).await;
    }
    for client in &mut clients {
        client.expect(json!(["ok", 1, {"cursor": "@0", "resumed": true}])).await;
        for number in 0..50 {
            assert_eq!(next(client).await[2][3], number);
        }
        client.expect(json!(["live", "a", "@50"])).await;
    }
    let made = b.metric("fanfare_backplane_reads_total").await - reads;
    assert!(made <= 2.0, "{made} reads for 20 who resume");
}
