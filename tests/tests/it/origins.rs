//! Who may call from a browser: foreign pages and rebound names are refused before anything happens.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, Setup, handshake};
use serde_json::json;

const LISTED: &str = "origins = [\"https://app.example\", \"http://localhost:5173\"]";

/// Every way to do something.
fn calls() -> Vec<Ask> {
    vec![
        Ask::new("POST", "/v1/topics/a").header("content-type", "text/plain").body("x"),
        Ask::new("POST", "/v1/publish")
            .header("content-type", "text/plain")
            .body("[{\"topic\":\"a\",\"data\":1}]"),
        Ask::new("DELETE", "/v1/topics/kept/messages"),
        Ask::new("GET", "/v1/topics/kept/messages"),
        Ask::new("GET", "/v1/messages?topic=kept"),
        Ask::new("GET", "/v1/sessions"),
        Ask::new("GET", "/metrics"),
        Ask::new("GET", "/"),
        handshake(Encoding::Json),
    ]
}

async fn assert_untouched(broker: &mut Broker) {
    let topics = broker.get_json("/v1/topics").await;
    assert_eq!(topics["topics"].as_array().unwrap().len(), 1, "{topics}");
    assert_eq!(topics["topics"][0]["kept"], 1, "{topics}");
    assert_eq!(broker.get_json("/v1/sessions").await["sessions"], json!([]));
    broker.assert_well().await;
}

#[tokio::test]
async fn foreign_pages_are_refused_before_anything_happens() {
    let mut broker = Broker::with(LISTED).await;
    broker.publish("kept", json!(1)).await;
    for origin in [
        "http://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "http://localhost:5174",
        "http://127.0.0.1",
        "null",
        "file://",
        "",
    ] {
        for call in calls() {
            let told = if origin == "null" { "without an origin" } else { origin };
            broker.ask(&call.header("origin", origin)).await.assert_problem(403, "forbidden", &[told]);
        }
    }
    assert_untouched(&mut broker).await;
}

#[tokio::test]
async fn names_that_are_not_the_brokers_own_are_refused_on_loopback() {
    let mut broker = Broker::with(LISTED).await;
    broker.publish("kept", json!(1)).await;
    let port = broker.address.port();
    for host in
        ["evil.example", "rebound.evil.example:80", "192.168.0.1", "localhost.evil.example", "0.0.0.0"]
    {
        for call in calls() {
            let own = format!("http://{host}:{port}");
            let call = call.header("host", &format!("{host}:{port}").replace(":80:", ":"));
            broker.ask(&call).await.assert_problem(403, "forbidden", &["loopback"]);
            broker.ask(&call.header("origin", &own)).await.assert_problem(403, "forbidden", &["loopback"]);
        }
    }
    assert_untouched(&mut broker).await;
}

#[tokio::test]
async fn there_is_one_host_and_at_most_one_origin() {
    let mut broker = Broker::start().await;
    let two_hosts = Ask::new("GET", "/healthz").header("host", "localhost").header("host", "localhost");
    broker.ask(&two_hosts).await.assert_problem(400, "bad_request", &["Host"]);
    let odd_host = Ask::new("GET", "/healthz").header("host", "local host");
    broker.ask(&odd_host).await.assert_problem(400, "bad_request", &["local host"]);
    let origin = format!("http://{}", broker.address);
    let two = Ask::new("GET", "/healthz").header("origin", &origin).header("origin", &origin);
    broker.ask(&two).await.assert_problem(403, "forbidden", &["Origin"]);
    let mut wire = broker.wire().await;
    wire.write(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = fanfare_tests::read_answer(&mut wire).await.unwrap();
    answer.assert_problem(400, "bad_request", &["Host"]);
    broker.assert_well().await;
}

#[tokio::test]
async fn the_brokers_own_page_and_listed_ones_are_served() {
    let broker = Broker::with(LISTED).await;
    let port = broker.address.port();
    for (host, origin) in [
        (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}")),
        (format!("localhost:{port}"), format!("http://localhost:{port}")),
        (format!("LOCALHOST:{port}"), format!("http://localhost:{port}")),
        (format!("[::1]:{port}"), format!("http://[::1]:{port}")),
        (format!("127.0.0.1:{port}"), "https://app.example".to_owned()),
        (format!("127.0.0.1:{port}"), "http://localhost:5173".to_owned()),
        ("app.example".to_owned(), "https://app.example".to_owned()),
    ] {
        for call in calls() {
            let answer = broker.ask(&call.header("host", &host).header("origin", &origin)).await;
            assert!([200, 101].contains(&answer.status), "{origin} at {host}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn beyond_loopback_any_name_will_do_but_not_any_page() {
    let mut broker = Setup::bare().flags(&["--listen", "0.0.0.0:0", "--insecure"]).start().await;
    let at = |host: &str| Ask::new("GET", "/healthz").header("host", host);
    assert_eq!(broker.ask(&at("broker.example")).await.status, 200);
    let own = at("broker.example").header("origin", "http://broker.example");
    assert_eq!(broker.ask(&own).await.status, 200);
    let foreign = at("broker.example").header("origin", "http://evil.example");
    broker.ask(&foreign).await.assert_problem(403, "forbidden", &["evil.example"]);
    broker.assert_well().await;
}

#[tokio::test]
async fn a_listed_page_may_read_the_answer_and_its_preflight_is_answered() {
    let broker = Broker::with(LISTED).await;
    let page = "https://app.example";
    let call = Ask::new("POST", "/v1/topics/a").header("content-type", "application/json").body("1");
    let answer = broker.ask(&call.header("origin", page)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("retry-after"));
    let preflight = Ask::new("OPTIONS", "/v1/topics/a")
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = broker.ask(&preflight).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
    assert!(allowed.contains("content-type"), "{allowed}");
    let no_preflight = Ask::new("OPTIONS", "/v1/topics/a").header("origin", page);
    broker.ask(&no_preflight).await.assert_problem(405, "method_not_allowed", &["OPTIONS"]);
    let foreign = preflight.header("origin", "https://evil.example");
    broker.ask(&foreign).await.assert_problem(403, "forbidden", &[]);
}
