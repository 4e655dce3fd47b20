//! Hostile inside frames: every field of every frame with every wrong type, and what nests or declares too much.

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client, message_pack};
use serde_json::{Value, json};

/// Unreadable frames do not close here.
const TOLERANT: &str = "[limits]\nbad_frames = 1000000\nrequests_per_s = 1000000";

/// What may stand in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A string that is checked further, and the code if that fails.
    Name(&'static str),
    Text,
    /// From 1.
    Number,
    Switch,
    Map,
}

/// Each field of each frame: the frame around it, where it stands, its name in the reason, and its kind.
fn fields() -> Vec<(Value, &'static str, &'static str, Kind)> {
    let (topic, filter, cursor) =
        (Kind::Name("bad_topic"), Kind::Name("bad_filter"), Kind::Name("bad_cursor"));
    let word = Kind::Name("bad_request");
    let subscribe = json!(["subscribe", 7, "a", {}]);
    let publish = json!(["publish", 7, "a", "text", {}]);
    let history = json!(["history", 7, "a", {}]);
    let connect = json!(["connect", 7, {}]);
    vec![
        (connect.clone(), "/2", "options", Kind::Map),
        (connect.clone(), "/2/token", "token", Kind::Text),
        (connect, "/2/resume", "resume", Kind::Text),
        (subscribe.clone(), "/2", "filter", filter),
        (subscribe.clone(), "/3", "options", Kind::Map),
        (subscribe.clone(), "/3/after", "after", cursor),
        (subscribe.clone(), "/3/last", "last", Kind::Number),
        (subscribe.clone(), "/3/on_slow", "on_slow", word),
        (subscribe.clone(), "/3/presence", "presence", Kind::Switch),
        (subscribe, "/3/echo", "echo", Kind::Switch),
        (json!(["unsubscribe", 7, "a", {}]), "/2", "filter", filter),
        (json!(["unsubscribe", 7, "a", {}]), "/3", "options", Kind::Map),
        (publish.clone(), "/2", "topic", topic),
        (publish.clone(), "/4", "options", Kind::Map),
        (publish.clone(), "/4/type", "type", word),
        (publish.clone(), "/4/encoding", "encoding", word),
        (publish.clone(), "/4/headers", "headers", Kind::Map),
        (publish.clone(), "/4/headers/trace", "header \"trace\"", Kind::Text),
        (publish.clone(), "/4/ttl_s", "ttl_s", Kind::Number),
        (publish, "/4/idempotency_key", "idempotency_key", Kind::Name("too_large")),
        (history.clone(), "/2", "topic", topic),
        (history.clone(), "/3", "options", Kind::Map),
        (history.clone(), "/3/after", "after", cursor),
        (history, "/3/limit", "limit", Kind::Number),
        (json!(["presence", 7, "a"]), "/2", "topic", topic),
        (json!(["token", 7, "a"]), "/2", "token", Kind::Text),
    ]
}

/// Values that a field must not have, and the code of the error.
fn wrong_values(kind: Kind) -> Vec<(Value, &'static str)> {
    let mut values: Vec<(Value, &str)> = Vec::new();
    for value in [json!(true), json!(0), json!(-1), json!(1.5), json!(["x"])] {
        let fits = kind == Kind::Switch && value.is_boolean();
        values.extend((!fits).then_some((value, "bad_request")));
    }
    if kind != Kind::Map {
        values.push((json!({"a": 1}), "bad_request"));
    }
    match kind {
        Kind::Name(code) => values.push((Value::from("..".repeat(200)), code)),
        Kind::Number => {
            values.extend([json!("1"), json!(1u64 << 32), json!(1e300)].map(|value| (value, "bad_request")))
        }
        Kind::Switch | Kind::Map => values.push((json!("true"), "bad_request")),
        Kind::Text => {}
    }
    values
}

#[tokio::test]
async fn every_field_of_every_frame_with_every_wrong_value_is_told_by_its_name() {
    let mut broker = Broker::with(TOLERANT).await;
    for encoding in Encoding::ALL {
        let mut client = broker.connect(encoding).await;
        let mut met = 0;
        for (frame, path, name, kind) in fields() {
            for (value, code) in wrong_values(kind) {
                client.send(with(&frame, path, value.clone())).await;
                let error = client.next().await;
                assert_eq!(
                    (&error[0], &error[1]),
                    (&json!("error"), &json!(7)),
                    "{error} to {name} {value} of {frame}"
                );
                // What is no media type, or too long for one, are told apart.
                let told = error[2].as_str().unwrap();
                let fits = told == code || (name == "type" && told == "too_large");
                assert!(fits, "{error} to {name} {value} of {frame}, not {code}");
                assert!(error[3].as_str().unwrap().contains(name), "{error} does not name {name}");
                met += 1;
            }
        }
        assert!(met > 150, "{met}");
        assert_eq!(client.ask(json!(["connect", 8])).await[0], "welcome");
        assert_eq!(client.ask(json!(["subscribe", 9, "a"])).await[0], "ok");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn types_that_only_messagepack_has_are_told_by_the_name_of_the_field() {
    let mut broker = Broker::with(TOLERANT).await;
    let mut client = broker.connect(Encoding::MessagePack).await;
    let mark = json!("MARK");
    let alien: [(&str, &[u8]); 6] = [
        ("bin", b"\xc4\x01a"),
        ("ext", b"\xc7\x01\x05a"),
        ("fixext", b"\xd4\x05a"),
        ("NaN", b"\xcb\x7f\xf8\0\0\0\0\0\0"),
        ("a string that is not UTF-8", b"\xa1\xff"),
        ("a map with a key that is no string", b"\x81\x01\x01"),
    ];
    for (frame, path, name, kind) in fields() {
        for (what, bytes) in alien {
            let mut written = message_pack(&with(&frame, path, mark.clone()));
            let start = written.windows(5).position(|window| window == b"\xa4MARK").unwrap();
            written.splice(start..start + 5, bytes.iter().copied());
            client.socket.send_message(&written).await;
            let error = client.next().await;
            assert_eq!(
                (&error[0], &error[1]),
                (&json!("error"), &json!(7)),
                "{error} to {what} as {name} of {frame}"
            );
            let code = error[2].as_str().unwrap();
            let fits = match what {
                "a string that is not UTF-8" if !matches!(kind, Kind::Number | Kind::Switch | Kind::Map) => {
                    code == "bad_frame"
                }
                "a map with a key that is no string" if kind == Kind::Map => code == "bad_frame",
                _ => code == "bad_request",
            };
            assert!(fits, "{error} to {what} as {name} of {frame}");
            let reason = error[3].as_str().unwrap();
            assert!(reason.contains(name) || code == "bad_frame", "{error} to {what} does not name {name}");
        }
    }
    assert_eq!(client.ask(json!(["subscribe", 9, "a"])).await[0], "ok");
    broker.assert_well().await;
}

#[tokio::test]
async fn a_field_that_is_missing_is_told_and_so_is_one_too_many() {
    let broker = Broker::with(TOLERANT).await;
    for encoding in Encoding::ALL {
        let mut client = broker.connect(encoding).await;
        for (frame, id, code, told) in [
            (json!([]), None, "bad_frame", "op"),
            (json!([7]), None, "bad_frame", "op 7"),
            (json!([null, 1]), None, "bad_frame", "op"),
            (json!({"op": "pong"}), None, "bad_frame", "array"),
            (json!("pong"), None, "bad_frame", "array"),
            (json!(["publsh", 4, "a", 1]), Some(4), "unknown_op", "publsh"),
            (json!(["publsh"]), None, "unknown_op", "publsh"),
            (json!(["publish"]), None, "bad_frame", "id"),
            (json!(["publish", 0, "a", 1]), None, "bad_frame", "id 0"),
            (json!(["publish", -1, "a", 1]), None, "bad_frame", "id -1"),
            (json!(["publish", 1.5, "a", 1]), None, "bad_frame", "id 1.5"),
            (json!(["publish", "1", "a", 1]), None, "bad_frame", "id \"1\""),
            (json!(["publish", 9_007_199_254_740_992u64, "a", 1]), None, "bad_frame", "9007199254740991"),
            (json!(["publish", 4]), Some(4), "bad_request", "topic"),
            (json!(["publish", 4, "a"]), Some(4), "bad_request", "data"),
            (json!(["subscribe", 4]), Some(4), "bad_request", "filter"),
            (json!(["unsubscribe", 4]), Some(4), "bad_request", "filter"),
            (json!(["history", 4]), Some(4), "bad_request", "topic"),
            (json!(["publish", 4, "a", 1, {}, 6]), Some(4), "bad_frame", "6 elements"),
            (json!(["connect", 4, {}, 4]), Some(4), "bad_frame", "4 elements"),
            (json!(["presence", 4, "a"]), Some(4), "unsupported", "presence"),
            (json!(["token", 4, "a"]), Some(4), "unsupported", "token"),
            (json!(["subscribe", 4, "a", {"presence": true}]), Some(4), "unsupported", "presence"),
        ] {
            client.send(frame).await;
            client.expect_error(id, code, &[told]).await;
        }
        client.send(json!(["history", 5.0, "a", {"limit": 2.0, "after": null, "later": {"x": [1]}}])).await;
        client.expect(json!(["ok", 5, {"frames": [], "cursor": "@0", "more": false}])).await;
    }
}

#[tokio::test]
async fn the_tenth_unreadable_frame_closes() {
    let broker = Broker::start().await;
    let mut client = broker.connect(Encoding::Json).await;
    for _ in 0..20 {
        client.send(json!(["unsubscribe", 1, "a"])).await;
        client.expect_error(Some(1), "not_subscribed", &[]).await;
    }
    for _ in 0..9 {
        client.socket.send_message(b"{").await;
        client.expect_error(None, "bad_frame", &[]).await;
    }
    client.socket.send_message(b"{").await;
    client.expect_close(1008).await;
}

#[tokio::test]
async fn what_nests_ten_thousand_deep_is_refused() {
    let mut broker = Broker::with(TOLERANT).await;
    let mut json = broker.connect(Encoding::Json).await;
    let mut packed = broker.connect(Encoding::MessagePack).await;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_maps = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
    for deep in [&deep, &deep_maps, &"[".repeat(60_000)] {
        json.socket.send_message(deep.as_bytes()).await;
        json.expect_error(None, "bad_frame", &[]).await;
    }
    for deep in [&deep, &deep_maps] {
        for frame in
            [format!("[\"publish\",1,\"a\",{deep}]"), format!("[\"publish\",1,\"a\",1,{{\"later\":{deep}}}]")]
        {
            json.socket.send_message(frame.as_bytes()).await;
            json.expect_error(Some(1), "bad_data", &["64"]).await;
        }
    }
    let head = b"\x94\xa7publish\x01\xa1a";
    for deep in [[0x91; 10_000].to_vec(), b"\x81\xa1a".repeat(10_000)] {
        packed.socket.send_message(&deep).await;
        packed.expect_error(None, "bad_frame", &[]).await;
        packed.socket.send_message(&[&head[..], &deep, &[1]].concat()).await;
        packed.expect_error(Some(1), "bad_data", &["64"]).await;
    }
    assert_alive(&mut json).await;
    assert_alive(&mut packed).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn declared_lengths_are_not_believed() {
    let mut broker = Broker::with(TOLERANT).await;
    let mut client = broker.connect(Encoding::MessagePack).await;
    let head = b"\x94\xa7publish\x01\xa1a";
    let four_g = b"\xff\xff\xff\xff";
    for marker in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
        let value = [&[marker][..], four_g, b"\x01\x01"].concat();
        client.socket.send_message(&value).await;
        client.expect_error(None, "bad_frame", &[]).await;
        client.socket.send_message(&[&head[..], &value].concat()).await;
        let error = client.next().await;
        assert!(["bad_frame", "bad_data"].contains(&error[2].as_str().unwrap()), "{marker:#x}: {error}");
    }
    let memory = broker.metric("process_resident_memory_bytes").await;
    assert!(memory < 128.0 * 1024.0 * 1024.0, "the broker takes {memory} bytes");
    assert_alive(&mut client).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn data_that_are_not_what_they_are_declared_to_be_are_refused() {
    let broker = Broker::with(TOLERANT).await;
    let mut json = broker.connect(Encoding::Json).await;
    for (data, options) in [
        ("1e999", "{}"),
        ("\"\\ud800\"", "{}"),
        ("1", "{\"type\":\"text/plain\"}"),
        ("1", "{\"encoding\":\"base64\"}"),
        ("\"?\"", "{\"encoding\":\"base64\"}"),
    ] {
        json.socket.send_message(format!("[\"publish\",1,\"a\",{data},{options}]").as_bytes()).await;
        json.expect_error(Some(1), "bad_data", &["data"]).await;
    }
    let mut packed = broker.connect(Encoding::MessagePack).await;
    for data in [
        &b"\xd4\x05a"[..],
        b"\xcb\x7f\xf0\0\0\0\0\0\0",
        b"\xca\x7f\xc0\0\0",
        b"\x81\x01\x01",
        b"\x91\xc4\x01a",
        b"\x91\xa1\xff",
    ] {
        packed.socket.send_message(&[&b"\x94\xa7publish\x01\xa1a"[..], data].concat()).await;
        packed.expect_error(Some(1), "bad_data", &["data"]).await;
    }
    assert_eq!(broker.get_json("/v1/topics/a/messages").await["frames"], json!([]));
}

async fn assert_alive(client: &mut Client) {
    client.send(json!(["unsubscribe", 99, "nothing"])).await;
    client.expect_error(Some(99), "not_subscribed", &[]).await;
}

/// The frame with `value` at a path such as `/3/after`, whose map is made.
fn with(frame: &Value, path: &str, value: Value) -> Value {
    let mut frame = frame.clone();
    let mut steps = path.split('/').skip(1);
    let index: usize =
        steps.next().expect("a path begins with a place").parse().expect("a place is a number");
    let mut place = &mut frame[index];
    for key in steps {
        place = &mut place[key];
    }
    *place = value;
    frame
}
