//! Server-sent events over cuts: `Last-Event-ID` brings what was missed, or word of the hole.

use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_tests::{Broker, Events};
use serde_json::{Value, json};

fn message(seq: u64) -> Value {
    let topic = if seq.is_multiple_of(3) { "b.c" } else { "a" };
    json!(["message", topic, format!("@{seq}"), seq])
}

#[tokio::test]
async fn a_cut_between_any_two_events_loses_nothing() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a&topic=b.*", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    for seq in 1..=12 {
        broker.publish(message(seq)[1].as_str().unwrap(), json!(seq)).await;
        broker.publish("other", json!("not followed")).await;
    }
    let mut told = Vec::new();
    while told.len() < 12 {
        told.push((events.next().await.0, events.last_event_id.clone()));
    }
    for (index, (_, id)) in told.iter().enumerate() {
        // What a browser does: the same address again, `last` and `after` included.
        let query = "topic=a&topic=b.*&last=3&after=0.0:0";
        let mut again = broker.stream(query, id.as_deref()).await;
        for (frame, _) in &told[index + 1..] {
            assert_eq!(again.next().await.0, *frame, "after {id:?}");
        }
        again.expect(json!(["live", null, "@24"])).await;
    }
}

#[tokio::test]
async fn a_cut_among_the_newest_goes_on_after_the_newest_received() {
    let broker = Broker::start().await;
    broker.publish_numbers("a", 1..6).await;
    let mut events = broker.stream("topic=a&last=3", None).await;
    events.expect(json!(["message", "a", "@3", 3])).await;
    let id = events.last_event_id.clone();
    drop(events);
    let mut again = broker.stream("topic=a&last=3", id.as_deref()).await;
    for seq in 4..=5 {
        again.expect(json!(["message", "a", format!("@{seq}"), seq])).await;
    }
    again.expect(json!(["live", null, "@5"])).await;
}

#[tokio::test]
async fn trimmed_topics_are_told_by_gaps_without_an_id() {
    let broker = Broker::with("[[topics]]\nfilter = \"a\"\nhistory = { count = 2 }").await;
    broker.publish_numbers("a", 1..6).await;
    broker.publish("b", json!(6)).await;
    let mut events = broker.stream("topic=b&topic=a", Some(&format!("{}:1", broker.epoch))).await;
    events.expect(json!(["gap", "a", "@1", "@3"])).await;
    assert_eq!(events.last_event_id, None, "a gap of a topic moves no cursor");
    for frame in [json!(["message", "a", "@4", 4]), json!(["message", "a", "@5", 5])] {
        events.expect(frame).await;
    }
    events.expect(json!(["message", "b", "@6", 6])).await;
    events.expect(json!(["live", null, "@6"])).await;
}

#[tokio::test]
async fn a_cursor_of_another_life_is_told_by_a_gap_and_never_by_a_status() {
    let broker = Broker::start().await;
    broker.publish_numbers("a", 1..3).await;
    let mut events = broker.stream("topic=a", Some("0.k3f9a:7")).await;
    events.expect(json!(["gap", null, "0.k3f9a:7", "@0"])).await;
    for seq in 1..=2 {
        events.expect(json!(["message", "a", format!("@{seq}"), seq])).await;
    }
    events.expect(json!(["live", null, "@2"])).await;

    let future = format!("{}:9", broker.epoch);
    let mut events = broker.stream(&format!("topic=a&after={future}"), None).await;
    events.expect(json!(["gap", null, "@9", "@2"])).await;
    events.expect(json!(["live", null, "@2"])).await;
}

#[tokio::test]
async fn an_unreadable_cursor_is_told_by_an_error_and_the_stream_goes_on_from_now() {
    let broker = Broker::start().await;
    broker.publish("a", json!(1)).await;
    let foreign = "urn:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    for (query, id) in [("topic=a", Some(foreign)), ("topic=a&after=7", None), ("topic=a", Some("9.1:1"))] {
        let mut events = broker.stream(query, id).await;
        let (error, id) = events.next().await;
        assert_eq!((&error[0], &error[1], &error[2]), (&json!("error"), &Value::Null, &json!("bad_cursor")));
        assert_eq!(id, None);
        events.expect(json!(["live", null, "@1"])).await;
        assert_eq!(events.last_event_id, Some(format!("{}:1", broker.epoch)));
    }
    // An empty one is none.
    broker.stream("topic=a", Some("")).await.expect(json!(["live", null, "@1"])).await;
}

#[tokio::test]
async fn while_messages_pour_in_each_comes_once_and_in_order_over_many_cuts() {
    let config = "heartbeat = \"100ms\"\n[[topics]]\nfilter = \">\"\nhistory = { count = 100000 }";
    let broker = Broker::with(config).await;
    let stop = AtomicBool::new(false);
    let follow = async {
        let (mut seq, mut id) = (0, Some(format!("{}:0", broker.epoch)));
        for cut in 0..60 {
            let query =
                if cut % 2 == 0 { "topic=a&topic=b.*&topic=*.d" } else { "topic=a&topic=b.c&topic=b.d" };
            let mut events: Events = broker.stream(query, id.as_deref()).await;
            let (mut is_live, mut read) = (false, 0);
            while !is_live || read < 40 {
                let (frame, _) = events.next().await;
                match frame[0].as_str() {
                    Some("message") => {
                        (seq, read) = (seq + 1, read + 1);
                        assert_eq!(frame[2], format!("@{seq}"), "cut {cut}");
                    }
                    Some("live") => {
                        assert!(!std::mem::replace(&mut is_live, true), "live comes once");
                        assert_eq!(frame[2], format!("@{seq}"), "cut {cut}");
                    }
                    _ => panic!("{frame}"),
                }
            }
            id = events.last_event_id.clone();
        }
        stop.store(true, Ordering::Relaxed);
        (seq, id)
    };
    let (published, (seq, id)) = tokio::join!(broker.pour(&["a", "b.c", "b.d"], &stop), follow);
    let mut rest = broker.stream("topic=%3E", id.as_deref()).await;
    for seq in seq + 1..=published {
        assert_eq!(rest.next().await.0[2], format!("@{seq}"));
    }
    rest.expect(json!(["live", null, format!("@{published}")])).await;
}
