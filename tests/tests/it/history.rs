//! Reading history: at once, page by page, as a long poll; and clearing it.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, read_answer, within};
use serde_json::{Value, json};

const SUBSCRIPTIONS: &str = "fanfare_subscriptions";

#[tokio::test]
async fn history_is_the_newest_or_the_oldest_above_a_cursor() {
    let broker = Broker::start().await;
    broker.publish_numbers("a", 1..6).await;
    let message = |seq: u64| json!(["message", "a", format!("@{seq}"), seq]);
    let all: Vec<Value> = (1..6).map(message).collect();
    let whole = json!({"frames": all, "cursor": "@5", "more": false});
    assert_eq!(broker.get_json("/v1/topics/a/messages").await, whole);
    let newest = json!({"frames": &all[3..], "cursor": "@5", "more": false});
    assert_eq!(broker.get_json("/v1/topics/a/messages?limit=2").await, newest);
    let mut client = broker.connect(Encoding::MessagePack).await;
    client.send(json!(["history", 1, "a", {"limit": 2}])).await;
    client.expect(json!(["ok", 1, newest])).await;

    let (mut cursor, mut read) = (format!("{}:0", broker.epoch), Vec::new());
    loop {
        let page = broker.get_json(&format!("/v1/topics/a/messages?limit=2&after={cursor}")).await;
        read.extend(page["frames"].as_array().unwrap().clone());
        cursor = page["cursor"].as_str().unwrap().replace('@', &format!("{}:", broker.epoch));
        client.send(json!(["history", 2, "a", {"after": cursor}])).await;
        let rest = client.next().await;
        assert_eq!(rest[2]["frames"].as_array().unwrap().len(), 5 - read.len());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(read, all);
}

#[tokio::test]
async fn above_the_brokers_own_limit_of_frames_the_brokers_counts() {
    let broker = Broker::with("[limits]\nhistory_frames = 2").await;
    broker.publish_numbers("a", 1..6).await;
    let first = format!("{}:0", broker.epoch);
    for (query, seqs, more) in [
        ("limit=4294967295".to_owned(), [4, 5], false),
        (format!("limit=3&after={first}"), [1, 2], true),
        (format!("after={first}"), [1, 2], true),
    ] {
        let read = broker.get_json(&format!("/v1/topics/a/messages?{query}")).await;
        let frames = seqs.map(|seq| json!(["message", "a", format!("@{seq}"), seq]));
        assert_eq!(
            read,
            json!({"frames": frames, "cursor": format!("@{}", seqs[1]), "more": more}),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_unknown_topic_has_an_empty_history() {
    let broker = Broker::start().await;
    broker.publish("b", json!(1)).await;
    let empty = json!({"frames": [], "cursor": "@1", "more": false});
    assert_eq!(broker.get_json("/v1/topics/a/messages").await, empty);
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["history", 1, "a"])).await;
    client.expect(json!(["ok", 1, empty])).await;
    assert_eq!(broker.metric("fanfare_topics").await, 1.0);
}

#[tokio::test]
async fn history_tells_what_was_trimmed() {
    let broker = Broker::with("[[topics]]\nfilter = \"a\"\nhistory = { count = 2 }").await;
    broker.publish_numbers("a", 0..5).await;
    let read = broker.get_json(&format!("/v1/topics/a/messages?after={}:1", broker.epoch)).await;
    let gap = json!(["gap", "a", "@1", "@3"]);
    let frames = json!([gap, ["message", "a", "@4", 3], ["message", "a", "@5", 4]]);
    assert_eq!(read, json!({"frames": frames, "cursor": "@5", "more": false}));
}

#[tokio::test]
async fn topics_in_a_path_are_percent_encoded() {
    let broker = Broker::start().await;
    let mut client = broker.follow("grüße/1%.a").await;
    let told = broker.publish("gr%C3%BC%C3%9Fe%2F1%25.a", json!(1)).await;
    assert_eq!(told["topic"], "grüße/1%.a");
    client.expect(json!(["message", "grüße/1%.a", "@1", 1])).await;
    let read = broker.get_json("/v1/topics/gr%C3%BC%C3%9Fe%2F1%25.a/messages").await;
    assert_eq!(read["frames"][0][1], "grüße/1%.a");
    let named = "messages";
    broker.publish(named, json!(2)).await;
    assert_eq!(broker.get_json("/v1/topics/messages/messages").await["frames"][0][1], named);
}

#[tokio::test]
async fn a_long_poll_is_answered_when_there_is_a_message() {
    let broker = Broker::start().await;
    broker.publish("a", json!("old")).await;
    let target = format!("/v1/topics/a/messages?after={}:1&wait=60", broker.epoch);
    let mut polls = Vec::new();
    for _ in 0..3 {
        let mut wire = broker.wire().await;
        wire.write(&Ask::new("GET", &target).bytes("localhost")).await.unwrap();
        polls.push(wire);
    }
    broker.until_metric(SUBSCRIPTIONS, |count| count == 3.0).await;
    broker.publish("b", json!("another's")).await;
    broker.publish("a", json!("new")).await;
    for wire in &mut polls {
        let answer = read_answer(wire).await.unwrap().json();
        assert_eq!(answer["frames"][0][3], "new");
        assert_eq!(answer["cursor"], format!("{}:3", broker.epoch));
    }
    broker.until_metric(SUBSCRIPTIONS, |count| count == 0.0).await;
    let at_once = broker.get_json(&target).await;
    assert_eq!(at_once["frames"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_ends_empty_after_its_time() {
    let broker = Broker::start().await;
    let answer = broker.get_json("/v1/topics/a/messages?wait=1").await;
    assert_eq!(answer, json!({"frames": [], "cursor": "@0", "more": false}));
    assert_eq!(broker.metric(SUBSCRIPTIONS).await, 0.0);
}

#[tokio::test]
async fn a_long_poll_whose_client_goes_away_ends() {
    let broker = Broker::start().await;
    let mut wire = broker.wire().await;
    wire.write(&Ask::new("GET", "/v1/topics/a/messages?wait=60").bytes("localhost")).await.unwrap();
    broker.until_metric(SUBSCRIPTIONS, |count| count == 1.0).await;
    drop(wire);
    broker.until_metric(SUBSCRIPTIONS, |count| count == 0.0).await;
    assert_eq!(broker.publish("a", json!(1)).await["heard"], false);
}

#[tokio::test]
async fn a_cleared_history_is_empty_and_its_positions_go_on() {
    let broker = Broker::start().await;
    broker.publish_numbers("a", 0..3).await;
    broker.publish_numbers("b", 3..4).await;
    let cleared = broker.ask(&Ask::new("DELETE", "/v1/topics/a/messages")).await.json();
    assert_eq!(cleared, json!({"topic": "a", "cleared": 3}));
    let empty = json!({"frames": [], "cursor": "@4", "more": false});
    assert_eq!(broker.get_json("/v1/topics/a/messages").await, empty);
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, ">", {"after": "@1"}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@1", "resumed": false}])).await;
    client.expect(json!(["replay", ">", ["gap", "a", "@1", "@3"]])).await;
    client.expect(json!(["replay", ">", ["message", "b", "@4", 3]])).await;
    client.expect(json!(["live", ">", "@4"])).await;
    assert_eq!(broker.publish("a", json!(5)).await["position"], "@5");
    broker.ask(&Ask::new("DELETE", "/v1/topics/a%20b/messages")).await.assert_problem(
        400,
        "bad_topic",
        &["a b"],
    );
}

#[tokio::test]
async fn a_bad_query_is_told_with_its_parameter_value_and_limit() {
    let broker = Broker::start().await;
    let epoch = &broker.epoch;
    for (query, code, told) in [
        ("after=yesterday".to_owned(), "bad_cursor", &["after", "yesterday"][..]),
        ("after=".to_owned(), "bad_cursor", &["after"]),
        (format!("after={epoch}:9007199254740992"), "bad_cursor", &["after", "9007199254740992"]),
        (format!("after=1{epoch}:1"), "bad_cursor", &["after"]),
        (format!("after={epoch}:1,1.abc:1"), "bad_cursor", &["after"]),
        ("limit=0".to_owned(), "bad_request", &["limit", "0", "1 to 4294967295"]),
        ("limit=-1".to_owned(), "bad_request", &["limit", "-1"]),
        ("limit=ten".to_owned(), "bad_request", &["limit", "ten"]),
        ("limit=99999999999999999999".to_owned(), "bad_request", &["limit"]),
        ("wait=61".to_owned(), "bad_request", &["wait", "61", "60"]),
        ("wait=1.5".to_owned(), "bad_request", &["wait", "1.5"]),
        ("wait=18446744073709551615".to_owned(), "bad_request", &["wait", "60"]),
        ("wait=18446744073709552".to_owned(), "bad_request", &["wait", "60"]),
        ("lmit=1".to_owned(), "bad_request", &["lmit", "limit"]),
    ] {
        let answer = broker.get(&format!("/v1/topics/a/messages?{query}")).await;
        answer.assert_problem(400, code, told);
    }
    for (name, told) in
        [("a..b", "a..b"), ("a%20b", "a b"), ("%ff", "UTF-8"), ("a.*", "a.*"), ("%24sys", "$sys")]
    {
        broker.get(&format!("/v1/topics/{name}/messages")).await.assert_problem(
            400,
            "bad_topic",
            &["topic", told],
        );
        broker.post(&format!("/v1/topics/{name}"), "text/plain", "x").await.assert_problem(
            400,
            "bad_topic",
            &[told],
        );
    }
    for (query, told) in [("ttl_s=0", "\"0\""), ("ttl_s=4294967296", "4294967295"), ("ttl=5", "ttl_s")] {
        let answer = broker.post(&format!("/v1/topics/a?{query}"), "text/plain", "x").await;
        answer.assert_problem(400, "bad_request", &[told]);
    }
    let long = broker.get(&format!("/v1/topics/a/messages?limit={}", "9".repeat(5_000))).await;
    long.assert_problem(400, "bad_request", &[&format!("limit \"{}…\" is", "9".repeat(64))]);
    assert_eq!(broker.get_json("/v1/topics/a/messages").await["cursor"], "@0");
}

#[tokio::test]
async fn polls_of_one_connection_follow_each_other() {
    let broker = Broker::start().await;
    let mut wire = broker.wire().await;
    for seq in 1..=20u64 {
        let target = format!("/v1/topics/a/messages?after={}:{}&wait=30", broker.epoch, seq - 1);
        let poll = async {
            wire.write(&Ask::new("GET", &target).bytes("localhost")).await.unwrap();
            read_answer(&mut wire).await.unwrap().json()
        };
        let (answer, _) =
            within("the poll", async { tokio::join!(poll, broker.publish("a", json!(seq))) }).await;
        assert_eq!(answer["frames"].as_array().unwrap().len(), 1);
        assert_eq!(answer["frames"][0][3], seq);
    }
}

#[tokio::test]
async fn a_history_too_large_for_one_answer_comes_in_pages_and_closes_nobody() {
    let broker = Broker::start().await;
    let text = "x".repeat(60 * 1024);
    for _ in 0..60 {
        broker.publish("big", json!(text)).await;
    }
    for encoding in Encoding::ALL {
        let mut client = broker.connect(encoding).await;
        let newest = client.ask(json!(["history", 1, "big"])).await;
        let frames = newest[2]["frames"].as_array().expect("frames");
        assert!(!frames.is_empty());
        assert_eq!(frames.last().unwrap()[2], "@60");
        let (mut cursor, mut seqs) = (json!("@0"), Vec::new());
        loop {
            let page = client.ask(json!(["history", 2, "big", {"after": cursor}])).await;
            let frames = page[2]["frames"].as_array().expect("frames").iter();
            seqs.extend(frames.map(|frame| frame[2].as_str().unwrap().to_owned()));
            cursor = page[2]["cursor"].clone();
            if page[2]["more"] == false {
                break;
            }
        }
        assert_eq!(seqs, (1..=60).map(|seq| format!("@{seq}")).collect::<Vec<_>>());
    }
}
