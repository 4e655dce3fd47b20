//! Coming back with a cursor: exactly what was missed, or word of where the hole is.

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client, Setup, Socket, handshake};
use serde_json::{Value, json};

/// What a client that was cut off has of a filter.
struct Kept {
    cursor: Value,
    received: Vec<Value>,
}

impl Kept {
    /// Reads one frame that belongs to the filter, as SDKs do; true at `live`.
    async fn read(&mut self, client: &mut Client) -> bool {
        let frame = client.next().await;
        match frame[0].as_str() {
            Some("message") => self.take(&frame),
            Some("replay") if frame[2][0] == "message" => self.take(&frame[2]),
            Some("live") => {
                self.cursor = frame[2].clone();
                return true;
            }
            _ => panic!("{frame} is neither a message nor a replayed one nor live"),
        }
        false
    }

    fn take(&mut self, message: &Value) {
        self.received.push(message[3].clone());
        self.cursor = message[2].clone();
    }
}

#[tokio::test]
async fn a_client_cut_off_between_any_two_frames_gets_exactly_what_it_missed() {
    let broker = Broker::start().await;
    let mut published = 0;
    for encoding in Encoding::ALL {
        for read_before_the_cut in 0..8 {
            let first = published;
            let mut client = broker.connect(encoding).await;
            let ok = client.ask(json!(["subscribe", 1, "orders.>"])).await;
            let mut kept = Kept { cursor: ok[2]["cursor"].clone(), received: Vec::new() };
            broker.publish_numbers("orders.eu", first..first + 4).await;
            broker.publish_numbers(&format!("orders.new.{first}"), first + 4..first + 8).await;
            broker.publish_numbers("invoices", 0..3).await;
            for _ in 0..read_before_the_cut {
                assert!(!kept.read(&mut client).await);
            }
            drop(client);
            broker.publish_numbers("orders.eu", first + 8..first + 10).await;
            published = first + 10;

            let mut client = broker.connect(encoding).await;
            client.send(json!(["subscribe", 2, "orders.>", {"after": kept.cursor}])).await;
            client.expect(json!(["ok", 2, {"cursor": kept.cursor, "resumed": true}])).await;
            while !kept.read(&mut client).await {}
            broker.publish_numbers("orders.eu", published..published + 1).await;
            published += 1;
            assert!(!kept.read(&mut client).await);
            let expected: Vec<Value> = (first..published).map(Value::from).collect();
            assert_eq!(kept.received, expected, "{encoding:?}, cut after {read_before_the_cut}");
        }
    }
}

#[tokio::test]
async fn a_client_cut_off_again_and_again_while_it_catches_up_misses_nothing() {
    let broker = Broker::with("[[topics]]\nfilter = \">\"\nhistory = { count = 2000 }").await;
    broker.publish_numbers("a", 0..500).await;
    let mut kept = Kept { cursor: json!("@0"), received: Vec::new() };
    let mut live = false;
    for frames in [1, 7, 40, 1, 90, 200, 300] {
        broker
            .publish_numbers("a", 500 + kept.received.len() as u64..500 + kept.received.len() as u64 + 1)
            .await;
        let mut client = broker.connect(Encoding::Json).await;
        client.send(json!(["subscribe", 1, "a", {"after": kept.cursor}])).await;
        client.expect(json!(["ok", 1, {"cursor": kept.cursor, "resumed": true}])).await;
        for _ in 0..frames {
            live = kept.read(&mut client).await;
            if live {
                break;
            }
        }
    }
    assert!(live);
    let (mut cursor, mut published) = (json!("@0"), Vec::new());
    loop {
        let mut reader = broker.connect(Encoding::Json).await;
        let page = reader.ask(json!(["history", 1, "a", {"after": cursor}])).await;
        published.extend(page[2]["frames"].as_array().unwrap().iter().map(|frame| frame[3].clone()));
        cursor = page[2]["cursor"].clone();
        if page[2]["more"] == false {
            break;
        }
    }
    assert!(kept.received == published, "received {:?}", kept.received);
}

#[tokio::test]
async fn connect_and_fifty_subscribes_may_come_in_the_segment_of_the_handshake() {
    let broker = Broker::start().await;
    broker.publish_numbers("t7", 0..2).await;
    for encoding in Encoding::ALL {
        let host = broker.address.to_string();
        let template = Client::over(broker.socket(encoding).await, &broker.epoch);
        let mut bytes = handshake(encoding).bytes(&host);
        bytes.extend(template.encode(&json!(["connect", 1, {}])));
        for n in 0..50 {
            bytes.extend(template.encode(&json!(["subscribe", 2 + n, format!("t{n}"), {"after": "@1"}])));
        }
        let mut wire = broker.wire().await;
        wire.write(&bytes).await.unwrap();
        let mut client = Client::over(Socket::upgraded(wire, encoding).await, &broker.epoch);
        let first = client.next().await;
        assert_eq!((&first[0], &first[1]), (&json!("welcome"), &Value::Null), "{first}");
        let second = client.next().await;
        assert_eq!((&second[0], &second[1]), (&json!("welcome"), &json!(1)), "{second}");
        assert_eq!(second[2]["session"], first[2]["session"]);
        let (mut oks, mut lives, mut replayed) = (0, 0, Vec::new());
        while lives < 50 {
            let frame = client.next().await;
            match frame[0].as_str() {
                Some("ok") => oks += 1,
                Some("live") => lives += 1,
                _ => replayed.push(frame),
            }
        }
        assert_eq!(oks, 50);
        assert_eq!(replayed, [json!(["replay", "t7", ["message", "t7", "@2", 1]])]);
    }
}

#[tokio::test]
async fn connect_comes_once_and_first() {
    let broker = Broker::start().await;
    let mut client = broker.connect(Encoding::Json).await;
    assert_eq!(client.ask(json!(["connect", 1, {"resume": "unknown"}])).await[0], "welcome");
    client.send(json!(["connect", 2])).await;
    client.expect_error(Some(2), "already_connected", &["once"]).await;
    let mut client = broker.follow("a").await;
    client.send(json!(["connect", 2])).await;
    client.expect_error(Some(2), "already_connected", &["first"]).await;
}

#[tokio::test]
async fn last_brings_the_newest_of_each_topic_and_then_goes_live() {
    let broker = Broker::start().await;
    broker.publish_numbers("a.x", 1..5).await;
    broker.publish_numbers("a.y", 5..8).await;
    broker.publish_numbers("b", 8..9).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, "a.*", {"last": 2}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@8"}])).await;
    for (topic, seq) in [("a.x", 3), ("a.x", 4), ("a.y", 6), ("a.y", 7)] {
        let message = json!(["message", topic, format!("@{seq}"), seq]);
        client.expect(json!(["replay", "a.*", message])).await;
    }
    client.expect(json!(["live", "a.*", "@8"])).await;
    broker.publish("a.z", json!("new")).await;
    client.expect(json!(["message", "a.z", "@9", "new"])).await;
}

#[tokio::test]
async fn an_overlapping_filter_is_replayed_beside_one_that_is_live() {
    let broker = Broker::start().await;
    broker.publish_numbers("a.b", 1..3).await;
    let mut client = broker.follow("a.b").await;
    client.send(json!(["subscribe", 2, ">", {"after": "@1"}])).await;
    client.expect(json!(["ok", 2, {"cursor": "@1", "resumed": true}])).await;
    client.expect(json!(["replay", ">", ["message", "a.b", "@2", 2]])).await;
    client.expect(json!(["live", ">", "@2"])).await;
    broker.publish("a.b", json!("once")).await;
    broker.publish("c", json!("wide")).await;
    client.expect(json!(["message", "a.b", "@3", "once"])).await;
    client.expect(json!(["message", "c", "@4", "wide"])).await;
    client.send(json!(["unsubscribe", 3, ">"])).await;
    client.expect(json!(["ok", 3, {}])).await;
    broker.publish("c", json!("unheard")).await;
    broker.publish("a.b", json!("heard")).await;
    client.expect(json!(["message", "a.b", "@6", "heard"])).await;
}

#[tokio::test]
async fn history_that_was_trimmed_is_told_as_a_gap_of_its_topic() {
    let broker = Broker::with("[[topics]]\nfilter = \"short.>\"\nhistory = { count = 3 }").await;
    broker.publish_numbers("short.a", 0..10).await;
    broker.publish_numbers("long", 10..12).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, ">", {"after": "@2"}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@2", "resumed": false}])).await;
    client.expect(json!(["replay", ">", ["gap", "short.a", "@2", "@7"]])).await;
    for (topic, seq) in [("short.a", 8), ("short.a", 9), ("short.a", 10), ("long", 11), ("long", 12)] {
        client.expect(json!(["replay", ">", ["message", topic, format!("@{seq}"), seq - 1]])).await;
    }
    client.expect(json!(["live", ">", "@12"])).await;
    let mut whole = broker.connect(Encoding::Json).await;
    whole.send(json!(["subscribe", 1, "short.a", {"after": "@7"}])).await;
    whole.expect(json!(["ok", 1, {"cursor": "@7", "resumed": true}])).await;
}

#[tokio::test]
async fn a_cursor_above_the_newest_message_is_told_as_a_gap_down_to_it() {
    let broker = Broker::start().await;
    broker.publish_numbers("a", 0..2).await;
    let mut client = broker.connect(Encoding::MessagePack).await;
    client.send(json!(["subscribe", 1, "a", {"after": "@1000"}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@1000", "resumed": false}])).await;
    client.expect(json!(["replay", "a", ["gap", null, "@1000", "@2"]])).await;
    client.expect(json!(["live", "a", "@2"])).await;
}

#[tokio::test]
async fn a_cursor_of_partitions_that_do_not_exist_is_refused() {
    let broker = Broker::start().await;
    let mut client = broker.connect(Encoding::Json).await;
    let (own, other) = (format!("{}:0", broker.epoch), "1.abc:4");
    for (id, cursor) in
        (1..).zip([other.to_owned(), format!("{own},{other}"), "yesterday".to_owned(), String::new()])
    {
        client.send(json!(["subscribe", id, "a", {"after": cursor}])).await;
        client.expect_error(Some(id), "bad_cursor", &[]).await;
    }
    client.send(json!(["subscribe", 9, "a", {"after": own}])).await;
    client.expect(json!(["ok", 9, {"cursor": "@0", "resumed": true}])).await;
}

#[tokio::test]
async fn a_broker_killed_and_started_again_tells_that_all_may_be_missing() {
    let broker = Broker::start().await;
    let mut client = broker.follow("a.>").await;
    broker.publish_numbers("a.b", 0..3).await;
    for seq in 1..=3 {
        client.expect(json!(["message", "a.b", format!("@{seq}"), seq - 1])).await;
    }
    let (address, cursor) = (broker.address, format!("{}:3", broker.epoch));
    assert_eq!(broker.end_by("KILL").code, None);

    let broker = Setup::bare().flags(&["--listen", &address.to_string()]).start().await;
    assert!(!cursor.starts_with(&broker.epoch), "another life has another name");
    broker.publish("a.c", json!("while away")).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, "a.>", {"after": cursor}])).await;
    client.expect(json!(["ok", 1, {"cursor": cursor, "resumed": false}])).await;
    client.expect(json!(["replay", "a.>", ["gap", null, cursor, "@0"]])).await;
    client.expect(json!(["replay", "a.>", ["message", "a.c", "@1", "while away"]])).await;
    client.expect(json!(["live", "a.>", "@1"])).await;
}

#[tokio::test]
async fn topics_that_were_forgotten_are_told_as_a_gap_up_to_the_last_of_them() {
    let broker = Broker::with(
        "[limits]\nnumbering_ttl = \"1s\"\n[[topics]]\nfilter = \"gone.*\"\nhistory = { count = 0 }",
    )
    .await;
    broker.publish_numbers("kept", 1..2).await;
    broker.publish_numbers("gone.a", 2..3).await;
    broker.publish_numbers("gone.b", 3..4).await;
    broker.publish_numbers("kept", 4..5).await;
    let mut watching = broker.follow(">").await;
    broker.until_metric("fanfare_topics", |count| count == 1.0).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send(json!(["subscribe", 1, ">", {"after": "@1"}])).await;
    client.expect(json!(["ok", 1, {"cursor": "@1", "resumed": false}])).await;
    client.expect(json!(["replay", ">", ["gap", null, "@1", "@3"]])).await;
    client.expect(json!(["replay", ">", ["message", "kept", "@4", 4]])).await;
    client.expect(json!(["live", ">", "@4"])).await;
    client.send(json!(["subscribe", 2, "kept", {"after": "@1"}])).await;
    client.expect(json!(["ok", 2, {"cursor": "@1", "resumed": true}])).await;
    client.expect(json!(["replay", "kept", ["message", "kept", "@4", 4]])).await;
    client.expect(json!(["live", "kept", "@4"])).await;
    broker.publish("gone.a", json!("back")).await;
    watching.expect(json!(["message", "gone.a", "@5", "back"])).await;
}

#[tokio::test]
async fn holes_in_too_many_topics_are_told_as_one_gap_up_to_now() {
    let broker =
        Broker::with("[limits]\nholes = 3\n[[topics]]\nfilter = \">\"\nhistory = { count = 1 }").await;
    for (topics, is_one) in [(3, false), (4, true)] {
        let start = broker.get_json("/v1/topics/t/messages").await["cursor"].clone();
        for n in 0..topics {
            broker.publish_numbers(&format!("t.{topics}.{n}"), 0..2).await;
        }
        let top = broker.get_json("/v1/topics/t/messages").await["cursor"].clone();
        let mut client = broker.connect(Encoding::Json).await;
        client.send(json!(["subscribe", 1, ">", {"after": start}])).await;
        client.expect(json!(["ok", 1, {"cursor": start, "resumed": false}])).await;
        if is_one {
            client.expect(json!(["replay", ">", ["gap", null, start, top]])).await;
            client.expect(json!(["live", ">", top])).await;
            continue;
        }
        let (mut gaps, mut messages) = (0, 0);
        loop {
            let frame = client.next().await;
            match frame[2][0].as_str() {
                Some("gap") => gaps += 1,
                Some("message") => messages += 1,
                _ => break assert_eq!(frame, json!(["live", ">", top])),
            }
        }
        assert_eq!((gaps, messages), (topics, topics));
    }
}
