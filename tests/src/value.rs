//! Frames as JSON values in either encoding, with what differs from run to run made equal.

use fanfare_protocol::Encoding;
use serde_json::{Map, Value, json};

/// The MessagePack of a JSON value.
pub fn message_pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &packed(value)).expect("writing to memory does not fail");
    out
}

/// A frame of the broker as a JSON value; a `bin` is shown as `{"bin": [bytes]}`.
pub fn value_of(encoding: Encoding, frame: &[u8]) -> Value {
    match encoding {
        Encoding::Json => serde_json::from_slice(frame).expect("the broker writes JSON"),
        Encoding::MessagePack => {
            let mut rest = frame;
            let value = rmpv::decode::read_value(&mut rest).expect("the broker writes MessagePack");
            assert!(rest.is_empty(), "{} bytes follow the frame", rest.len());
            unpacked(value)
        }
    }
}

/// The value with each `@7` written as the position of that seq in `epoch`.
pub(crate) fn positioned(value: &Value, epoch: &str) -> Value {
    map_strings(value, &|text| match text.strip_prefix('@') {
        Some(seq) => format!("{epoch}:{seq}"),
        None => text.to_owned(),
    })
}

/// The value with the positions of `epoch` written as `@7`, and without the times of messages.
pub(crate) fn normalized(value: &Value, epoch: &str) -> Value {
    let mut value = map_strings(value, &|text| {
        let seq = text.strip_prefix(epoch).and_then(|rest| rest.strip_prefix(':'));
        seq.map_or_else(|| text.to_owned(), |seq| format!("@{seq}"))
    });
    forget_times(&mut value);
    value
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Array(items) => {
            if items.len() == 5 && items[0] == "message" {
                let meta = items[4].as_object_mut().expect("the fifth element of a message is its meta");
                assert!(meta.remove("time").is_some_and(|time| time.is_u64()), "a message has a time");
                if meta.is_empty() {
                    items.pop();
                }
            }
            items.iter_mut().for_each(forget_times);
        }
        Value::Object(map) => map.values_mut().for_each(forget_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn map_strings(value: &Value, map: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(map(text)),
        Value::Array(items) => items.iter().map(|item| map_strings(item, map)).collect(),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| (key.clone(), map_strings(value, map));
            Value::Object(entries.iter().map(entry).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn packed(value: &Value) -> rmpv::Value {
    match value {
        Value::Null => rmpv::Value::Nil,
        Value::Bool(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().expect("a number is one of the three").into(),
        },
        Value::Array(items) => rmpv::Value::Array(items.iter().map(packed).collect()),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| (key.as_str().into(), packed(value));
            rmpv::Value::Map(entries.iter().map(entry).collect())
        }
    }
}

fn unpacked(value: rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => value.into(),
        rmpv::Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, number) => number.expect("an integer is one of the two").into(),
        },
        rmpv::Value::F32(number) => number.into(),
        rmpv::Value::F64(number) => number.into(),
        rmpv::Value::String(text) => text.into_str().expect("a string is UTF-8").into(),
        rmpv::Value::Binary(bytes) => json!({ "bin": bytes }),
        rmpv::Value::Array(items) => items.into_iter().map(unpacked).collect(),
        rmpv::Value::Map(entries) => {
            let key = |key: rmpv::Value| key.as_str().expect("a key is a string").to_owned();
            Value::Object(
                entries.into_iter().map(|(name, value)| (key(name), unpacked(value))).collect::<Map<_, _>>(),
            )
        }
        rmpv::Value::Ext(kind, _) => panic!("the broker wrote an ext of type {kind}"),
    }
}
