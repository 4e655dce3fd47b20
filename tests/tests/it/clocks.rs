//! The wall clock jumps by a day, there and back: `time` in messages shows it, and nothing else does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fanfare_protocol::Encoding;
use fanfare_tests::{Answer, Ask, Broker, Client, Redis, Setup, WallClock, within};
use serde_json::{Value, json};

/// Where the clock stands, in days from the real time: every step is a jump.
const JUMPS: [i64; 4] = [1, 0, -1, 0];
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Topics are forgotten, and messages trimmed, far sooner than after a day.
const CONFIG: &str = "[limits]\nnumbering_ttl = \"2h\"\nrequests_per_s = 20\n\
    [[topics]]\nfilter = \"short\"\nhistory = { age = \"1s\" }\n\
    [[topics]]\nfilter = \">\"\nhistory = { age = \"1h\" }";

/// The same, with heartbeats.
fn beating() -> String {
    format!("heartbeat = \"500ms\"\n{CONFIG}")
}

fn message(topic: &str, at: u64, data: impl Into<Value>) -> Value {
    json!(["message", topic, format!("@{at}"), data.into()])
}

/// The next frame that is no ping; pings are answered.
async fn next(client: &mut Client) -> Value {
    loop {
        let frame = client.next().await;
        if frame[0] != "ping" {
            return frame;
        }
        client.send(json!(["pong"])).await;
    }
}

/// Waits for some heartbeats, more than a second in all, in which nothing else comes.
async fn beat(client: &mut Client) {
    for _ in 0..3 {
        let frame = client.next().await;
        assert_eq!(frame[0], "ping", "{frame}");
        client.send(json!(["pong"])).await;
    }
}

/// How many days a topic's newest message seems to be away.
async fn days_of_newest(node: &Broker, topic: &str) -> i64 {
    let read = node.get(&format!("/v1/topics/{topic}/messages?limit=1")).await.json();
    let time = read["frames"][0][4]["time"].as_i64().expect("a message has a time");
    days_away(time)
}

fn days_away(time_ms: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as i64;
    (time_ms - now + DAY_MS / 2).div_euclid(DAY_MS)
}

async fn publish_keyed(node: &Broker, key: &str) -> Value {
    let ask = Ask::new("POST", "/v1/topics/keyed").header("idempotency-key", key);
    let answer: Answer = node.ask(&ask.header("content-type", "text/plain").body("once")).await;
    answer.json()
}

/// Checks that `a`, whose messages are their own positions, is kept whole, and resumes so.
async fn assert_resumes(node: &Broker, positions: &[u64]) {
    let (first, after) = (positions[0], &positions[1..]);
    let mut client = node.connect(Encoding::Json).await;
    let start = format!("@{first}");
    let ok = client.ask(json!(["subscribe", 1, "a", {"after": start}])).await;
    assert_eq!(ok, json!(["ok", 1, {"cursor": start, "resumed": true}]));
    for at in after {
        assert_eq!(next(&mut client).await, json!(["replay", "a", message("a", *at, *at)]));
    }
    assert_eq!(next(&mut client).await[0], "live");
}

/// Publishes the next position to `a`.
async fn publish_position(node: &Broker, at: u64) {
    let told = node.publish("a", json!(at)).await;
    assert_eq!(told["position"], format!("@{at}"), "{told}");
}

#[tokio::test]
async fn a_broker_whose_clock_jumps_by_a_day_goes_on_as_if_nothing_had_been() {
    let clock = WallClock::new();
    let broker = Setup::new().config(&beating()).wall_clock(&clock).start().await;
    let mut client = broker.follow("a").await;
    let first = publish_keyed(&broker, "k").await;
    broker.publish("empty", json!("gone")).await;
    broker.ask(&Ask::new("DELETE", "/v1/topics/empty/messages")).await;
    let (mut at, mut positions) = (2, vec![]);
    for days in JUMPS {
        let poll = format!("/v1/topics/polled/messages?after={}:{at}&wait=30", broker.epoch);
        let (polled, ()) = tokio::join!(broker.get_json(&poll), async {
            broker.until_metric("fanfare_subscriptions", |count| count == 2.0).await;
            clock.jump(days);
            beat(&mut client).await;
            broker.publish("polled", json!(days)).await;
        });
        assert_eq!(polled["frames"], json!([message("polled", at + 1, days)]));
        at += 2;
        publish_position(&broker, at).await;
        assert_eq!(next(&mut client).await, message("a", at, at));
        assert_eq!(days_of_newest(&broker, "a").await, days, "the clock has jumped");
        positions.push(at);
        assert_resumes(&broker, &positions).await;
        let again = publish_keyed(&broker, "k").await;
        assert_eq!((&again["position"], &again["repeated"]), (&first["position"], &json!(true)));
        broker.until_metric("fanfare_subscriptions", |count| count == 1.0).await;
    }
    let topics = broker.get_json("/v1/topics").await;
    assert!(topics.to_string().contains("empty"), "no topic was forgotten early: {topics}");
}

#[tokio::test]
async fn limits_and_ages_run_on_after_the_clock_was_set_back() {
    let clock = WallClock::new();
    clock.jump(1);
    let broker = Setup::new().config(CONFIG).wall_clock(&clock).start().await;
    broker.publish("short", json!("soon gone")).await;
    let mut client = broker.connect(Encoding::Json).await;
    client.send_all((1..=30).map(|id| json!(["unsubscribe", id, "none"]))).await;
    clock.jump(-1);
    let mut answers = Vec::new();
    while answers.len() < 30 {
        answers.push(next(&mut client).await);
    }
    assert!(answers.iter().any(|answer| answer[2] == "rate_limited"), "{answers:?}");
    let served = async {
        loop {
            client.send(json!(["subscribe", 99, "a"])).await;
            if next(&mut client).await[0] == "ok" {
                break;
            }
        }
    };
    within("requests are served again", served).await;
    let trimmed =
        async { while broker.get_json("/v1/topics/short/messages").await["frames"] != json!([]) {} };
    within("the message is too old", trimmed).await;
}

#[tokio::test]
async fn joined_nodes_do_not_mind_that_the_clock_of_one_jumps() {
    let (redis, clock) = (Redis::start(), WallClock::new());
    let a = Setup::node(&redis).config(&beating()).wall_clock(&clock).start().await;
    let b = Setup::node(&redis).config(&beating()).start().await;
    a.until_ready().await;
    b.until_ready().await;
    let mut clients = [a.follow("a").await, b.follow("*").await];
    let (mut at, mut positions) = (0, vec![]);
    for days in JUMPS {
        clock.jump(days);
        let [at_a, at_b] = &mut clients;
        tokio::join!(beat(at_a), beat(at_b));
        let dates = [date(&a).await, date(&b).await];
        assert!(days != 1 || dates[0] != dates[1], "the clock has jumped");
        for node in [&a, &b] {
            at += 1;
            positions.push(at);
            publish_position(node, at).await;
            for client in &mut clients {
                assert_eq!(next(client).await, message("a", at, at));
            }
            assert_eq!(days_of_newest(node, "a").await, 0, "the time is that of Redis");
        }
        assert_resumes(&a, &positions).await;
        assert_resumes(&b, &positions).await;
    }
    for node in [&a, &b] {
        assert_eq!(node.metric("fanfare_backplane_losses_total").await, 0.0);
        assert_eq!(node.get("/readyz").await.status, 200);
    }
}

/// Publishes as many numbers to a topic of its own, one behind the other.
async fn pour(node: &Broker, count: u64) {
    for number in 0..count {
        let told = node.publish("poured", json!(number)).await;
        assert!(told["position"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn a_redis_whose_clock_jumps_keeps_less_or_more_and_says_so_and_nothing_is_lost_on_its_way() {
    let clock = WallClock::new();
    let redis = Redis::on(&clock);
    let a = Setup::node(&redis).config(CONFIG).start().await;
    let b = Setup::node(&redis).config(CONFIG).start().await;
    a.until_ready().await;
    b.until_ready().await;
    let mut clients = [a.follow("*").await, b.follow("*").await];
    let (mut at, mut positions) = (0, vec![]);
    for (round, days) in [0].into_iter().chain(JUMPS).enumerate() {
        let before = days_away_on(&redis);
        let jump = async {
            pour(&a, 10).await;
            clock.jump(days);
            pour(&a, 10).await;
        };
        tokio::join!(jump, pour(&b, 20));
        for client in &mut clients {
            for number in at + 1..=at + 40 {
                let frame = next(client).await;
                assert_eq!((&frame[0], &frame[2]), (&json!("message"), &json!(format!("@{number}"))));
            }
        }
        at += 40;
        for node in [&a, &b] {
            at += 1;
            positions.push(at);
            publish_position(node, at).await;
            for client in &mut clients {
                assert_eq!(next(client).await, message("a", at, at));
            }
            assert_eq!(days_of_newest(node, "a").await, days, "the time is that of Redis");
        }
        // Who has followed the topic keeps its own; who has not is told what Redis keeps.
        assert_resumes(&a, &positions).await;
        assert_resumes(&b, &positions).await;
        let fresh = Setup::node(&redis).config(CONFIG).start().await;
        fresh.until_ready().await;
        assert_eq!(fresh.epoch, a.epoch, "the numbering goes on");
        let kept = positions.len() - if days > before || round == 0 { 2 } else { 4 };
        assert_resumes(&fresh, &positions[kept..]).await;
        if days > before {
            let mut told = fresh.connect(Encoding::Json).await;
            let (first, last) = (format!("@{}", positions[0]), format!("@{}", positions[kept - 1]));
            let ok = told.ask(json!(["subscribe", 1, "a", {"after": first}])).await;
            assert_eq!(ok[2]["resumed"], false, "{ok}");
            assert_eq!(next(&mut told).await, json!(["replay", "a", ["gap", "a", first, last]]));
        }
    }
    for node in [&a, &b] {
        assert_eq!(node.metric("fanfare_backplane_losses_total").await, 0.0);
        assert_eq!(node.get("/readyz").await.status, 200);
    }
}

/// The date by which a node answers.
async fn date(node: &Broker) -> String {
    let answer = node.get("/healthz").await;
    answer.header("date").and_then(|date| date.get(..16)).expect("answers are dated").to_owned()
}

/// How many days the clock of Redis is away.
fn days_away_on(redis: &Redis) -> i64 {
    let (seconds, _): (i64, i64) = redis.command(&["TIME"]);
    days_away(seconds * 1_000)
}
