//! Input that is made to hurt: lengths that lie, nests without end, floods of elements.

use fanfare_protocol::{Encoding, ErrorCode, Frame, Payload, Publication, decode_batch, decode_request};

const DEPTH: usize = 200_000;

#[test]
fn nests_without_end_are_refused_and_do_not_overflow_the_stack() {
    let json = format!("[\"publish\",1,\"a\",{}{}]", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("[\"publish\",1,\"a\",{}1{}]", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    let ignored = format!("[\"pong\",{{\"later\":{}{}}}]", "[".repeat(DEPTH), "]".repeat(DEPTH));
    for frame in [json, objects, ignored] {
        let error = decode_request(Encoding::Json, frame.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadData);
    }
    let arrays = [b"\x94\xa7publish\x01\xa1a".as_slice(), &b"\x91".repeat(DEPTH), b"\xc0"].concat();
    let maps = [b"\x94\xa7publish\x01\xa1a".as_slice(), &b"\x81\xa1a".repeat(DEPTH), b"\xc0"].concat();
    let ignored = [b"\x92\xa4pong\x81\xa1a".as_slice(), &b"\x91".repeat(DEPTH), b"\xc0"].concat();
    for frame in [arrays, maps, ignored] {
        let error = decode_request(Encoding::MessagePack, &frame).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadData);
    }
}

#[test]
fn nests_without_end_from_a_broker_do_not_overflow_the_stack() {
    let replays = format!("{}1{}", "[\"replay\",\"a\",".repeat(DEPTH), "]".repeat(DEPTH));
    assert!(Frame::decode(Encoding::Json, replays.as_bytes()).is_err());
    let histories = format!("{}1{}", "[\"ok\",1,{\"frames\":[".repeat(DEPTH), "]}]".repeat(DEPTH));
    drop(Frame::decode(Encoding::Json, histories.as_bytes()));
    let replays = [b"\x93\xa6replay\xa1a".repeat(DEPTH), b"\xc0".to_vec()].concat();
    assert!(Frame::decode(Encoding::MessagePack, &replays).is_err());
}

#[test]
fn what_was_never_checked_does_not_overflow_the_stack_when_it_is_sent() {
    for (payload, encoding) in [
        (Payload::Json("[".repeat(DEPTH).into()), Encoding::MessagePack),
        (Payload::MessagePack(b"\x91".repeat(DEPTH).into()), Encoding::Json),
    ] {
        let Ok(Frame::Message(mut message)) = Frame::decode(Encoding::Json, br#"["message","a","0.a:1",1]"#)
        else {
            panic!("it is a message")
        };
        message.payload = payload;
        let mut out = Vec::new();
        message.encode(encoding, &mut out);
        assert!(out.len() < 64, "the data are null");
    }
}

#[test]
fn a_flood_of_elements_is_counted_and_not_kept() {
    let elements = "0,".repeat(30_000);
    let error =
        decode_request(Encoding::Json, format!("[\"subscribe\",1,{elements}0]").as_bytes()).unwrap_err();
    assert_eq!((error.id, error.code), (Some(1), ErrorCode::BadFrame));
    assert_eq!(error.reason, "subscribe has 30003 elements, the limit is 4");
    let error = decode_batch(format!("[{elements}0]").as_bytes(), 1_000).unwrap_err();
    assert_eq!(
        (error.code, error.reason.as_str()),
        (ErrorCode::Limit, "batch has 30001 items, the limit is 1000")
    );
}

#[test]
fn half_of_a_frame_is_none_wherever_it_is_cut() {
    let publish = r#"["publish",1,"a",{"x":[1,2.5,"é",null,true]},{"headers":{"a":"b"},"ttl_s":9}]"#;
    for end in 0..publish.len() {
        let error = decode_request(Encoding::Json, &publish.as_bytes()[..end]).unwrap_err();
        assert_eq!((error.id, error.code), (None, ErrorCode::BadFrame), "{end}");
    }
    let mut message_pack = Vec::new();
    decode_request(Encoding::Json, publish.as_bytes())
        .unwrap()
        .encode(Encoding::MessagePack, &mut message_pack);
    for end in 0..message_pack.len() {
        let error = decode_request(Encoding::MessagePack, &message_pack[..end]).unwrap_err();
        assert_eq!((error.id, error.code), (None, ErrorCode::BadFrame), "{end}");
    }
}

#[test]
fn every_marker_at_every_place_is_read_or_refused() {
    for marker in 0..=u8::MAX {
        for tail in [&b""[..], b"\xff\xff\xff\xff", b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"] {
            for head in [
                &b""[..],
                b"\x91",
                b"\x92\xa9subscribe",
                b"\x93\xa9subscribe\x01",
                b"\x94\xa7publish\x01\xa1a",
            ] {
                let frame = [head, &[marker], tail].concat();
                drop(decode_request(Encoding::MessagePack, &frame));
                drop(Frame::decode(Encoding::MessagePack, &frame));
            }
        }
    }
}

#[test]
fn a_reason_does_not_repeat_all_that_was_sent() {
    let long = "x".repeat(60_000);
    for frame in [
        format!("[\"{long}\",1]"),
        format!("[\"subscribe\",1,\"{long}\"]"),
        format!("[\"subscribe\",\"{long}\",\"a\"]"),
        format!("[\"subscribe\",1,\"a\",{{\"after\":\"{long}\"}}]"),
        format!("[\"subscribe\",1,\"a\",{{\"on_slow\":\"{long}\"}}]"),
        format!("[\"subscribe\",1,\"a\",{{\"{long}\":1e999}}]"),
        format!("[\"publish\",1,\"a\",1,{{\"headers\":{{\"{long}\":1}}}}]"),
        format!("[\"publish\",1,\"a\",1,{{\"idempotency_key\":\"{long}\"}}]"),
    ] {
        let error = decode_request(Encoding::Json, frame.as_bytes()).unwrap_err();
        assert!(error.reason.len() < 200, "{}", error.reason);
    }
    let error = Publication::from_body(Some(&format!("text/{long}")), "".into()).unwrap_err();
    assert!(error.reason.len() < 200, "{}", error.reason);
}
