//! Joining, leaving and being cut off while messages pour in: nothing is missed and nothing comes twice.

use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_protocol::Encoding;
use fanfare_tests::{Broker, Client};
use serde_json::{Value, json};

const CONFIG: &str = "heartbeat = \"500ms\"\n[limits]\nrequests_per_s = 1000000\n\
    [[topics]]\nfilter = \">\"\nhistory = { count = 100000 }";

const TOPICS: &[&str] = &["pour.0", "pour.1", "pour.2", "pour.3"];

/// Where a client stands that follows everything.
struct Standing {
    seq: u64,
    is_live: bool,
}

impl Standing {
    /// Follows everything from `cursor`, or from now.
    async fn begin(client: &mut Client, id: u64, cursor: Option<u64>) -> Standing {
        let options = cursor.map_or(json!({}), |cursor| json!({"after": format!("@{cursor}")}));
        client.send(json!(["subscribe", id, ">", options])).await;
        loop {
            let frame = client.next().await;
            if frame[0] == "ok" {
                assert_eq!(frame[1], id, "{frame}");
                let seq = seq(&frame[2]["cursor"]);
                assert!(cursor.is_none_or(|cursor| cursor == seq && frame[2]["resumed"] == true), "{frame}");
                return Standing { seq, is_live: cursor.is_none() };
            }
            assert_eq!(frame[0], "ping", "{frame}");
        }
    }

    /// Reads one frame, which must be the one that is due.
    async fn read(&mut self, client: &mut Client) {
        let frame = client.next().await;
        self.take(client, &frame).await;
    }

    /// Takes a frame, which must be the one that is due.
    async fn take(&mut self, client: &mut Client, frame: &Value) {
        let message = match frame[0].as_str() {
            Some("message") if self.is_live => frame,
            Some("replay") if !self.is_live => &frame[2],
            Some("live") if !self.is_live => {
                self.is_live = true;
                assert_eq!(seq(&frame[2]), self.seq, "live stands where the replay ended");
                return;
            }
            Some("ping") => {
                client.send(json!(["pong"])).await;
                assert!(!self.is_live || seq(&frame[1]) == self.seq, "{frame} at {}", self.seq);
                return;
            }
            _ => panic!("{frame} at {}", self.seq),
        };
        assert_eq!(seq(&message[2]), self.seq + 1, "{frame} at {}", self.seq);
        self.seq += 1;
    }
}

fn seq(position: &Value) -> u64 {
    position.as_str().and_then(|text| text.strip_prefix('@')).expect("a position").parse().expect("a seq")
}

/// The encodings in turn.
fn encoding(n: usize) -> Encoding {
    Encoding::ALL[n % 2]
}

#[tokio::test]
async fn whoever_joins_while_messages_pour_in_misses_nothing_above_its_cursor() {
    let broker = Broker::with(CONFIG).await;
    let stop = AtomicBool::new(false);
    let joining = async {
        for n in 0..60 {
            let mut client = broker.connect(encoding(n)).await;
            let mut standing = Standing::begin(&mut client, 1, None).await;
            let until = standing.seq + 20;
            while standing.seq < until {
                standing.read(&mut client).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(broker.pour(TOPICS, &stop), joining);
}

#[tokio::test]
async fn whoever_leaves_and_joins_again_and_again_gets_each_message_at_most_once() {
    let broker = Broker::with(CONFIG).await;
    let stop = AtomicBool::new(false);
    let churning = async {
        let mut client = broker.connect(Encoding::Json).await;
        let mut left_at = 0;
        for round in 0..100 {
            let after = (round % 3 == 0 && round > 0).then_some(left_at);
            let mut standing = Standing::begin(&mut client, 2 * round + 1, after).await;
            assert!(standing.seq >= left_at);
            for _ in 0..round % 7 {
                standing.read(&mut client).await;
            }
            client.send(json!(["unsubscribe", 2 * round + 2, ">"])).await;
            loop {
                let frame = client.next().await;
                if frame[0] == "ok" {
                    break assert_eq!(frame[1], 2 * round + 2);
                }
                standing.take(&mut client, &frame).await;
            }
            left_at = standing.seq;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(broker.pour(TOPICS, &stop), churning);
}

#[tokio::test]
async fn clients_cut_off_while_messages_pour_in_get_every_one_of_them_once() {
    let broker = Broker::with(CONFIG).await;
    let stop = AtomicBool::new(false);
    let one = |n: usize| {
        let broker = &broker;
        async move {
            let mut client = broker.connect(encoding(n)).await;
            let mut standing = Standing::begin(&mut client, 1, Some(0)).await;
            for cut in 0..15 {
                for _ in 0..(n * 31 + cut * 17) % 90 {
                    standing.read(&mut client).await;
                }
                client = broker.connect(encoding(n + cut)).await;
                standing = Standing::begin(&mut client, 1, Some(standing.seq)).await;
            }
            (client, standing)
        }
    };
    let cutting = async {
        let clients = tokio::join!(one(0), one(1), one(2), one(3), one(4), one(5));
        stop.store(true, Ordering::Relaxed);
        clients
    };
    let (published, clients) = tokio::join!(broker.pour(TOPICS, &stop), cutting);
    for (mut client, mut standing) in <[_; 6]>::from(clients) {
        while standing.seq < published {
            standing.read(&mut client).await;
        }
    }
}

#[tokio::test]
async fn many_followers_on_all_workers_get_everything_and_are_counted() {
    let broker = Broker::with("workers = 4").await;
    let mut followers = Vec::new();
    for n in 0..60 {
        let mut client = broker.connect(encoding(n)).await;
        assert_eq!(client.ask(json!(["subscribe", 1, "a.b"])).await[0], "ok");
        followers.push(client);
    }
    let told = broker.publish("a.b", json!(0)).await;
    assert_eq!((&told["heard"], &told["receivers"]), (&json!(true), &json!(60)));
    broker.publish_numbers("a.b", 1..100).await;
    for follower in &mut followers {
        for n in 0..100 {
            follower.expect(json!(["message", "a.b", format!("@{}", n + 1), n])).await;
        }
    }
    followers.truncate(25);
    broker.until_metric("fanfare_subscriptions", |count| count == 25.0).await;
    assert_eq!(broker.publish("a.b", json!(0)).await["receivers"], 25);
}

#[tokio::test]
async fn who_is_gone_leaves_nothing_behind() {
    let mut broker = Broker::start().await;
    let descriptors = broker.metric("process_open_fds").await;
    for round in 0..3 {
        let mut gone = Vec::new();
        for n in 0..100 {
            let mut client = broker.connect(encoding(n)).await;
            client
                .send_all((1..=10).map(|id| json!(["subscribe", id, format!("t.{id}.*"), {"last": 3}])))
                .await;
            client.send(json!(["publish", 11, format!("t.{}.x", n % 10), round])).await;
            gone.push(client);
        }
        broker.until_metric("fanfare_subscriptions", |count| count == 1_000.0).await;
        drop(gone);
        broker.until_metric("fanfare_subscriptions", |count| count == 0.0).await;
        broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
        broker.until_metric("process_open_fds", |count| count <= descriptors).await;
    }
    broker.assert_well().await;
}
