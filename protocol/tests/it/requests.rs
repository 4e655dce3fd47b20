//! Every frame of a client.

use fanfare_protocol::{Encoding, Payload, Request, decode_request};

use super::said;
use super::vectors::{
    REQUESTS, REQUESTS_INVALID, REQUESTS_TOLERATED, load_list, shown, string, to_hex, written,
};

#[test]
fn requests_are_read_as_the_vectors_say() {
    for vector in load_list(REQUESTS).iter().chain(&load_list(REQUESTS_TOLERATED)) {
        for (encoding, bytes) in written(vector) {
            let request = decode_request(encoding, &bytes);
            let request =
                request.unwrap_or_else(|error| panic!("{}: {error}", said::label(encoding, vector)));
            assert_eq!(said::request(&request), vector["is"], "{}", said::label(encoding, vector));
        }
    }
}

#[test]
fn requests_are_written_byte_for_byte_as_the_vectors_say() {
    for vector in load_list(REQUESTS) {
        let forms = written(&vector);
        for (read_from, bytes) in &forms {
            let request = decode_request(*read_from, bytes).unwrap();
            for (encoding, expected) in &forms {
                let mut out = Vec::new();
                request.encode(*encoding, &mut out);
                let label = said::label(*encoding, &vector);
                assert_eq!(shown(*encoding, &out), shown(*encoding, expected), "{label}");
            }
        }
    }
}

#[test]
fn bad_requests_are_refused_as_the_vectors_say() {
    for vector in load_list(REQUESTS_INVALID) {
        for (encoding, bytes) in written(&vector) {
            let label = said::label(encoding, &vector);
            let error = decode_request(encoding, &bytes).expect_err(&label);
            assert_eq!(said::refusal(&error, &vector["error"]), vector["error"], "{label}: {}", error.reason);
        }
    }
}

#[test]
fn every_reason_is_one_short_line() {
    for vector in load_list(REQUESTS_INVALID) {
        for (encoding, bytes) in written(&vector) {
            let reason = decode_request(encoding, &bytes).expect_err(string(&vector["name"])).reason;
            assert!(!reason.is_empty() && reason.len() <= 300 && !reason.contains('\n'), "{reason}");
        }
    }
}

#[test]
fn published_json_keeps_its_bytes() {
    let bytes = br#"["publish", 1, "a",  {"x" : [1e2, "\u00e4"] } , {"ttl_s": 1}]"#;
    let Ok(Request::Publish { publication, .. }) = decode_request(Encoding::Json, bytes) else {
        panic!("it is a publish")
    };
    assert_eq!(publication.payload, Payload::Json(r#"{"x" : [1e2, "\u00e4"] }"#.into()));
}

#[test]
fn published_message_pack_keeps_its_bytes() {
    // the map is written with a longer head than it needs
    let bytes = b"\x94\xa7publish\x01\xa1a\xde\x00\x01\xa1x\xcd\x00\x07";
    let Ok(Request::Publish { publication, .. }) = decode_request(Encoding::MessagePack, bytes) else {
        panic!("it is a publish: {}", to_hex(bytes))
    };
    assert_eq!(publication.payload, Payload::MessagePack(b"\xde\x00\x01\xa1x\xcd\x00\x07"[..].into()));
}
