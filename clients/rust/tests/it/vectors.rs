//! The protocol's vectors: every frame of a broker is taken, every request that is sent is one of them.

use std::path::PathBuf;

use fanfare_client::session::{Output, Session, Status};
use fanfare_client::{Cursor, Encoding};
use serde_json::Value;

/// What a file of the vectors holds.
pub(super) fn load(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The vectors of a file as bytes: name, encoding, frame, vector.
fn frames(file: &str) -> Vec<(String, Encoding, Vec<u8>, Value)> {
    let mut frames = Vec::new();
    for vector in load(file).as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        if let Some(json) = vector["json"].as_str() {
            frames.push((name.to_owned(), Encoding::Json, json.as_bytes().to_vec(), vector.clone()));
        }
        if let Some(hex) = vector["msgpack"].as_str() {
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes = (0..hex.len()).step_by(2).map(byte).collect();
            frames.push((name.to_owned(), Encoding::MessagePack, bytes, vector.clone()));
        }
    }
    assert!(!frames.is_empty(), "{file} is empty");
    frames
}

fn open(encoding: Encoding) -> Session {
    let mut session = Session::new(encoding);
    session.opened(0);
    while session.poll().is_some() {}
    session
}

#[test]
fn every_frame_of_a_broker_is_taken_in_both_encodings() {
    for file in ["frames.json", "frames_tolerated.json"] {
        for (name, encoding, frame, _) in frames(file) {
            let mut session = open(encoding);
            session.receive(1, &frame);
            assert_eq!(session.status(), Status::Connected, "{name}");
        }
    }
}

#[test]
fn what_is_no_frame_ends_the_session_and_a_later_versions_is_skipped() {
    for (name, encoding, frame, vector) in frames("frames_invalid.json") {
        let mut session = open(encoding);
        session.receive(1, &frame);
        let is_connected = session.status() == Status::Connected;
        assert_eq!(is_connected, vector["error"] == "unknown_op", "{name}");
    }
}

#[test]
fn a_ping_is_answered_with_the_vectors_pong() {
    for (_, encoding, ping, _) in
        frames("frames.json").into_iter().filter(|(.., vector)| vector["is"]["op"] == "ping")
    {
        let pong = frames("requests.json")
            .into_iter()
            .find(|(_, of, _, vector)| *of == encoding && vector["is"] == serde_json::json!({"op": "pong"}));
        let mut session = open(encoding);
        session.receive(1, &ping);
        assert_eq!(session.poll(), Some(Output::Send(pong.unwrap().2)));
    }
}

#[test]
fn a_part_of_a_cursor_is_replaced_as_the_vectors_say() {
    for vector in load("cursors.json")["replaced"].as_array().unwrap() {
        let text = |key: &str| vector[key].as_str().unwrap().to_owned();
        let mut session = open(Encoding::Json);
        let filter = fanfare_client::Filter::parse("a").unwrap();
        assert!(session.subscribe(filter.clone(), fanfare_client::SubscribeOptions::default()));
        session.receive(1, format!("[\"ok\",1,{{\"cursor\":\"{}\"}}]", text("cursor")).as_bytes());
        session.receive(1, format!("[\"message\",\"a\",\"{}\",1]", text("by")).as_bytes());
        assert_eq!(session.cursor(&filter).map(Cursor::to_string), Some(text("is")));
    }
}
