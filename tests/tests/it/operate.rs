//! What operators ask: topics, sessions, health, figures and the description of the interface.

use std::collections::BTreeSet;

use fanfare_protocol::Encoding;
use fanfare_tests::{Answer, Ask, Broker, Wire, read_answer};
use serde_json::{Value, json};

#[tokio::test]
async fn topics_are_listed_by_name_and_page_by_page() {
    let broker = Broker::start().await;
    let _follower = broker.follow("a.>").await;
    for topic in ["b", "a.2", "a.1", "c", "a.1"] {
        broker.publish(topic, json!(1)).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let topics = page["topics"].as_array().unwrap().iter();
        topics.map(|topic| topic["topic"].as_str().unwrap().to_owned()).collect()
    };
    let all = broker.get_json("/v1/topics").await;
    assert_eq!(
        (names(&all), &all["more"]),
        (["a.1", "a.2", "b", "c"].map(String::from).to_vec(), &json!(false))
    );
    let mut first = all["topics"][0].clone();
    assert!(first["time"].take().is_u64());
    let expected = json!({
        "topic": "a.1", "position": "@5", "published": 2, "kept": 2, "time": null, "subscriptions": 1,
    });
    assert_eq!(first, expected);
    let page = broker.get_json("/v1/topics?limit=2").await;
    assert_eq!((names(&page), &page["more"]), (vec!["a.1".into(), "a.2".into()], &json!(true)));
    let page = broker.get_json("/v1/topics?limit=2&after=a.2").await;
    assert_eq!((names(&page), &page["more"]), (vec!["b".into(), "c".into()], &json!(false)));
    assert_eq!(names(&broker.get_json("/v1/topics?filter=*.2").await), ["a.2"]);
    assert_eq!(names(&broker.get_json("/v1/topics?filter=a.%3E&after=a.1").await), ["a.2"]);

    for (query, code, told) in [
        ("filter=a..b", "bad_filter", &["filter", "a..b"][..]),
        ("filter=", "bad_filter", &["filter"]),
        ("limit=0", "bad_request", &["limit", "\"0\"", "1 to"]),
        ("limit=many", "bad_request", &["limit", "many"]),
        ("order=name", "bad_request", &["order", "filter"]),
    ] {
        broker.get(&format!("/v1/topics?{query}")).await.assert_problem(400, code, told);
    }
}

#[tokio::test]
async fn sessions_are_listed_and_one_is_ended() {
    let broker = Broker::start().await;
    assert_eq!(broker.get_json("/v1/sessions").await["sessions"], json!([]));
    let mut ended = broker.connect(Encoding::MessagePack).await;
    ended.send_all([json!(["subscribe", 1, "b"]), json!(["subscribe", 2, "a.>"])]).await;
    ended.next().await;
    ended.next().await;
    let mut other = broker.follow("c").await;

    let listed = broker.get_json("/v1/sessions").await;
    let sessions = listed["sessions"].as_array().unwrap();
    let told: Vec<_> =
        sessions.iter().map(|session| (&session["protocol"], &session["subscriptions"])).collect();
    let (packed, json) = (json!("fanfare.v1.msgpack"), json!("fanfare.v1.json"));
    assert_eq!(told, [(&packed, &json!(["a.>", "b"])), (&json, &json!(["c"]))]);

    let target = format!("/v1/sessions/{}", sessions[0]["session"].as_str().unwrap());
    assert_eq!(broker.ask(&Ask::new("DELETE", &target)).await.status, 200);
    assert!(ended.expect_close(4003).await.contains("operator"));
    drop(ended);
    broker.until_metric("fanfare_sessions", |count| count == 1.0).await;
    broker.ask(&Ask::new("DELETE", &target)).await.assert_problem(404, "not_found", &["session"]);
    broker.ask(&Ask::new("DELETE", "/v1/sessions/x%20y")).await.assert_problem(
        404,
        "not_found",
        &["session"],
    );
    assert_eq!(broker.publish("b", json!(1)).await["heard"], false);
    broker.publish("c", json!(2)).await;
    other.expect(json!(["message", "c", "@2", 2])).await;
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_each_once() {
    let broker = Broker::start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(broker.connect(Encoding::Json).await);
    }
    let all = broker.get_json("/v1/sessions?limit=5").await;
    assert_eq!((all["sessions"].as_array().unwrap().len(), &all["more"]), (5, &json!(false)));
    let (mut after, mut listed) = (String::new(), Vec::new());
    loop {
        let page = broker.get_json(&format!("/v1/sessions?limit=2{after}")).await;
        listed.extend(page["sessions"].as_array().unwrap().iter().map(|session| session["session"].clone()));
        assert_eq!(page["more"], listed.len() < 5, "{page}");
        if page["more"] == false {
            break;
        }
        after = format!("&after={}", listed.last().unwrap().as_str().unwrap());
    }
    let mut expected: Vec<u64> =
        clients.iter().map(|client| client.welcome["session"].as_str().unwrap().parse().unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected.iter().map(|session| json!(session.to_string())).collect::<Vec<_>>());
    for (query, told) in [
        ("limit=0", &["limit", "\"0\"", "1 to 1000"][..]),
        ("limit=1001", &["limit", "1001", "1 to 1000"]),
        ("after=x", &["after", "\"x\""]),
        ("before=1", &["before", "`after`"]),
    ] {
        broker.get(&format!("/v1/sessions?{query}")).await.assert_problem(400, "bad_request", told);
    }
}

#[tokio::test]
async fn health_is_told_and_a_full_broker_is_not_ready() {
    let broker = Broker::with("[limits]\nconnections = 4").await;
    let mut wire = broker.wire().await;
    assert_eq!(over(&mut wire, "/healthz").await.json()["status"], "ok");
    assert_eq!(over(&mut wire, "/readyz").await.json()["status"], "ready");
    while !over(&mut wire, "/metrics").await.text().contains("\nfanfare_connections 1\n") {}
    let _others = [broker.wire().await, broker.wire().await, broker.wire().await];
    let full = loop {
        let answer = over(&mut wire, "/readyz").await;
        if answer.status != 200 {
            break answer;
        }
    };
    full.assert_problem(503, "unavailable", &["4 connections"]);
    let refused = broker.get("/healthz").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(over(&mut wire, "/healthz").await.status, 200);
}

async fn over(wire: &mut Wire, target: &str) -> Answer {
    wire.write(&Ask::new("GET", target).bytes("localhost")).await.unwrap();
    read_answer(wire).await.unwrap()
}

#[tokio::test]
async fn figures_are_openmetrics_and_move() {
    let broker = Broker::start().await;
    let mut follower = broker.follow("a").await;
    broker.publish_numbers("a", 0..5).await;
    for _ in 0..5 {
        follower.next().await;
    }
    broker.until_metric("fanfare_deliveries_total", |count| count == 5.0).await;
    broker.until_metric("fanfare_sessions", |count| count == 1.0).await;
    for (name, value) in [
        ("fanfare_deliveries_total{edge=\"websocket\",encoding=\"json\"}", 5.0),
        ("fanfare_publishes_total{edge=\"http\"}", 5.0),
        ("fanfare_publish_seconds_count", 5.0),
        ("fanfare_http_requests_total{status=\"5xx\"}", 0.0),
        ("fanfare_subscriptions", 1.0),
        ("fanfare_topics", 1.0),
        ("fanfare_history_messages", 5.0),
        ("fanfare_inbox_bytes", 0.0),
    ] {
        assert_eq!(broker.metric(name).await, value, "{name}");
    }
    let answer = broker.get("/metrics").await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(media_type));
    assert_parses(answer.text());
}

#[tokio::test]
async fn figures_tell_refusals_errors_and_gaps_by_their_kind() {
    let config =
        "[limits]\ntopics = 1\ninbox_bytes = \"1MiB\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 1 }";
    let broker = Broker::with(config).await;
    broker.publish_numbers("a", 0..3).await;
    broker.post("/v1/topics/b", "text/plain", "x").await.assert_problem(429, "limit", &[]);
    let mut client = broker.connect(Encoding::Json).await;
    client.send_all([json!(["unsubscribe", 1, "a"]), json!(["unsubscribe", 2, "a"])]).await;
    client.expect_error(Some(1), "not_subscribed", &[]).await;
    client.expect_error(Some(2), "not_subscribed", &[]).await;
    for (id, cursor, frames) in [(3, "@1", 4), (4, "@9", 3), (5, "@8", 3)] {
        client.send(json!(["subscribe", id, "a", {"after": cursor}])).await;
        for _ in 0..frames {
            client.next().await;
        }
        client.ask(json!(["unsubscribe", 9, "a"])).await;
    }
    for (name, value) in [
        ("fanfare_publishes_total{edge=\"http\"}", 3.0),
        ("fanfare_refused_publishes_total", 1.0),
        ("fanfare_http_requests_total{status=\"4xx\"}", 1.0),
        ("fanfare_http_requests_total{status=\"1xx\"}", 1.0),
        ("fanfare_errors_total{code=\"not_subscribed\"}", 2.0),
        ("fanfare_errors_total{code=\"bad_cursor\"}", 0.0),
        ("fanfare_gaps_total{cause=\"trimmed\"}", 1.0),
        ("fanfare_gaps_total{cause=\"cursor\"}", 2.0),
        ("fanfare_gaps_total{cause=\"slow\"}", 0.0),
        // Of two workers.
        ("fanfare_inbox_limit_bytes", 2.0 * 1024.0 * 1024.0),
    ] {
        broker.until_metric(name, |figure| figure == value).await;
    }
}

/// Checks each line of the OpenMetrics text format: each figure has a type that was told before.
fn assert_parses(text: &str) {
    let mut types = BTreeSet::new();
    let figures = text.strip_suffix("# EOF\n").expect("the text ends with its mark");
    for line in figures.lines() {
        if let Some(told) = line.strip_prefix("# ") {
            let [what, name, rest] = told.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
            assert!(["HELP", "TYPE", "UNIT"].contains(&what) && !rest.is_empty(), "{line:?}");
            if what == "TYPE" {
                assert!(types.insert((name, rest)), "{line:?} is told twice");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let value: f64 = value.parse().expect("a value is a number");
        let name = name.split('{').next().unwrap();
        let is_part = |suffix: &str, kind: &str| {
            name.strip_suffix(suffix).is_some_and(|name| types.contains(&(name, kind)))
        };
        let is_histogram = ["_sum", "_count", "_bucket"].iter().any(|suffix| is_part(suffix, "histogram"));
        assert!(is_part("_total", "counter") || is_part("", "gauge") || is_histogram, "{line:?} has no type");
        assert!(value >= 0.0, "{line:?}");
    }
}

#[tokio::test]
async fn a_slash_in_a_topic_is_told_to_be_encoded() {
    let broker = Broker::start().await;
    for (method, path) in [
        ("POST", "/v1/topics/orders/eu"),
        ("POST", "/v1/topics//v1/topics/a"),
        ("GET", "/v1/topics/orders/eu/messages"),
        ("DELETE", "/v1/topics/orders/eu/messages"),
    ] {
        let answer = broker.ask(&Ask::new(method, path).body("1")).await;
        answer.assert_problem(400, "bad_topic", &["%2F"]);
    }
    assert_eq!(broker.get_json("/v1/topics").await["topics"], json!([]));
}

#[tokio::test]
async fn a_head_is_answered_without_a_body() {
    let broker = Broker::start().await;
    for path in ["/", "/healthz", "/metrics", "/v1/topics", "/v1/topics/a/messages", "/v1/messages?topic=a"] {
        let mut wire = broker.wire().await;
        wire.write(&Ask::new("HEAD", path).header("connection", "close").bytes("localhost")).await.unwrap();
        let rest = wire.take_rest().await;
        let head = String::from_utf8(rest).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_told_what_there_is() {
    let broker = Broker::start().await;
    for path in ["/nothing", "/v1", "/v1/topics/", "/v2/topics/a", "//"] {
        let answer = broker.get(path).await;
        answer.assert_problem(404, "not_found", &[path, "/openapi.json"]);
    }
    for (method, path, allowed) in [
        ("PUT", "/v1/topics/a", "POST"),
        ("GET", "/v1/topics/a", "POST"),
        ("POST", "/v1/topics/a/messages", "GET"),
        ("DELETE", "/v1/publish", "POST"),
        ("POST", "/metrics", "GET"),
        ("PATCH", "/v1/sessions/1", "DELETE"),
    ] {
        let answer = broker.ask(&Ask::new(method, path)).await;
        answer.assert_problem(405, "method_not_allowed", &[method, path]);
        let allow = answer.header("allow").unwrap_or("");
        assert!(allow.split(',').any(|method| method.trim() == allowed), "{method} {path}: {allow:?}");
    }
}
