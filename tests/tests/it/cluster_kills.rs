//! Nodes are killed one after another behind a load balancer, and the Rust client on them misses nothing.

use std::time::{Duration, Instant};

use fanfare_client::{Client, Event, Subscription};
use fanfare_protocol::{Payload, SubscribeOptions};
use fanfare_tests::{Broker, Proxy, Redis, Setup, within};
use serde_json::json;

const KILLS: u64 = 6;
/// How soon a client is back where another node takes over at once.
const RESUME_MAX: Duration = Duration::from_secs(3);
/// A poll that lasts as long as a connection has to, for the next wait to be short.
const STEADY: &str = "/v1/topics/quiet/messages?wait=2";

async fn node(redis: &Redis) -> Broker {
    let node = Setup::node(redis).start().await;
    node.until_ready().await;
    node
}

async fn next(orders: &mut Subscription) -> Event {
    within("the next event", orders.next()).await.expect("it is followed")
}

/// Awaits the message of this number and nothing else.
async fn expect(orders: &mut Subscription, number: u64) {
    let event = next(orders).await;
    let Event::Message(message) = event else { panic!("{event:?} in place of message {number}") };
    assert_eq!(message.payload, Payload::Json(number.to_string().into()));
}

#[tokio::test]
async fn who_loses_a_node_every_few_seconds_is_back_in_time_each_time_and_misses_nothing() {
    let redis = Redis::start();
    let (mut on, mut other) = tokio::join!(node(&redis), node(&redis));
    let balancer = Proxy::start(on.address);
    let client = Client::connect(&format!("http://{}", balancer.address())).await.unwrap();
    let mut orders = client.subscribe("orders.>", SubscribeOptions::default()).await.unwrap();
    assert!(matches!(next(&mut orders).await, Event::Live(_)));
    for kill in 0..KILLS {
        let [before, meanwhile, after] = [3 * kill, 3 * kill + 1, 3 * kill + 2];
        on.publish("orders.eu", json!(before)).await;
        expect(&mut orders, before).await;
        assert_eq!(on.get(STEADY).await.status, 200);
        let killed = Instant::now();
        drop(on);
        balancer.turn_to(other.address);
        other.publish("orders.new", json!(meanwhile)).await;
        expect(&mut orders, meanwhile).await;
        assert!(matches!(next(&mut orders).await, Event::Live(_)));
        let resumed = killed.elapsed();
        assert!(resumed < RESUME_MAX, "kill {kill}: it was back after {resumed:?}");
        other.publish("orders.eu", json!(after)).await;
        expect(&mut orders, after).await;
        (on, other) = (other, node(&redis).await);
    }
    client.close().await;
}
