//! Publishers that are faster than the broker: they wait or are refused, and nothing that was acknowledged is lost.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Broker, Client, read_answer};
use serde_json::json;

/// The least room that the broker can be given between its workers.
const SMALL_INBOX: &str =
    "[limits]\nframe_bytes = \"1KiB\"\ninbox_bytes = \"4KiB\"\nrequests_per_s = 1000000\n";

#[tokio::test]
async fn a_flood_of_publishes_loses_nothing_that_was_acknowledged() {
    let mut broker = Broker::with(SMALL_INBOX).await;
    let count = 5_000;
    let mut followers = [broker.follow("flood").await, broker.follow(">").await];
    let mut publisher = broker.connect(Encoding::Json).await;
    let publishing = async {
        for first in (0..count).step_by(1_000) {
            publisher.send_all((first..first + 1_000).map(|n| json!(["publish", n + 1, "flood", n]))).await;
            for n in first..first + 1_000 {
                let position = format!("@{}", n + 1);
                let ok = publisher.next().await;
                assert_eq!(
                    (&ok[0], &ok[1], &ok[2]["position"]),
                    (&json!("ok"), &json!(n + 1), &json!(position))
                );
            }
        }
    };
    let [first, second] = &mut followers;
    let (first, second) = (follow(first, count), follow(second, count));
    tokio::join!(publishing, first, second);
    assert_eq!(broker.metric("fanfare_waiting_publishes").await, 0.0);
    assert_eq!(broker.metric("fanfare_inbox_bytes").await, 0.0);
    broker.assert_well().await;
}

async fn follow(client: &mut Client, count: u64) {
    for n in 0..count {
        client.expect(json!(["message", "flood", format!("@{}", n + 1), n])).await;
    }
}

#[tokio::test]
async fn a_publish_that_finds_no_room_is_refused_and_never_delivered() {
    let mut broker = Broker::with(&format!("{SMALL_INBOX}publish_wait = \"0s\"")).await;
    let mut follower = broker.follow("flood").await;
    let mut publishers = Vec::new();
    for n in 0..8u64 {
        let mut wire = broker.wire().await;
        let text = format!("\"{n} {}\"", "x".repeat(900));
        let ask = Ask::new("POST", "/v1/topics/flood").header("content-type", "application/json").body(text);
        wire.write(&ask.bytes("localhost").repeat(100)).await.unwrap();
        publishers.push(wire);
    }
    let (mut taken, mut refused) = (0, 0);
    for wire in &mut publishers {
        for _ in 0..100 {
            let answer = read_answer(wire).await.unwrap();
            if answer.status == 200 {
                taken += 1;
            } else {
                answer.assert_problem(503, "overloaded", &["0 ms"]);
                refused += 1;
            }
        }
    }
    broker.publish("end", json!(1)).await;
    assert_eq!(taken + refused, 800);
    for seq in 1..=taken {
        let message = follower.next().await;
        assert_eq!((&message[0], &message[2]), (&json!("message"), &json!(format!("@{seq}"))));
    }
    let told = broker.publish("flood", json!("last")).await;
    follower.expect(json!(["message", "flood", told["position"], "last"])).await;
    assert_eq!(told["position"], format!("@{}", taken + 2));
    broker.assert_well().await;
}
