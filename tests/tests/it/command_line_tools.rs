//! `fanfare publish`, `fanfare subscribe` and `fanfare bench` against a broker.

use fanfare_tests::{Broker, Ended, Setup};
use serde_json::{Value, json};

/// Runs a command of the binary against the broker until it ends.
async fn run(broker: &Broker, words: &[&str]) -> Ended {
    let url = format!("http://{}", broker.address);
    let setup = Setup::bare().flags(words).flags(&["--url", &url]);
    tokio::task::spawn_blocking(|| setup.run()).await.expect("running does not panic")
}

/// Ends the one session of the broker that has this many subscriptions, as an operator does.
async fn end_session(broker: &Broker, subscriptions: f64) {
    broker.until_metric("fanfare_subscriptions", |count| count == subscriptions).await;
    let sessions = broker.get("/v1/sessions").await.json();
    let session = sessions["sessions"][0]["session"].as_str().expect("a session has a name").to_owned();
    let answer = broker.ask(&fanfare_tests::Ask::new("DELETE", &format!("/v1/sessions/{session}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn what_is_published_is_told_with_its_place_and_who_heard_it() {
    let broker = Broker::start().await;
    let published = run(&broker, &["publish", "orders.eu", r#"{"id": 42}"#]).await;
    let line = format!("{}:1 heard by nobody\n", broker.epoch);
    assert_eq!((published.code, published.stdout, published.stderr), (Some(0), line, String::new()));
    for _ in 0..2 {
        let published = run(&broker, &["publish", "orders.eu", "text", "--key", "k"]).await;
        assert!(
            published.stdout.starts_with(&format!("{}:2 heard by nobody", broker.epoch)),
            "{}",
            published.stdout
        );
    }
    let history = broker.get("/v1/topics/orders.eu/messages").await.json();
    let data: Vec<&Value> = history["frames"].as_array().unwrap().iter().map(|frame| &frame[3]).collect();
    assert_eq!(data, [&json!({"id": 42}), &json!("text")]);
}

#[tokio::test]
async fn a_refusal_is_a_sentence_with_what_the_broker_says() {
    let broker = Broker::start().await;
    let long = "x".repeat(70_000);
    let refused = run(&broker, &["publish", "a", &long]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    for told in ["fanfare: nothing was published to a: ", "70000 bytes, the limit is 65536", "(too_large)"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    let nobody = Setup::bare().flags(&["publish", "a", "x", "--url", "http://127.0.0.1:1"]).run();
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("no broker answers at 127.0.0.1:1"), "{}", nobody.stderr);
}

#[tokio::test]
async fn a_subscriber_prints_what_was_and_what_comes_and_where_to_go_on() {
    let broker = Broker::start().await;
    broker.publish("orders.eu", json!({"id": 1})).await;
    let follow = async { run(&broker, &["subscribe", "orders.>", "--last", "1"]).await };
    let publish = async {
        broker.until_metric("fanfare_subscriptions", |count| count == 1.0).await;
        broker.publish("orders.us", json!({"id": 2})).await;
        end_session(&broker, 1.0).await;
    };
    let (ended, ()) = tokio::join!(follow, publish);
    let epoch = &broker.epoch;
    let lines = format!("orders.eu {epoch}:1 {{\"id\":1}}\norders.us {epoch}:2 {{\"id\":2}}\n");
    assert_eq!((ended.code, ended.stdout), (Some(1), lines), "{}", ended.stderr);
    assert!(ended.stderr.contains("(4003)"), "{}", ended.stderr);
    let go_on = format!("fanfare subscribe 'orders.>' --after {epoch}:2");
    assert!(ended.stderr.contains(&go_on), "{}", ended.stderr);
}

#[tokio::test]
async fn programs_get_frames_and_a_cursor_goes_on_without_a_hole() {
    let broker = Broker::start().await;
    for id in 1..=3 {
        broker.publish("a.b", json!(id)).await;
    }
    let epoch = &broker.epoch;
    let after = format!("{epoch}:1");
    let follow = async { run(&broker, &["subscribe", "--json", "a.*", "--after", &after]).await };
    let (ended, ()) = tokio::join!(follow, end_session(&broker, 1.0));
    let frames: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<&Value> = frames.iter().map(|frame| &frame[2]).collect();
    let expected = [2, 3, 3].map(|seq| json!(format!("{epoch}:{seq}")));
    assert_eq!(places, expected.iter().collect::<Vec<_>>(), "{}", ended.stdout);
    assert_eq!(frames[2][0], "live");
}

#[tokio::test]
async fn a_bench_counts_every_delivery() {
    let broker = Broker::start().await;
    let steady =
        ["bench", "--json", "--seconds", "1", "--subscribers", "30", "--topics", "2", "--rate", "40"];
    let ended = run(&broker, &steady).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["published"], &report["deliveries"]), (&json!(40), &json!(600)), "{report}");
    assert_eq!((&report["missing"], &report["gaps"], &report["cuts"]), (&json!(0), &json!(0), &json!(0)));
    assert!(report["latency_ms"]["p99.9"].as_f64() > Some(0.0), "{report}");
    let fast = [
        "bench",
        "--encoding",
        "msgpack",
        "--seconds",
        "1",
        "--subscribers",
        "3",
        "--publishers",
        "2",
        "--batch",
        "5",
    ];
    let ended = run(&broker, &fast).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(" 0 missing, 0 gaps, 0 cuts\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("n/a of memory a connection\n"), "{}", ended.stdout);
}
