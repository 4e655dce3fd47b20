//! The link, with a core that takes notes and asks what the test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fanfare_core::{Ask, Told};
use fanfare_tests::{Proxy, within};
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::redis::keys::Keys;
use crate::redis::{Backplane, Core, Setup, start_thread};

/// What operators read.
const PAGE: &str = include_str!("../../../REDIS.md");

/// Names publishes for whose outcome nobody waits.
const FORGOTTEN: Ticket = Ticket::new(0);

/// A link whose core is the test.
struct Node {
    backplane: Backplane,
    asks: Arc<Mutex<Vec<Ask>>>,
    wake: Arc<Notify>,
    told: mpsc::Receiver<Told>,
}

struct Notes {
    asks: Arc<Mutex<Vec<Ask>>>,
    told: mpsc::Sender<Told>,
}

impl Core for Notes {
    fn take_asks(&self) -> Vec<Ask> {
        std::mem::take(&mut *self.asks.lock().unwrap())
    }

    fn told(&self, told: Told) {
        // After the test nobody reads the notes.
        drop(self.told.try_send(told));
    }

    fn retain_awaited(&self, publishes: &mut Vec<Unnumbered>) {
        publishes.retain(|publish| publish.ticket != FORGOTTEN);
    }

    fn tick(&self) -> Option<std::time::Instant> {
        None
    }
}

impl Node {
    fn start(address: SocketAddr, node: u64) -> Node {
        let setup = Setup {
            address: Address::parse(&format!("redis://{address}")).unwrap(),
            tls: None,
            prefix: PREFIX.to_owned(),
            node,
            topics: 100,
            idempotency_ms: 60_000,
            numbering_ttl_ms: 60_000,
            history_bytes: 1 << 20,
        };
        let (asks, wake): (Arc<Mutex<Vec<Ask>>>, _) = (Arc::default(), Arc::new(Notify::new()));
        let (sender, told) = mpsc::channel(10_000);
        let core = Notes { asks: asks.clone(), told: sender };
        let (backplane, link) = Backplane::new(setup, core, wake.clone());
        start_thread(link).unwrap();
        Node { backplane, asks, wake, told }
    }

    fn ask(&self, asks: impl IntoIterator<Item = Ask>) {
        self.asks.lock().unwrap().extend(asks);
        self.wake.notify_one();
    }

    async fn next(&mut self) -> Told {
        within("something to be told", self.told.recv()).await.expect("the link runs")
    }

    /// What is told next, in a few words.
    async fn said(&mut self) -> String {
        match self.next().await {
            Told::Up(record) => format!("up {}", record.seq),
            Told::Down(reason) => format!("down {reason}"),
            Told::Confirmed(channels) => format!("confirmed {}", channels.len()),
            Told::Probed { probe, record } => format!("probed {probe} at {}", record.seq),
            Told::Message(one) => format!("message {}", seq(&one)),
            Told::Cleared { topic, to } => format!("cleared {} {}", topic.as_str(), to.seq),
            Told::Read { read, result } => {
                let (record, topics) = result.unwrap();
                format!("read {read} at {}: {}", record.seq, shown(&topics).join(", "))
            }
            Told::Published { ticket, result } => match result {
                Ok(published) => format!("published {} {}", number(ticket), published.position.seq),
                Err(refusal) => format!("refused {} {refusal:?}", number(ticket)),
            },
            Told::ClearDone { ticket, result } => format!("cleared {} {result:?}", number(ticket)),
        }
    }

    async fn expect(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.said().await, *expected);
        }
    }

    async fn until_well(&self) {
        let well = async {
            while self.backplane.health.trouble().is_some() {
                tokio::task::yield_now().await;
            }
        };
        within("no trouble", well).await;
    }

    /// Skips what is told until the link is up.
    async fn until_up(&mut self) {
        while !self.said().await.starts_with("up") {}
    }
}

fn number(ticket: Ticket) -> String {
    format!("{ticket:?}").trim_matches(|c: char| !c.is_ascii_digit()).to_owned()
}

fn publish(ticket: u64, topic: &str) -> Ask {
    Ask::Publish(vec![Unnumbered { ticket: Ticket::new(ticket), ..draft(topic, "x") }])
}

#[tokio::test]
async fn everything_asked_is_answered_in_the_order_of_the_connection() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    node.ask([Ask::Follow(vec![one("a"), below("b")])]);
    node.expect(&["confirmed 2"]).await;
    let mut other = Node::start(redis.address, 2);
    other.expect(&["up 0"]).await;
    other.ask([publish(1, "a"), publish(2, "c"), publish(3, "b.x")]);
    other.expect(&["published 1 1", "published 2 2", "published 3 3"]).await;
    node.expect(&["message 1", "message 3"]).await;
    node.ask([Ask::Probe { probe: 7 }]);
    node.expect(&["probed 7 at 3"]).await;
    node.ask([Ask::Read { read: 1, channels: vec![below("")], above: 1 }]);
    node.expect(&["read 1 at 3: b.x 3: 0<3, c 2: 0<2"]).await;
    other.ask([Ask::Clear { ticket: Ticket::new(4), topic: name("a") }]);
    other.expect(&["cleared 4 Ok(1)"]).await;
    node.expect(&["cleared a 1"]).await;
    node.ask([Ask::Leave(vec![one("a")]), Ask::Follow(vec![one("d")])]);
    node.expect(&["confirmed 1"]).await;
    other.ask([publish(5, "a"), publish(6, "d")]);
    node.expect(&["message 5"]).await;
    let page = node.backplane.topics(fanfare_protocol::Filter::parse(">").unwrap(), None, 2).await.unwrap();
    let names: Vec<(&str, u64, usize)> =
        page.topics.iter().map(|topic| (topic.name.as_str(), topic.last, topic.kept)).collect();
    assert_eq!((names, page.more), (vec![("a", 4, 1), ("b.x", 3, 1)], true));
}

#[tokio::test]
async fn a_stopped_redis_is_given_up_within_the_deadline_and_found_again() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    redis.pause();
    node.ask([publish(1, "a")]);
    node.expect(&["down Redis has not answered for 2 s"]).await;
    let trouble = node.backplane.health.trouble();
    assert_eq!(trouble.as_deref(), Some("Redis has not answered for 2 s"));
    redis.resume();
    node.until_up().await;
    node.until_well().await;
}

#[tokio::test]
async fn a_subscription_that_is_held_up_is_found_by_the_probe() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let mut node = Node::start(proxy.address(), 1);
    node.expect(&["up 0"]).await;
    redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(node.said().await.starts_with("down Redis has closed the connection"));
    node.until_up().await;
    proxy.stall();
    node.ask([Ask::Probe { probe: 1 }]);
    assert!(node.said().await.starts_with("down "));
    proxy.heal();
    node.until_up().await;
}

#[tokio::test]
async fn what_was_seen_by_one_connection_is_known_to_the_next() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    let Told::Up(before) = node.next().await else { panic!("it is up first") };
    node.ask([publish(1, "a"), publish(2, "a")]);
    node.expect(&["published 1 1", "published 2 2"]).await;
    let record = Keys::new(PREFIX, 0).record();
    redis.command::<()>(&["HSET", &record, "seq", "1"]);
    redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(node.said().await.starts_with("down "));
    let Told::Up(after) = node.next().await else { panic!("it is up again") };
    assert_eq!((after.began, after.ended), (1, vec![(before.epoch, 1)]));
}

#[tokio::test]
async fn behind_what_can_not_be_read_nothing_is_taken_before_it_is_known_what_is_missing() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    node.ask([Ask::Follow(vec![one("a")])]);
    node.expect(&["confirmed 1"]).await;
    let channel = Keys::new(PREFIX, 0).channel(&one("a"));
    redis.command::<u64>(&["SPUBLISH", &channel, "\u{1}\u{1}garbled"]);
    node.expect(&["down what another node has sent can't be read: its head can't be read", "up 0"]).await;
    assert_eq!(node.backplane.health.figures.unreadable.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_killed_redis_is_reported_and_found_again() {
    let mut redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    redis.kill();
    assert_eq!(node.said().await, "down Redis has closed the connection");
    let trouble = node.said().await;
    assert!(trouble.starts_with("down Redis can't be reached"), "{trouble}");
    redis.restart();
    node.until_up().await;
    node.ask([publish(1, "a")]);
    node.expect(&["published 1 1"]).await;
}

#[tokio::test]
async fn a_slow_network_is_no_fault() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    proxy.delay(Duration::from_millis(100), Duration::from_millis(200));
    let mut node = Node::start(proxy.address(), 1);
    node.expect(&["up 0"]).await;
    for round in 1..=3 {
        node.ask([Ask::Probe { probe: round }]);
        assert!(node.said().await.starts_with(&format!("probed {round} ")));
    }
}

#[tokio::test]
async fn a_replica_and_an_evicting_server_are_not_ready_with_the_reason() {
    let (redis, primary) = (Redis::start(), Redis::start());
    let (host, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
    redis.command::<()>(&["REPLICAOF", &host, &port]);
    let mut node = Node::start(redis.address, 1);
    assert!(node.said().await.contains("read-only replica"));
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    node.until_up().await;
    redis.command::<()>(&["REPLICAOF", &host, &port]);
    node.ask([publish(1, "a")]);
    assert!(node.said().await.contains("read-only replica"));
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru"]);
    node.until_up().await;
    let trouble = async {
        while !node.backplane.health.trouble().is_some_and(|reason| reason.contains("allkeys-lru")) {
            tokio::task::yield_now().await;
        }
    };
    within("the policy is seen", trouble).await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    node.until_well().await;
}

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything_and_one_without_is_told() {
    let redis = Redis::start();
    let mut rights = vec!["ACL", "SETUSER", "fanfare", "on", ">secret"];
    let (_, documented) = PAGE.split_once("ACL SETUSER fanfare on >password ").expect("the page tells them");
    let (documented, _) = documented.split_once("```").expect("they stand in a block");
    rights.extend(documented.split_whitespace());
    redis.command::<()>(&rights);
    let mut node = Node::start(redis.address, 1);
    drop(node.next().await);
    let setup = |user: &str| Address::parse(&format!("redis://{user}@{}", redis.address)).unwrap();
    let connected =
        driven(connect(&setup("fanfare:secret"), None, PREFIX, 2, BOUNDS, Seen::default()).await.unwrap());
    let calls = connected.calls;
    let mut keyed = draft("a.b", "1");
    keyed.publication.idempotency_key = Some("k".into());
    published(&calls, keyed).await.unwrap();
    let mut again = draft("a.b", "1");
    again.publication.idempotency_key = Some("k".into());
    assert!(published(&calls, again).await.unwrap().repeated);
    let batch: Vec<Unnumbered> = (0..130).map(|_| draft("a.c", "x")).collect();
    assert!(publish_all(&calls, &batch).await.unwrap().iter().all(Result::is_ok), "a batch of many calls");
    let unkept = HistoryRule { count: 0, age_ms: 60_000 };
    published(&calls, Unnumbered { rule: unkept, ..draft("a.c", "x") }).await.unwrap();
    calls.read(&[below("a"), one("b")], 0).await.unwrap();
    follow(&connected.subscription, "SSUBSCRIBE", &[calls.keys.channel(&one("a"))]).await.unwrap();
    assert!(calls.probe(1).await.unwrap());
    assert_eq!(calls.clear(&name("a.b")).await, Ok(1));
    calls.sweep().await.unwrap();
    assert_eq!(calls.make_room(2).await.unwrap(), 2);
    calls.describe(&[name("a.b")]).await.unwrap();
    calls.danger().await.unwrap();
    let wrong = connect(&setup("fanfare:wrong"), None, PREFIX, 2, BOUNDS, Seen::default())
        .await
        .map(drop)
        .unwrap_err();
    assert!(wrong.to_string().contains("user or password"), "{wrong}");
    redis.command::<()>(&["ACL", "SETUSER", "fanfare", "-info"]);
    let lacking = connect(&setup("fanfare:secret"), None, PREFIX, 2, BOUNDS, Seen::default())
        .await
        .map(drop)
        .unwrap_err();
    assert!(lacking.to_string().contains("lacks a right"), "{lacking}");
    let other = connect(&setup("fanfare:secret"), None, "other", 2, BOUNDS, Seen::default())
        .await
        .map(drop)
        .unwrap_err();
    assert!(other.to_string().contains("lacks a right"), "{other}");
}

#[tokio::test]
async fn a_batch_longer_than_a_write_is_numbered_in_its_order() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    let batch = |from, to| (from..=to).map(|at| Unnumbered { ticket: Ticket::new(at), ..draft("a", "x") });
    node.ask([Ask::Publish(batch(1, 700).collect())]);
    for at in 1..=700 {
        node.expect(&[&format!("published {at} {at}")]).await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_published() {
    let redis = Redis::start();
    let mut node = Node::start(redis.address, 1);
    node.expect(&["up 0"]).await;
    let forgotten = Unnumbered { ticket: FORGOTTEN, ..draft("a", "x") };
    let Ask::Publish(last) = publish(7, "a") else { panic!("it is a publish") };
    let batch = [vec![forgotten.clone(); 300], last].concat();
    node.ask([Ask::Publish(vec![forgotten]), publish(1, "a"), Ask::Publish(batch)]);
    node.expect(&["published 1 1", "published 7 2"]).await;
}
