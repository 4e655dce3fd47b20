//! Requests and frames in the form in which the vectors say what they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_protocol::{
    Encoding, Frame, Gap, Message, OkBody, OnSlow, Payload, Publication, Request, RequestError,
    SubscribeOptions,
};
use serde_json::{Map, Value, json};

/// What a request says; what is absent or a default is left out.
pub(super) fn request(request: &Request) -> Value {
    match request {
        Request::Connect { id, token, resume } => {
            said("connect", [("id", json!(id)), ("token", json!(token)), ("resume", json!(resume))])
        }
        Request::Subscribe { id, filter, options } => {
            let mut subscribe = said("subscribe", [("id", json!(id)), ("filter", json!(filter.as_str()))]);
            subscribe.as_object_mut().unwrap().append(&mut subscribe_options(options));
            subscribe
        }
        Request::Unsubscribe { id, filter } => {
            said("unsubscribe", [("id", json!(id)), ("filter", json!(filter.as_str()))])
        }
        Request::Publish { id, topic, publication: published } => {
            let mut publish = said("publish", [("id", json!(id)), ("topic", json!(topic.as_str()))]);
            publish.as_object_mut().unwrap().append(&mut publication(published));
            publish
        }
        Request::History { id, topic, after, limit } => said(
            "history",
            [
                ("id", json!(id)),
                ("topic", json!(topic.as_str())),
                ("after", json!(after.as_ref().map(ToString::to_string))),
                ("limit", json!(limit)),
            ],
        ),
        Request::Presence { id, topic } => {
            said("presence", [("id", json!(id)), ("topic", json!(topic.as_str()))])
        }
        Request::Token { id, token } => said("token", [("id", json!(id)), ("token", json!(token))]),
        Request::Pong => said("pong", []),
    }
}

/// What stands beside the topic of something published.
pub(super) fn publication(publication: &Publication) -> Map<String, Value> {
    let Publication { payload, media_type, headers, ttl_s, idempotency_key } = publication;
    present([
        ("data", data(payload, media_type.as_deref())),
        ("headers", json!(headers)),
        ("ttl_s", json!(ttl_s)),
        ("idempotency_key", json!(idempotency_key)),
    ])
}

/// Data by their kind.
pub(super) fn data(payload: &Payload, media_type: Option<&str>) -> Value {
    match payload {
        Payload::Json(bytes) => {
            json!({"kind": "json", "value": serde_json::from_slice::<Value>(bytes).unwrap()})
        }
        Payload::MessagePack(bytes) => json!({"kind": "json", "value": value_of(bytes)}),
        Payload::Text(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap();
            json!({"kind": "text", "value": text, "type": media_type})
        }
        Payload::Binary(bytes) => {
            let kind = [("kind", json!("binary")), ("base64", json!(STANDARD.encode(bytes)))];
            let mut binary = present(kind);
            binary.extend(media_type.map(|media_type| ("type".to_owned(), json!(media_type))));
            Value::Object(binary)
        }
    }
}

/// What a frame says.
pub(super) fn frame(frame: &Frame) -> Value {
    match frame {
        Frame::Welcome { id, welcome } => said(
            "welcome",
            [
                ("id", json!(id)),
                ("session", json!(welcome.session)),
                ("resume", json!(welcome.resume)),
                ("user", json!(welcome.user)),
                ("heartbeat_ms", json!(welcome.heartbeat_ms)),
                ("limits", json!(welcome.limits)),
            ],
        ),
        Frame::Ok { id, body } => ok(*id, body),
        Frame::Error { id, code, reason, retry_after_ms } => said(
            "error",
            [
                ("id", json!(id)),
                ("code", json!(code.as_str())),
                ("reason", json!(reason)),
                ("retry_after_ms", json!(retry_after_ms)),
            ],
        ),
        Frame::Message(message) => said_message(message),
        Frame::Gap(gap) => said_gap(gap),
        Frame::Replay { filter, frame: wrapped } => {
            said("replay", [("filter", json!(filter.as_str())), ("frame", self::frame(wrapped))])
        }
        Frame::Live { filter, cursor } => said(
            "live",
            [
                ("filter", json!(filter.as_ref().map(|filter| filter.as_str()))),
                ("cursor", json!(cursor.to_string())),
            ],
        ),
        Frame::Unsubscribed { filter, code, reason, retry_after_ms } => said(
            "unsubscribed",
            [
                ("filter", json!(filter.as_str())),
                ("code", json!(code.as_str())),
                ("reason", json!(reason)),
                ("retry_after_ms", json!(retry_after_ms)),
            ],
        ),
        Frame::Ping { cursor } => said("ping", [("cursor", json!(cursor.to_string()))]),
        Frame::Goodbye { code, reason, reconnect_after_ms } => said(
            "goodbye",
            [
                ("code", json!(code)),
                ("reason", json!(reason)),
                ("reconnect_after_ms", json!(reconnect_after_ms)),
            ],
        ),
    }
}

/// Why a request was refused; the reason only where the vector gives one.
pub(super) fn refusal(error: &RequestError, expected: &Value) -> Value {
    let mut refusal = Map::new();
    if expected.get("id").is_some() {
        refusal.insert("id".to_owned(), json!(error.id));
    }
    refusal.insert("code".to_owned(), json!(error.code.as_str()));
    if expected.get("reason").is_some() {
        refusal.insert("reason".to_owned(), json!(error.reason));
    }
    Value::Object(refusal)
}

/// The value that MessagePack bytes hold, by a codec that is not ours.
pub(super) fn value_of(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = rmpv::decode::read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "nothing stands after the value");
    to_json(&value)
}

/// The same value as JSON; a bin as the base64 that a JSON client gets.
fn to_json(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => json!(value),
        rmpv::Value::Integer(number) => {
            number.as_u64().map(|number| json!(number)).unwrap_or_else(|| json!(number.as_i64().unwrap()))
        }
        rmpv::Value::F32(number) => json!(f64::from(*number)),
        rmpv::Value::F64(number) => json!(number),
        rmpv::Value::String(text) => json!(text.as_str().expect("UTF-8")),
        rmpv::Value::Binary(bytes) => json!(STANDARD.encode(bytes)),
        rmpv::Value::Array(items) => items.iter().map(to_json).collect(),
        rmpv::Value::Map(entries) => {
            let entry = |(key, value): &(rmpv::Value, rmpv::Value)| {
                (key.as_str().expect("a string key").to_owned(), to_json(value))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        rmpv::Value::Ext(..) => panic!("an ext type in {value}"),
    }
}

fn subscribe_options(options: &SubscribeOptions) -> Map<String, Value> {
    let SubscribeOptions { after, last, on_slow, presence, echo } = options;
    present([
        ("after", json!(after.as_ref().map(ToString::to_string))),
        ("last", json!(last)),
        ("on_slow", json!(on_slow.map(OnSlow::as_str))),
        ("presence", json!(presence.then_some(true))),
        ("echo", json!((!echo).then_some(false))),
    ])
}

fn ok(id: u64, body: &OkBody) -> Value {
    let frames: Option<Vec<Value>> = body.frames.as_ref().map(|frames| frames.iter().map(frame).collect());
    said(
        "ok",
        [
            ("id", json!(id)),
            ("cursor", json!(body.cursor.as_ref().map(ToString::to_string))),
            ("resumed", json!(body.resumed)),
            ("position", json!(body.position.map(|position| position.to_string()))),
            ("heard", json!(body.heard)),
            ("receivers", json!(body.receivers)),
            ("repeated", json!(body.repeated)),
            ("frames", json!(frames)),
            ("more", json!(body.more)),
        ],
    )
}

fn said_message(message: &Message) -> Value {
    let Message { topic, position, payload, media_type, time, user, headers } = message;
    said(
        "message",
        [
            ("topic", json!(topic.as_str())),
            ("position", json!(position.to_string())),
            ("data", data(payload, media_type.as_deref())),
            ("time", json!(time)),
            ("user", json!(user)),
            ("headers", json!(headers)),
        ],
    )
}

fn said_gap(gap: &Gap) -> Value {
    said(
        "gap",
        [
            ("topic", json!(gap.topic.as_ref().map(|topic| topic.as_str()))),
            ("from", json!(gap.from.to_string())),
            ("to", json!(gap.to.to_string())),
            ("count", json!(gap.count)),
        ],
    )
}

fn said<const N: usize>(op: &str, fields: [(&str, Value); N]) -> Value {
    let mut object = present(fields);
    object.insert("op".to_owned(), json!(op));
    Value::Object(object)
}

fn present<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    present.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How an encoding is called in a failed test.
pub(super) fn label(encoding: Encoding, vector: &Value) -> String {
    format!("{} ({encoding:?})", super::vectors::name(vector))
}
