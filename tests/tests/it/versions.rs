//! A version and the one behind it, on one Redis: what one writes the other reads; what is further away is refused.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, Client, Redis, Setup};
use serde_json::{Value, json};

const RECORD: &str = "{fanfare:0}/record";

async fn started(setup: Setup) -> Broker {
    let node = setup.start().await;
    node.until_ready().await;
    node
}

/// A Redis with a node of this version and one of the next.
async fn neighbours() -> (Redis, Broker, Broker) {
    let redis = Redis::start();
    let own = started(Setup::node(&redis)).await;
    let next = started(Setup::node(&redis).next_version()).await;
    (redis, own, next)
}

fn message(topic: &str, at: u64, data: impl Into<Value>) -> Value {
    json!(["message", topic, format!("@{at}"), data.into()])
}

fn version_of(redis: &Redis) -> String {
    redis.command(&["HGET", RECORD, "version"])
}

/// Checks that everything that a node was told could be read.
async fn assert_read_everything(nodes: &[&Broker]) {
    for node in nodes {
        assert_eq!(node.metric("fanfare_backplane_unreadable_total").await, 0.0);
        assert_eq!(node.metric("fanfare_backplane_losses_total").await, 0.0);
    }
}

#[tokio::test]
async fn a_version_and_the_next_hear_each_other() {
    let (redis, own, next) = neighbours().await;
    assert_eq!(version_of(&redis), "2");
    let mut at_own = own.follow("orders.>").await;
    let mut at_next = next.connect(Encoding::MessagePack).await;
    at_next.ask(json!(["subscribe", 1, "orders.eu"])).await;
    for (number, node) in [(1, &own), (2, &next), (3, &next), (4, &own)] {
        let told = node.publish("orders.eu", json!({"n": number})).await;
        assert_eq!(told["heard"], true, "{told}");
        for client in [&mut at_own, &mut at_next] {
            client.expect(message("orders.eu", number, json!({"n": number}))).await;
        }
    }
    let (mut from, mut to) = (at_own, at_next);
    for number in [5, 6] {
        let meta = json!({"type": "text/markdown", "headers": {"a": "1"}, "ttl_s": 60});
        from.send(json!(["publish", 2, "orders.eu", "said", meta])).await;
        let meta = json!({"type": "text/markdown", "headers": {"a": "1"}});
        to.expect(json!(["message", "orders.eu", format!("@{number}"), "said", meta])).await;
        // The answer and the message come to the publisher in either order.
        let both = [from.next().await, from.next().await];
        assert!(both.iter().any(|frame| frame[0] == "ok"), "{both:?}");
        assert!(both.iter().any(|frame| frame[0] == "message"), "{both:?}");
        std::mem::swap(&mut from, &mut to);
    }
    assert_read_everything(&[&own, &next]).await;
}

#[tokio::test]
async fn a_client_resumes_from_either_version_on_the_other() {
    let (_redis, own, next) = neighbours().await;
    for (from, to) in [(&own, &next), (&next, &own)] {
        from.publish_numbers("a.x", 0..20).await;
        to.publish_numbers("a.y", 20..40).await;
        let start = from.get_json("/v1/topics/a.x/messages?limit=1").await["frames"][0][2].clone();
        let mut resumed = to.connect(Encoding::Json).await;
        let ok = resumed.ask(json!(["subscribe", 1, "a.>", {"after": start}])).await;
        assert_eq!(ok, json!(["ok", 1, {"cursor": start, "resumed": true}]));
        for number in 20..40 {
            let frame = resumed.next().await;
            assert_eq!(
                (&frame[0], &frame[2][1], &frame[2][3]),
                (&json!("replay"), &json!("a.y"), &json!(number))
            );
        }
        assert_eq!(resumed.next().await[0], "live");
    }
    assert_read_everything(&[&own, &next]).await;
}

#[tokio::test]
async fn history_is_the_same_on_both_versions_and_cleared_on_both() {
    let (_redis, own, next) = neighbours().await;
    let mut clients = [own.follow("a").await, next.follow("a").await];
    let mut at = 0;
    for (here, there) in [(&own, &next), (&next, &own)] {
        for node in [here, there, here] {
            at += 1;
            node.publish("a", json!(at)).await;
        }
        let frames = [message("a", at - 2, at - 2), message("a", at - 1, at - 1), message("a", at, at)];
        let expected = json!({"frames": frames, "cursor": format!("@{at}"), "more": false});
        assert_eq!(here.get_json("/v1/topics/a/messages").await, expected);
        assert_eq!(there.get_json("/v1/topics/a/messages").await, expected);
        let cleared = here.ask(&Ask::new("DELETE", "/v1/topics/a/messages")).await.json();
        assert_eq!(cleared, json!({"topic": "a", "cleared": 3}));
        for node in [here, there] {
            assert_eq!(node.get_json("/v1/topics/a/messages").await["frames"], json!([]));
        }
    }
    for client in &mut clients {
        for number in 1..=at {
            client.expect(message("a", number, number)).await;
        }
    }
    assert_read_everything(&[&own, &next]).await;
}

#[tokio::test]
async fn a_retry_on_the_other_version_yields_one_message() {
    let (_redis, own, next) = neighbours().await;
    let mut client = own.follow("a").await;
    for (number, (here, there)) in [(1, (&own, &next)), (2, (&next, &own))] {
        let ask = |body: &str| {
            let ask = Ask::new("POST", "/v1/topics/a").header("content-type", "application/json");
            ask.header("idempotency-key", &format!("k{number}")).body(body)
        };
        let first = here.ask(&ask("1")).await.json();
        for node in [there, here] {
            let again = node.ask(&ask("1")).await.json();
            assert_eq!((&again["position"], &again["repeated"]), (&first["position"], &json!(true)));
            node.ask(&ask("2")).await.assert_problem(422, "idempotency_mismatch", &[]);
        }
        client.expect(message("a", number, 1)).await;
    }
    own.publish("a", json!(3)).await;
    client.expect(message("a", 3, 3)).await;
}

/// Ends a node, and starts one of either version in its place.
async fn replaced(node: Broker, setup: Setup) -> Broker {
    assert_eq!(node.end_by("TERM").code, Some(0));
    started(setup).await
}

#[tokio::test]
async fn one_node_goes_to_the_next_version_and_back_and_what_each_wrote_is_still_there() {
    let redis = Redis::start();
    let mut node = started(Setup::node(&redis)).await;
    let first = node.epoch.clone();
    for round in 0..4 {
        node.publish_numbers("a", round * 10..round * 10 + 10).await;
        let setup = Setup::node(&redis);
        node = replaced(node, if round % 2 == 0 { setup.next_version() } else { setup }).await;
        assert_eq!(node.epoch, first, "the numbering goes on");
        let mut client = node.connect(Encoding::Json).await;
        let ok = client.ask(json!(["subscribe", 1, "a", {"after": "@0"}])).await;
        assert_eq!(ok[2]["resumed"], true, "{ok}");
        for number in 0..round * 10 + 10 {
            client.expect(json!(["replay", "a", message("a", number + 1, number)])).await;
        }
        assert_eq!(client.next().await[0], "live");
        assert_read_everything(&[&node]).await;
    }
    assert_eq!(version_of(&redis), "2", "it is not lowered");
    let kept: Option<String> = redis.command(&["HGET", RECORD, "next"]);
    assert_eq!(kept.as_deref(), Some("something new"), "what only the next version knows is left as it is");
}

#[tokio::test]
async fn what_is_two_versions_away_refuses_the_start() {
    for (is_next, version) in [(false, "3"), (true, "4"), (true, "0")] {
        let redis = Redis::start();
        redis.command::<u64>(&["HSET", RECORD, "version", version, "partitions", "1"]);
        let setup = Setup::node(&redis);
        let ended = if is_next { setup.next_version() } else { setup }.run();
        assert_eq!(ended.code, Some(1));
        for word in [&format!("has version {version}"), "backplane.prefix"] {
            assert!(ended.stderr.contains(word), "{word:?}: {}", ended.stderr);
        }
        let left: Vec<String> = redis.command(&["HKEYS", RECORD]);
        assert_eq!(left, ["version", "partitions"], "nothing was written");
    }
}

/// The next frame that is no ping.
async fn next_frame(client: &mut Client) -> Value {
    loop {
        let frame = client.next().await;
        if frame[0] != "ping" {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_node_that_runs_when_a_version_two_ahead_comes_stops_serving_and_says_why() {
    let (redis, own, next) = neighbours().await;
    let mut client = own.follow("a").await;
    own.publish("a", json!(1)).await;
    client.expect(message("a", 1, 1)).await;
    redis.command::<u64>(&["HSET", RECORD, "version", "3"]);
    next.publish("a", json!(2)).await;
    assert!(own.until_readiness(503).await.contains("has version 3"));
    own.post("/v1/topics/a", "text/plain", "x").await.assert_problem(503, "unavailable", &["version 3"]);
    next.publish("a", json!(3)).await;
    assert_eq!(next.get("/readyz").await.status, 200, "it is but one version away");
    redis.command::<u64>(&["HSET", RECORD, "version", "2"]);
    own.until_ready().await;
    // Whether the second came before the node knew is chance; it comes once.
    for number in [2, 3] {
        assert_eq!(next_frame(&mut client).await, message("a", number, number));
    }
}
