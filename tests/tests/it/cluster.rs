//! Nodes that a Redis joins are one broker: what one is told is heard, replayed and known on all.

use std::collections::BTreeSet;

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, Client, Redis, Setup, within};
use serde_json::{Value, json};

/// A Redis and as many nodes.
async fn cluster<const N: usize>(config: &str) -> (Redis, [Broker; N]) {
    let redis = Redis::start();
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(node(&redis, config).await);
    }
    let nodes = nodes.try_into().unwrap_or_else(|_| panic!("as many as were started"));
    (redis, nodes)
}

async fn node(redis: &Redis, config: &str) -> Broker {
    let node = Setup::node(redis).config(config).start().await;
    node.until_ready().await;
    node
}

fn message(topic: &str, at: u64, data: impl Into<Value>) -> Value {
    json!(["message", topic, format!("@{at}"), data.into()])
}

/// A client that resumes `filter` from a cursor; whether nothing was missing.
async fn resume(node: &Broker, filter: &str, after: &str) -> (Client, Value) {
    let mut client = node.connect(Encoding::Json).await;
    let ok = client.ask(json!(["subscribe", 1, filter, {"after": after}])).await;
    assert_eq!((&ok[0], &ok[2]["cursor"]), (&json!("ok"), &json!(after)), "{ok}");
    (client, ok[2]["resumed"].clone())
}

#[tokio::test]
async fn what_one_node_is_told_is_heard_on_another() {
    let (_redis, [a, b]) = cluster("").await;
    let mut client = b.follow("orders.eu").await;
    let told = a.publish("orders.eu", json!(1)).await;
    assert_eq!(told, json!({"topic": "orders.eu", "position": "@1", "heard": true}));
    client.expect(message("orders.eu", 1, 1)).await;
    assert_eq!(a.publish("orders.us", json!(2)).await["heard"], false);
    let mut own = b.connect(Encoding::MessagePack).await;
    let ok = own.ask(json!(["publish", 1, "orders.eu", {"n": 3}])).await;
    assert_eq!(ok, json!(["ok", 1, {"position": "@3", "heard": true}]));
    client.expect(message("orders.eu", 3, json!({"n": 3}))).await;
}

#[tokio::test]
async fn a_client_resumes_on_a_node_that_never_saw_its_topic() {
    let (_redis, [a, b, c]) = cluster("").await;
    let mut client = b.follow("orders.>").await;
    for number in 1..=3 {
        a.publish("orders.eu", json!(number)).await;
        client.expect(message("orders.eu", number, number)).await;
    }
    drop(client);
    a.publish("orders.new", json!(4)).await;
    b.publish("orders.eu", json!(5)).await;
    let (mut client, resumed) = resume(&c, "orders.>", "@2").await;
    assert_eq!(resumed, true);
    for frame in [message("orders.eu", 3, 3), message("orders.new", 4, 4), message("orders.eu", 5, 5)] {
        client.expect(json!(["replay", "orders.>", frame])).await;
    }
    client.expect(json!(["live", "orders.>", "@5"])).await;
    a.publish("orders.eu", json!(6)).await;
    client.expect(message("orders.eu", 6, 6)).await;
}

#[tokio::test]
async fn what_was_trimmed_is_told_on_every_node() {
    let (_redis, [a, b]) = cluster("[[topics]]\nfilter = \"a\"\nhistory = { count = 2 }").await;
    a.publish_numbers("a", 1..6).await;
    let (mut client, resumed) = resume(&b, "a", "@1").await;
    assert_eq!(resumed, false);
    client.expect(json!(["replay", "a", ["gap", "a", "@1", "@3"]])).await;
    client.expect(json!(["replay", "a", message("a", 4, 4)])).await;
    client.expect(json!(["replay", "a", message("a", 5, 5)])).await;
    client.expect(json!(["live", "a", "@5"])).await;
}

#[tokio::test]
async fn wildcards_bring_topics_that_are_born_on_other_nodes() {
    let (_redis, [a, b]) = cluster("").await;
    for (filter, topic) in [
        ("a.>", "a.x.y"),
        ("*.tail", "b.tail"),
        ("c.d.e.f.g.>", "c.d.e.f.g.h"),
        ("e.*.f", "e.x.f"),
        (">", "z"),
    ] {
        let mut client = b.follow(filter).await;
        let told = a.publish(topic, json!(filter)).await;
        assert_eq!(told["heard"], true, "{filter}");
        client.expect(json!(["message", topic, told["position"], filter])).await;
    }
}

#[tokio::test]
async fn a_retry_on_another_node_yields_one_message() {
    let (_redis, [a, b]) = cluster("").await;
    let mut client = b.follow("a").await;
    let ask = |body: &str| {
        Ask::new("POST", "/v1/topics/a")
            .header("content-type", "application/json")
            .header("idempotency-key", "k")
            .body(body)
    };
    let first = a.ask(&ask("1")).await.json();
    let again = b.ask(&ask("1")).await.json();
    assert_eq!((&again["position"], &again["repeated"]), (&first["position"], &json!(true)));
    b.ask(&ask("2")).await.assert_problem(422, "idempotency_mismatch", &[]);
    client.expect(message("a", 1, 1)).await;
    a.publish("a", json!(3)).await;
    client.expect(message("a", 2, 3)).await;
}

#[tokio::test]
async fn history_is_the_same_on_all_nodes_and_cleared_on_all() {
    let (_redis, [a, b, c]) = cluster("").await;
    a.publish_numbers("a", 1..4).await;
    let expected = json!({"frames": [message("a", 1, 1), message("a", 2, 2), message("a", 3, 3)], "cursor": "@3", "more": false});
    for node in [&b, &c, &a] {
        assert_eq!(node.get_json("/v1/topics/a/messages").await, expected);
    }
    let mut client = b.follow("a").await;
    let cleared = c.ask(&Ask::new("DELETE", "/v1/topics/a/messages")).await.json();
    assert_eq!(cleared, json!({"topic": "a", "cleared": 3}));
    a.publish("a", json!(4)).await;
    client.expect(message("a", 4, 4)).await;
    for node in [&b, &c, &a] {
        let read = node.get_json("/v1/topics/a/messages").await;
        assert_eq!(read["frames"], json!([message("a", 4, 4)]));
    }
}

#[tokio::test]
async fn a_long_poll_is_answered_by_a_publish_on_another_node() {
    let (_redis, [a, b]) = cluster("").await;
    let target = format!("/v1/topics/a/messages?after={}:0&wait=30", b.epoch);
    let (answer, _) = tokio::join!(b.get_json(&target), async {
        b.until_metric("fanfare_subscriptions", |count| count == 1.0).await;
        a.publish("a", json!(1)).await
    });
    assert_eq!(answer["frames"], json!([message("a", 1, 1)]));
}

#[tokio::test]
async fn the_topics_of_all_nodes_are_listed_on_each() {
    let (_redis, [a, b]) = cluster("").await;
    for (node, topic) in [(&a, "x.b"), (&b, "x.a"), (&a, "y"), (&b, "x.b")] {
        node.publish(topic, json!(1)).await;
    }
    let listed = b.get_json("/v1/topics?filter=x.*").await;
    let shown: Vec<_> = listed["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|topic| (topic["topic"].clone(), topic["position"].clone(), topic["kept"].clone()))
        .collect();
    assert_eq!(shown, [(json!("x.a"), json!("@2"), json!(1)), (json!("x.b"), json!("@4"), json!(2))]);
    let _client = b.follow("x.b").await;
    for (node, followed) in [(&a, [0, 0]), (&b, [0, 1])] {
        let listed = node.get_json("/v1/topics?filter=x.*").await;
        let own = [0, 1].map(|at| listed["topics"][at]["subscriptions"].clone());
        assert_eq!(own, followed.map(Value::from), "each node tells of its own sessions");
        assert!(listed["topics"][0].get("published").is_none(), "nobody counts that: {listed}");
    }
    let page = a.get_json("/v1/topics?after=x.a&limit=1").await;
    assert_eq!((&page["topics"][0]["topic"], &page["more"]), (&json!("x.b"), &json!(true)));
}

#[tokio::test]
async fn a_session_that_wants_no_echo_gets_its_messages_on_no_way() {
    let (_redis, [a, b]) = cluster("").await;
    let mut client = a.connect(Encoding::Json).await;
    client.ask(json!(["subscribe", 1, "a", {"echo": false}])).await;
    let ok = client.ask(json!(["publish", 2, "a", "own"])).await;
    assert_eq!(ok[2]["position"], "@1");
    b.publish("a", json!("other")).await;
    client.expect(message("a", 2, "other")).await;
}

#[tokio::test]
async fn a_node_is_sent_only_what_its_own_clients_follow() {
    let (_redis, [a, b]) = cluster("").await;
    let mut client = b.follow("wanted.>").await;
    let received = "fanfare_backplane_received_bytes_total";
    let before = b.metric(received).await;
    for _ in 0..50 {
        a.publish("other.topic", json!("x".repeat(10_000))).await;
    }
    a.publish("wanted.topic", json!(1)).await;
    client.expect(message("wanted.topic", 51, 1)).await;
    let after = b.metric(received).await;
    assert!(after - before < 10_000.0, "{} bytes came that nobody follows", after - before);
}

#[tokio::test]
async fn brokers_with_different_prefixes_do_not_meet() {
    let redis = Redis::start();
    let a = node(&redis, "").await;
    let b = node(&redis, "[backplane]\nprefix = \"another\"").await;
    let mut client = b.follow(">").await;
    assert_eq!(a.publish("a", json!(1)).await["heard"], false);
    assert_eq!(b.publish("b", json!(2)).await["position"], "@1");
    client.expect(message("b", 1, 2)).await;
}

#[tokio::test]
async fn a_node_that_stops_sends_its_clients_to_another_that_misses_nothing() {
    let (_redis, [a, b]) = cluster("[drain]\nspread = \"0s\"").await;
    let mut client = a.follow("a").await;
    b.publish("a", json!(1)).await;
    client.expect(message("a", 1, 1)).await;
    let ended = a.end_by("TERM");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    b.publish("a", json!(2)).await;
    let (mut client, resumed) = resume(&b, "a", "@1").await;
    assert_eq!(resumed, true);
    client.expect(json!(["replay", "a", message("a", 2, 2)])).await;
    client.expect(json!(["live", "a", "@2"])).await;
}

#[tokio::test]
async fn sixteen_fast_publishers_lose_nothing() {
    let (_redis, [a, b]) = cluster("").await;
    let mut client = b.follow("load.*").await;
    let publishers = (0..16u64).map(|publisher| {
        let a = &a;
        async move {
            for round in 0..50u64 {
                let told = a.publish(&format!("load.{publisher}"), json!(round)).await;
                assert_eq!(told["heard"], true, "{told}");
            }
        }
    });
    let listen = async {
        let mut next = [0u64; 16];
        for _ in 0..800 {
            let frame = client.next().await;
            assert_eq!(frame[0], "message", "{frame}");
            let publisher: usize = frame[1].as_str().unwrap()[5..].parse().unwrap();
            assert_eq!(frame[3], next[publisher], "{frame}");
            next[publisher] += 1;
        }
    };
    let publish = futures(publishers.collect());
    within("800 messages", async { tokio::join!(publish, listen) }).await;
}

/// Runs all of them at once.
async fn futures(all: Vec<impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    std::future::poll_fn(move |context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn many_topics_are_resumed_at_once() {
    let (_redis, [a, b]) = cluster("").await;
    for topic in 0..600 {
        a.publish_numbers(&format!("many.{topic}"), 0..1).await;
    }
    let mut client = b.connect(Encoding::Json).await;
    let subscribe = |topic: u64| json!(["subscribe", topic + 1, format!("many.{topic}"), {"after": "@0"}]);
    client.send_all((0..600).map(subscribe)).await;
    let (mut oks, mut live, mut replayed) = (0, 0, BTreeSet::new());
    while live < 600 {
        let frame = client.next().await;
        match frame[0].as_str() {
            Some("ok") => {
                assert_eq!(
                    (&frame[2]["cursor"], &frame[2]["resumed"]),
                    (&json!("@0"), &json!(true)),
                    "{frame}"
                );
                oks += 1;
            }
            Some("replay") => {
                let topic = frame[1].as_str().unwrap();
                let number: u64 = topic["many.".len()..].parse().unwrap();
                assert_eq!(frame[2], message(topic, number + 1, 0), "{frame}");
                assert!(replayed.insert(number), "{frame} comes twice");
            }
            other => {
                assert_eq!(other, Some("live"), "{frame}");
                live += 1;
            }
        }
    }
    assert_eq!((oks, replayed.len()), (600, 600));
    assert_eq!(b.metric("fanfare_backplane_losses_total").await, 0.0);
}
