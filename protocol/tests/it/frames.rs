//! Every frame of the broker.

use fanfare_protocol::{
    Cursor, Encoding, Frame, FrameError, OkBody, encode_history_body, encode_history_ok, replay_prefix,
    replay_suffix,
};
use serde_json::Value;

use super::said;
use super::vectors::{FRAMES, FRAMES_INVALID, FRAMES_TOLERATED, load_list, shown, written};

#[test]
fn frames_are_read_as_the_vectors_say() {
    for vector in load_list(FRAMES).iter().chain(&load_list(FRAMES_TOLERATED)) {
        for (encoding, bytes) in written(vector) {
            let label = said::label(encoding, vector);
            match Frame::decode(encoding, &bytes) {
                Ok(frame) => assert_eq!(said::frame(&frame), vector["is"], "{label}"),
                Err(FrameError::UnknownOp(op)) => {
                    assert_eq!(
                        (&vector["is"]["op"], &vector["served"]),
                        (&op.into(), &false.into()),
                        "{label}"
                    );
                }
                Err(error) => panic!("{label}: {error}"),
            }
        }
    }
}

#[test]
fn frames_are_written_byte_for_byte_as_the_vectors_say() {
    for vector in load_list(FRAMES).into_iter().filter(is_served) {
        let forms = written(&vector);
        for (read_from, bytes) in &forms {
            let frame = Frame::decode(*read_from, bytes).unwrap();
            for (encoding, expected) in &forms {
                let label = said::label(*encoding, &vector);
                assert_eq!(
                    shown(*encoding, &encoded(&frame, *encoding)),
                    shown(*encoding, expected),
                    "{label}"
                );
            }
        }
    }
}

#[test]
fn another_codec_reads_in_both_encodings_the_same() {
    for vector in load_list(FRAMES).into_iter().filter(is_served) {
        for (read_from, bytes) in written(&vector) {
            let frame = Frame::decode(read_from, &bytes).unwrap();
            let json: Value = serde_json::from_slice(&encoded(&frame, Encoding::Json)).unwrap();
            let message_pack = said::value_of(&encoded(&frame, Encoding::MessagePack));
            assert_eq!(without_encoding(json), without_encoding(message_pack), "{}", vector["name"]);
        }
    }
}

#[test]
fn bad_frames_are_told_from_frames_of_later_versions() {
    for vector in load_list(FRAMES_INVALID) {
        for (encoding, bytes) in written(&vector) {
            let label = said::label(encoding, &vector);
            let word = match Frame::decode(encoding, &bytes).expect_err(&label) {
                FrameError::Malformed(_) => "malformed",
                FrameError::UnknownOp(_) => "unknown_op",
            };
            assert_eq!(vector["error"], word, "{label}");
        }
    }
}

#[test]
fn a_replay_wraps_the_very_bytes_of_its_frame() {
    let replays = load_list(FRAMES).into_iter().filter(|vector| vector["is"]["op"] == "replay");
    for vector in replays {
        for (encoding, expected) in written(&vector) {
            let Ok(Frame::Replay { filter, frame }) = Frame::decode(encoding, &expected) else {
                panic!("{} is a replay", vector["name"])
            };
            let mut out = Vec::new();
            replay_prefix(encoding, &filter, &mut out);
            out.extend(encoded(&frame, encoding));
            out.extend_from_slice(replay_suffix(encoding));
            assert_eq!(shown(encoding, &out), shown(encoding, &expected), "{}", vector["name"]);
        }
    }
}

#[test]
fn a_history_is_made_of_frames_that_were_encoded_before() {
    let histories = load_list(FRAMES).into_iter().filter(|vector| !vector["is"]["frames"].is_null());
    for vector in histories {
        for (encoding, bytes) in written(&vector) {
            let Ok(Frame::Ok { id, body }) = Frame::decode(encoding, &bytes) else {
                panic!("{} is an ok", vector["name"])
            };
            let OkBody { cursor: Some(cursor), frames: Some(frames), more: Some(more), .. } = body else {
                panic!("{} is a history", vector["name"])
            };
            let frames: Vec<Vec<u8>> = frames.iter().map(|frame| encoded(frame, encoding)).collect();
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let mut out = Vec::new();
            encode_history_ok(encoding, id, &frames, &cursor, more, &mut out);
            let spliced = Frame::decode(encoding, &out).unwrap();
            assert_eq!(said::frame(&spliced), vector["is"], "{}", vector["name"]);
        }
    }
}

#[test]
fn a_history_over_http_is_the_body_of_the_frame() {
    let cursor: Cursor = "0.a:7".parse().unwrap();
    let frames: [&[u8]; 2] = [br#"["gap",null,"0.a:1","0.a:2"]"#, br#"["message","a","0.a:7",1]"#];
    let mut out = Vec::new();
    encode_history_body(&frames, &cursor, true, &mut out);
    let expected =
        r#"{"frames":[["gap",null,"0.a:1","0.a:2"],["message","a","0.a:7",1]],"cursor":"0.a:7","more":true}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

fn is_served(vector: &Value) -> bool {
    vector["served"] != false
}

fn encoded(frame: &Frame, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(encoding, &mut out);
    out
}

/// The value without `"encoding": "base64"`, which MessagePack does not need, and without maps left empty by it.
fn without_encoding(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let kept = items.into_iter().map(without_encoding);
            kept.filter(|item| *item != Value::Object(serde_json::Map::new())).collect()
        }
        Value::Object(mut entries) => {
            entries.retain(|key, value| !(key == "encoding" && *value == "base64"));
            Value::Object(entries.into_iter().map(|(key, value)| (key, without_encoding(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
