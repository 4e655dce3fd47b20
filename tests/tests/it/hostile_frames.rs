//! Hostile after the upgrade: frames that break RFC 6455, floods, and what stops half-way.

use fanfare_protocol::Encoding;
use fanfare_tests::{
    BINARY, Broker, CLOSE, CONTINUATION, Client, FIN, Heard, PING, PONG, Setup, TEXT, frame,
};
use serde_json::json;

const LATER: [u8; 4] = [0, 0, 0, 0];

async fn client(broker: &Broker) -> Client {
    broker.connect(Encoding::Json).await
}

/// A header with a length in its eight-byte form, masked with zeros.
fn declared(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127][..], &length.to_be_bytes(), &LATER].concat()
}

#[tokio::test]
async fn frames_that_break_the_protocol_are_closed_with_the_right_code() {
    let mut broker = Broker::start().await;
    let text = FIN | TEXT;
    let pong = b"[\"pong\"]";
    for (what, bytes, code) in [
        ("a frame without a mask", [&[text, 8][..], pong].concat(), 1002),
        ("an empty frame without a mask", vec![text, 0], 1002),
        ("the first reserved bit", frame(text | 0x40, pong), 1002),
        ("the second reserved bit", frame(text | 0x20, pong), 1002),
        ("the third reserved bit", frame(text | 0x10, pong), 1002),
        ("an opcode for later data", frame(FIN | 0x3, pong), 1002),
        ("an opcode for later control", frame(FIN | 0xb, b""), 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, pong), 1002),
        ("a message inside another", [frame(TEXT, b"["), frame(text, pong)].concat(), 1002),
        ("half a ping", frame(PING, b""), 1002),
        ("a ping of 126 bytes", frame(FIN | PING, &[0; 126]), 1002),
        ("a length not in its shortest form", [&[text, 0x80 | 126, 0, 8][..], &LATER, pong].concat(), 1002),
        ("a length of 2^63", declared(text, 1 << 63), 1002),
        ("a close of one byte", frame(FIN | CLOSE, &[3]), 1002),
        ("a close with a code that no close has", frame(FIN | CLOSE, &1005u16.to_be_bytes()), 1002),
        ("a close whose reason is not UTF-8", frame(FIN | CLOSE, &[3, 232, 0xff]), 1007),
        ("a binary frame where text was agreed on", frame(FIN | BINARY, pong), 1003),
        ("text that is not UTF-8", frame(text, b"[\"pong\",\"\xff\"]"), 1007),
        ("half a character", frame(text, b"\xc3"), 1007),
        ("not UTF-8 in a first fragment", frame(TEXT, b"\xff"), 1007),
        ("a length just over the limit", declared(text, 65_537), 1009),
        ("a length of 2^63-1", declared(text, (1 << 63) - 1), 1009),
        (
            "a fragment that makes it too long",
            [frame(TEXT, &[b' '; 65_000]), frame(FIN, &[b' '; 600])].concat(),
            1009,
        ),
    ] {
        let mut client = client(&broker).await;
        client.socket.send_raw(&bytes).await;
        let reason = client.expect_close(code).await;
        assert!(!reason.is_empty(), "{what}");
    }
    let mut packed = broker.connect(Encoding::MessagePack).await;
    packed.socket.send_frame(text, pong).await;
    packed.expect_close(1003).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn what_comes_after_a_broken_frame_is_not_read() {
    let mut broker = Broker::start().await;
    let mut follower = broker.follow("a").await;
    let mut client = client(&broker).await;
    let publish = client.encode(&json!(["publish", 1, "a", "after"]));
    client.socket.send_raw(&[vec![FIN | TEXT | 0x40], publish].concat()).await;
    client.expect_close(1002).await;
    broker.publish("a", json!("next")).await;
    follower.expect(json!(["message", "a", "@1", "next"])).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn a_frame_that_is_begun_and_not_finished_is_closed() {
    let mut broker = Broker::with("[limits]\npartial_frame = \"1s\"\nfragments = 1000").await;
    let whole = frame(FIN | TEXT, b"[\"pong\"]");
    let mut clients = Vec::new();
    for begun in [&whole[..1], &whole[..2], &whole[..5], &whole[..6], &whole[..whole.len() - 1]] {
        let mut client = client(&broker).await;
        client.socket.send_raw(begun).await;
        clients.push(client);
    }
    let mut fragmented = client(&broker).await;
    fragmented.socket.send_frame(TEXT, b"[").await;
    clients.push(fragmented);
    for client in &mut clients {
        let reason = client.expect_close(4002).await;
        assert!(reason.contains("1000 ms"), "{reason}");
    }
    broker.assert_well().await;
}

#[tokio::test]
async fn control_frames_between_fragments_are_answered_and_the_message_is_whole() {
    let broker = Broker::start().await;
    let mut client = client(&broker).await;
    client.socket.send_frame(TEXT, "[\"history\",1,\"gr\u{fc}".as_bytes().split_last().unwrap().1).await;
    client.socket.send_frame(FIN | PING, b"1").await;
    client.socket.send_frame(CONTINUATION, &"\u{fc}".as_bytes()[1..]).await;
    client.socket.send_frame(FIN | PONG, b"").await;
    client.socket.send_frame(CONTINUATION, b"").await;
    client.socket.send_frame(FIN | CONTINUATION, b"n\"]").await;
    assert_eq!(client.socket.next().await, Heard::Pong(b"1".to_vec()));
    client.expect(json!(["ok", 1, {"frames": [], "cursor": "@0", "more": false}])).await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let broker = Broker::start().await;
    for (payload, code) in
        [(&b""[..], 1000), (b"\x03\xe8", 1000), (b"\x03\xe9bye", 1001), (b"\x0f\xa0", 4000)]
    {
        let mut client = client(&broker).await;
        client.socket.send_frame(FIN | CLOSE, payload).await;
        assert_eq!(client.socket.next().await, Heard::Close(code, String::new()));
        assert_eq!(client.socket.next().await, Heard::End);
    }
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
}

#[tokio::test]
async fn two_million_fragments_are_cut_at_the_limit() {
    for (what, payload) in [("of one byte", &b" "[..]), ("that are empty", b"")] {
        let mut broker = Broker::start().await;
        let mut client = client(&broker).await;
        client.socket.send_frame(TEXT, payload).await;
        let thousand = frame(CONTINUATION, payload).repeat(1_000);
        for _ in 0..2_000 {
            client.socket.send_raw(&thousand).await;
        }
        let reason = client.expect_close(1008).await;
        assert!(reason.contains("128 fragments"), "{what}: {reason}");
        broker.assert_well().await;
        assert_small(&broker).await;
    }
}

#[tokio::test]
async fn a_flood_of_pings_from_one_that_never_reads_is_cut_at_the_limit() {
    let mut broker = Broker::start().await;
    let mut client = client(&broker).await;
    let thousand = frame(FIN | PING, &[7; 125]).repeat(1_000);
    for _ in 0..200 {
        client.socket.send_raw(&thousand).await;
    }
    let mut pongs = 0;
    while client.socket.next().await == Heard::Pong(vec![7; 125]) {
        pongs += 1;
    }
    // The goodbye was next; what was waiting before it may be gone.
    assert!(pongs <= 200, "{pongs} pings were answered");
    let Heard::Close(1008, reason) = client.socket.next().await else { panic!("a close follows") };
    assert!(reason.contains("100 control frames"), "{reason}");
    broker.assert_well().await;
    assert_small(&broker).await;
}

#[tokio::test]
async fn requests_that_are_not_answered_fast_enough_for_their_rate_are_refused_one_by_one() {
    let broker = Broker::with("[limits]\nrequests_per_s = 10").await;
    let mut client = client(&broker).await;
    client.send_all((1..=40).map(|id| json!(["unsubscribe", id, "a"]))).await;
    let mut refused = 0;
    for _ in 1..=40 {
        let answer = client.next().await;
        if answer[2] == "rate_limited" {
            refused += 1;
            assert!((1..=1_000).contains(&answer[4]["retry_after_ms"].as_u64().unwrap()), "{answer}");
        } else {
            assert_eq!(answer[2], "not_subscribed");
        }
    }
    assert!((20..=30).contains(&refused), "{refused} were refused");
}

#[tokio::test]
async fn thirty_thousand_subscribes_end_at_the_limit_and_publishing_goes_on() {
    let mut broker = Setup::new().variable("FANFARE__LIMITS__REQUESTS_PER_S", "1000000").start().await;
    let mut client = client(&broker).await;
    for first in (0..30_000).step_by(1_000) {
        client
            .send_all((first..first + 1_000).map(|n| json!(["subscribe", n + 1, format!("t.{n}.>")])))
            .await;
        for n in first..first + 1_000 {
            if n < 1_000 {
                client.expect(json!(["ok", n + 1, {"cursor": "@0"}])).await;
            } else {
                client.expect_error(Some(n + 1), "limit", &["1000 subscriptions"]).await;
            }
        }
    }
    broker.publish("t.999.a", json!(1)).await;
    client.expect(json!(["message", "t.999.a", "@1", 1])).await;
    broker.assert_well().await;
    drop(client);
    broker.until_metric("fanfare_subscriptions", |count| count == 0.0).await;
}

#[tokio::test]
async fn a_session_in_segments_of_one_byte_is_the_same() {
    let broker = Broker::start().await;
    for (round, encoding) in (1..).zip(Encoding::ALL) {
        let mut client = broker.connect(encoding).await;
        let mut frames = vec![json!(["connect", 1]), json!(["subscribe", 2, "a.>"])];
        frames.extend((3..6).map(|id| json!(["unsubscribe", id, "b".repeat(100)])));
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| client.encode(frame)).collect();
        for byte in bytes {
            client.socket.send_raw(&[byte]).await;
        }
        assert_eq!(client.next().await[0], "welcome");
        assert_eq!(client.next().await[0], "ok");
        for id in 3..6 {
            client.expect_error(Some(id), "not_subscribed", &[]).await;
        }
        for byte in client.encode(&json!(["publish", 6, "c", {"text": "x".repeat(200)}])) {
            client.socket.send_raw(&[byte]).await;
        }
        assert_eq!(client.next().await[2]["position"], format!("@{round}"));
    }
}

#[tokio::test]
async fn a_connection_cut_inside_a_frame_publishes_nothing_of_it() {
    let mut broker = Broker::start().await;
    let mut follower = broker.follow("a").await;
    let template = client(&broker).await;
    let bytes = template.encode(&json!(["publish", 1, "a", "half"]));
    for end in 0..bytes.len() {
        let mut client = client(&broker).await;
        client.socket.send_raw(&bytes[..end]).await;
        client.socket.wire.finish().await;
        assert_eq!(client.socket.next().await, Heard::End, "cut after {end} bytes");
    }
    broker.publish("a", json!("whole")).await;
    follower.expect(json!(["message", "a", "@1", "whole"])).await;
    broker.until_metric("fanfare_sessions", |count| count == 2.0).await;
    broker.assert_well().await;
}

/// Checks that the process has not grown far beyond what it starts with.
async fn assert_small(broker: &Broker) {
    let bytes = broker.metric("process_resident_memory_bytes").await;
    assert!(bytes < 128.0 * 1024.0 * 1024.0, "the broker takes {bytes} bytes");
}
