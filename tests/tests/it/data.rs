//! Every kind of data, from every kind of publisher to every kind of subscriber.

use fanfare_protocol::{Encoding, Frame};
use fanfare_tests::{Answer, Ask, Broker, hex, vectors};
use serde_json::{Value, json};

const TOPIC: &str = "orders.eu.42";
/// Where and when the vectors' messages stand.
const POSITION: &str = "0.k3f9a:10492";
const TIME: u64 = 1_763_000_000_000;

#[tokio::test]
async fn every_kind_of_data_arrives_byte_for_byte_as_the_vectors_say() {
    let broker = Broker::start().await;
    let mut met = 0;
    for vector in vectors("data.json") {
        let encoding = match vector["subscriber"].as_str() {
            Some("json") => Encoding::Json,
            Some("msgpack") => Encoding::MessagePack,
            // An event; the next test.
            Some("sse") => continue,
            other => panic!("{other:?} is no subscriber"),
        };
        let mut subscriber = broker.connect(encoding).await;
        assert_eq!(subscriber.ask(json!(["subscribe", 1, TOPIC])).await[0], "ok");
        publish(&broker, &vector["publisher"]).await;
        let frame = subscriber.next_bytes().await;
        let Ok(Frame::Message(message)) = Frame::decode(encoding, &frame) else {
            panic!("{}: no message", vector["name"]);
        };
        let (position, time) = (message.position.to_string(), message.time.expect("a message has a time"));
        let written = vector["frame"].as_str().expect("a frame");
        let expected = match encoding {
            Encoding::Json => written
                .replace(POSITION, &position)
                .replace(&TIME.to_string(), &time.to_string())
                .into_bytes(),
            Encoding::MessagePack => {
                let bytes = replace(&hex(written), &packed_text(POSITION), &packed_text(&position));
                replace(&bytes, &TIME.to_be_bytes(), &time.to_be_bytes())
            }
        };
        assert_eq!(frame, expected, "{}: {}", vector["name"], String::from_utf8_lossy(&frame));
        met += 1;
    }
    assert!(met >= 24, "only {met} pairs of publisher and subscriber");
}

#[tokio::test]
async fn every_kind_of_data_is_an_event_byte_for_byte_as_the_vectors_say() {
    let broker = Broker::start().await;
    let mut events = broker.stream(&format!("topic={TOPIC}"), None).await;
    assert_eq!(events.next().await.0[0], "live");
    let mut met = 0;
    for vector in vectors("data.json").into_iter().filter(|vector| vector["subscriber"] == "sse") {
        publish(&broker, &vector["publisher"]).await;
        let event = events.next_event_text().await;
        let (position, time) = (between(&event, "id: ", "\n"), between(&event, "\"time\":", "}"));
        let written = string(&vector["frame"]).replace(POSITION, position).replace(&TIME.to_string(), time);
        assert_eq!(event, written, "{}", vector["name"]);
        met += 1;
    }
    assert!(met >= 12, "only {met} publishers");
}

#[tokio::test]
async fn the_content_type_of_a_body_says_of_which_kind_it_is() {
    let broker = Broker::start().await;
    let mut subscriber = broker.follow("bodies").await;
    for vector in vectors("bodies.json") {
        let answer = post(&broker, "bodies", vector["content_type"].as_str(), string(&vector["body"])).await;
        if let Some(code) = vector["error"]["code"].as_str() {
            let (status, told, detail) = answer.problem();
            assert_eq!(told, code, "{}: {detail}", vector["name"]);
            assert!((400..500).contains(&status), "{}: {status}", vector["name"]);
            continue;
        }
        assert_eq!(answer.status, 200, "{}: {}", vector["name"], answer.text());
        let message = subscriber.next().await;
        let is = &vector["is"];
        let expected = match string(&is["kind"]) {
            "json" => (is["value"].clone(), Value::Null),
            "text" => (is["value"].clone(), json!({ "type": is["type"] })),
            _ => {
                let mut meta = json!({"encoding": "base64", "type": is["type"]});
                meta.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                (is["base64"].clone(), meta)
            }
        };
        let actual = (message[3].clone(), message.get(4).cloned().unwrap_or(Value::Null));
        assert_eq!(actual, expected, "{}", vector["name"]);
    }
}

#[tokio::test]
async fn what_curl_sends_unasked_is_json_if_it_is_json() {
    let broker = Broker::start().await;
    let mut subscriber = broker.follow("curl").await;
    for (body, data, meta) in [
        (&b"{\"id\": 42}"[..], json!({"id": 42}), None),
        (b"hello", json!("hello"), Some(json!({"type": "text/plain"}))),
        (b"a=1&b=2", json!("a=1&b=2"), Some(json!({"type": "text/plain"}))),
        (b"\xff\x00", json!("/wA="), Some(json!({"encoding": "base64"}))),
    ] {
        broker.post("/v1/topics/curl", "application/x-www-form-urlencoded", body).await.json();
        let message = subscriber.next().await;
        assert_eq!((&message[3], message.get(4)), (&data, meta.as_ref()));
    }
}

#[tokio::test]
async fn data_up_to_the_limit_pass_and_one_byte_more_is_refused() {
    let broker = Broker::start().await;
    let mut json = broker.follow("big").await;
    let mut packed = broker.connect(Encoding::MessagePack).await;
    assert_eq!(packed.ask(json!(["subscribe", 1, "big"])).await[0], "ok");
    let largest = "x".repeat(64 * 1024);
    broker.post("/v1/topics/big", "text/plain", largest.as_str()).await.json();
    let meta = json!({"type": "text/plain"});
    json.expect(json!(["message", "big", "@1", largest, meta])).await;
    packed.expect(json!(["message", "big", "@1", largest, meta])).await;
    let answer = broker.post("/v1/topics/big", "text/plain", largest + "x").await;
    answer.assert_problem(413, "too_large", &["65537", "65536", "limits.frame_bytes"]);
}

async fn publish(broker: &Broker, publisher: &Value) {
    if let Some(http) = publisher.get("http") {
        post(broker, TOPIC, http["content_type"].as_str(), string(&http["body"])).await.json();
        return;
    }
    let (encoding, frame) = match (publisher.get("json"), publisher.get("msgpack")) {
        (Some(text), None) => (Encoding::Json, string(text).as_bytes().to_vec()),
        (None, Some(bytes)) => (Encoding::MessagePack, hex(string(bytes))),
        _ => panic!("{publisher} is no publisher"),
    };
    let mut client = broker.connect(encoding).await;
    client.socket.send_message(&frame).await;
    assert_eq!(client.next().await[0], "ok");
}

async fn post(broker: &Broker, topic: &str, content_type: Option<&str>, body: &str) -> Answer {
    let ask = Ask::new("POST", &format!("/v1/topics/{topic}"));
    let ask =
        content_type.into_iter().fold(ask, |ask, content_type| ask.header("content-type", content_type));
    broker.ask(&ask.body(hex(body))).await
}

fn string(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// What stands between the first `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{text:?} has {from:?}"));
    rest.split(to).next().unwrap_or(rest)
}

/// A short MessagePack string.
fn packed_text(text: &str) -> Vec<u8> {
    assert!(text.len() < 32);
    [&[0xa0 | text.len() as u8], text.as_bytes()].concat()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let start = bytes.windows(from.len()).position(|window| window == from).expect("it is in there");
    [&bytes[..start], to, &bytes[start + from.len()..]].concat()
}
