//! Batches on a node that is joined to others: they go out together, in their order.

use std::time::Duration;

use fanfare_tests::{Ask, Broker, Proxy, Redis, Setup};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const KEPT: &str = "[[topics]]\nfilter = \">\"\nhistory = { count = 2000, age = \"1h\" }\n";

/// A node that reaches its Redis through a proxy.
async fn behind(proxy: &Proxy, config: &str) -> Broker {
    let url = format!("redis://{}", proxy.address());
    let node = Setup::new().variable("FANFARE__BACKPLANE__REDIS", &url).config(config).start().await;
    node.until_ready().await;
    node
}

fn items(count: usize, data: impl Fn(usize) -> Value) -> Value {
    (0..count).map(|at| json!({"topic": "a", "data": data(at)})).collect()
}

fn positions(results: &[Value]) -> Vec<String> {
    results
        .iter()
        .map(|result| result["position"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned())
        .collect()
}

/// The data of what Redis keeps of the topic, read on a node in pages.
async fn history(node: &Broker) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), format!("{}:0", node.epoch));
    loop {
        let page = node.get_json(&format!("/v1/topics/a/messages?after={after}")).await;
        all.extend(page["frames"].as_array().unwrap().iter().map(|frame| frame[3].clone()));
        after = page["cursor"].as_str().unwrap().replace('@', &format!("{}:", node.epoch));
        if page["more"] == false {
            return all;
        }
    }
}

#[tokio::test]
async fn a_batch_of_500_is_answered_in_time_over_a_slow_link() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    proxy.delay(Duration::from_millis(20), Duration::ZERO);
    let node = behind(&proxy, KEPT).await;
    let results = node.publish_batch(&items(500, |at| json!(at))).await;
    let expected: Vec<String> = (1..=500).map(|seq| format!("@{seq}")).collect();
    assert_eq!(positions(&results), expected);
    assert_eq!(history(&node).await, (0..500).map(|at| json!(at)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_that_may_not_wait_as_a_whole_goes_out_in_parts() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let config = format!("{KEPT}[limits]\nwaiting_publishes = 60\n");
    let node = behind(&proxy, &config).await;
    let results = node.publish_batch(&items(200, |at| json!(at))).await;
    assert_eq!(positions(&results), (1..=200).map(|seq| format!("@{seq}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_bad_item_spoils_no_other_of_its_batch() {
    let redis = Redis::start();
    let node = Setup::node(&redis).start().await;
    node.until_ready().await;
    let batch = json!([
        {"topic": "a", "data": 1, "idempotency_key": "k"},
        {"topic": "a..b", "data": 2},
        {"topic": "a", "data": 3, "idempotency_key": "k"},
        {"topic": "a", "data": 4},
    ]);
    let results = node.publish_batch(&batch).await;
    assert_eq!((&results[0]["position"], &results[3]["position"]), (&json!("@1"), &json!("@2")));
    assert_eq!(results[1]["error"]["code"], "bad_topic");
    assert_eq!(results[2]["error"]["code"], "idempotency_mismatch");
}

#[tokio::test]
async fn without_memory_in_the_middle_a_beginning_is_published_and_all_the_rest_refused() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    proxy.delay(Duration::from_millis(5), Duration::ZERO);
    let node =
        behind(&proxy, &format!("{KEPT}[limits]\nbatch_bytes = \"8MiB\"\npublish_wait = \"10s\"\n")).await;
    let memory: String = redis.command(&["INFO", "memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let enough_for_some = used.trim().parse::<u64>().unwrap() + (2 << 20);
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", &enough_for_some.to_string()]);
    let data = "x".repeat(8 << 10);
    let results = node.publish_batch(&items(500, |at| json!([at, data]))).await;
    let count = results.iter().take_while(|result| result["error"].is_null()).count();
    assert!(0 < count && count < 500, "{count} were published");
    assert_eq!(positions(&results[..count]), (1..=count).map(|seq| format!("@{seq}")).collect::<Vec<_>>());
    let refusal = &results[count];
    assert!(refusal["error"]["retry_after_ms"].is_u64(), "{refusal}");
    assert!(refusal["error"]["detail"].as_str().unwrap().contains("memory"), "{refusal}");
    assert!(results[count..].iter().all(|result| result == refusal), "all the rest are refused alike");
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(redis.command::<usize>(&["LLEN", "{fanfare:0}/m/a"]), count);
    let told = node.publish("a", json!("next")).await;
    assert_eq!(told["position"], format!("@{}", count + 1));
}

#[tokio::test]
async fn a_batch_that_redis_does_not_answer_is_given_up_as_a_whole() {
    let redis = Redis::start();
    let node = Setup::node(&redis).config(KEPT).start().await;
    node.until_ready().await;
    redis.pause();
    let results = node.publish_batch(&items(300, |at| json!(at))).await;
    assert_eq!(results.len(), 300);
    assert!(results.iter().all(|result| result["error"]["code"] == "unavailable"), "{results:?}");
    node.until_readiness(503).await;
    redis.resume();
    node.until_ready().await;
    let results = node.publish_batch(&items(300, |at| json!(1_000 + at))).await;
    assert!(results.iter().all(|result| result["error"].is_null()), "{results:?}");
    // What was on its way when the first was given up may be published yet, and only as its beginning.
    let (first, second): (Vec<Value>, Vec<Value>) =
        history(&node).await.into_iter().partition(|data| data.as_u64() < Some(1_000));
    let numbers = |from: u64, count: usize| (from..).take(count).map(|at| json!(at)).collect::<Vec<_>>();
    assert_eq!((&first, &second), (&numbers(0, first.len()), &numbers(1_000, 300)));
}

#[tokio::test]
async fn what_is_not_done_in_time_is_the_end_of_a_batch() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let node = behind(&proxy, KEPT).await;
    proxy.delay(Duration::from_millis(300), Duration::ZERO);
    let results = node.publish_batch(&items(500, |at| json!(at))).await;
    let count = results.iter().take_while(|result| result["error"].is_null()).count();
    assert!(0 < count && count < 500, "{count} were published");
    assert_eq!(positions(&results[..count]), (1..=count).map(|seq| format!("@{seq}")).collect::<Vec<_>>());
    for result in &results[count..] {
        assert_eq!(result["error"]["code"], "unavailable", "{result}");
        assert!(result["error"]["detail"].as_str().unwrap().contains("is not known"), "{result}");
        assert!(result["error"]["retry_after_ms"].is_u64(), "{result}");
    }
    proxy.heal();
    node.until_ready().await;
    let expected: Vec<Value> = (0..500).map(|at| json!(at)).collect();
    let kept = history(&node).await;
    assert!(kept.len() >= count && expected.starts_with(&kept), "a beginning was published: {kept:?}");
}

#[tokio::test]
async fn a_redis_that_is_killed_under_a_batch_leaves_a_beginning_of_it() {
    let mut redis = Redis::persistent();
    let proxy = Proxy::start(redis.address);
    let config = format!("{KEPT}[limits]\npublish_wait = \"20s\"\n");
    let node = behind(&proxy, &config).await;
    proxy.delay(Duration::from_millis(30), Duration::ZERO);
    let batch = items(1_000, |at| json!(at));
    let kill = async {
        // The answer to the first part is still on its way then.
        while redis.command::<usize>(&["LLEN", "{fanfare:0}/m/a"]) == 0 {
            tokio::task::yield_now().await;
        }
        redis.kill();
    };
    let (results, ()) = tokio::join!(node.publish_batch(&batch), kill);
    let count = results.iter().take_while(|result| result["error"].is_null()).count();
    assert!(count < 1_000);
    assert!(results[count..].iter().all(|result| result["error"]["code"] == "unavailable"));
    proxy.heal();
    redis.restart();
    node.until_ready().await;
    let expected: Vec<Value> = (0..1_000).map(|at| json!(at)).collect();
    let kept = history(&node).await;
    assert!(!kept.is_empty() && kept.len() >= count && expected.starts_with(&kept), "{kept:?}");
    // It counts on in a new life, since nobody knows what the killed one had still numbered.
    let told = node.publish("a", json!("next")).await;
    assert!(told["position"].as_str().unwrap().ends_with(&format!(":{}", kept.len() + 1)), "{told}");
}

#[tokio::test]
async fn topics_that_find_no_room_spoil_no_other_of_their_batch() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let node = behind(&proxy, "[limits]\ntopics = 300\n").await;
    let batch: Value = (0..500).map(|at| json!({"topic": format!("t.{at}"), "data": at})).collect();
    let results = node.publish_batch(&batch).await;
    assert_eq!(positions(&results[..300]), (1..=300).map(|seq| format!("@{seq}")).collect::<Vec<_>>());
    assert!(results[300..].iter().all(|result| result["error"]["code"] == "limit"), "{results:?}");
    let told = results[300]["error"]["detail"].as_str().unwrap();
    assert!(told.contains("300") && told.contains("limits.topics"), "{told}");
}

#[tokio::test]
async fn who_leaves_under_a_batch_leaves_its_beginning() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address);
    let config = format!("{KEPT}[limits]\nwaiting_publishes = 64\n");
    let node = behind(&proxy, &config).await;
    proxy.delay(Duration::from_millis(20), Duration::ZERO);
    let mut socket = TcpStream::connect(node.address).await.unwrap();
    let body = items(500, |at| json!(at)).to_string();
    let ask = Ask::new("POST", "/v1/publish").header("content-type", "application/json").body(body);
    socket.write_all(&ask.bytes("127.0.0.1")).await.unwrap();
    while redis.command::<usize>(&["LLEN", "{fanfare:0}/m/a"]) == 0 {
        tokio::task::yield_now().await;
    }
    drop(socket);
    // What nobody waits for any more gives its room back once it is answered.
    let results = loop {
        let results = node.publish_batch(&items(200, |at| json!(at))).await;
        if results[0]["error"]["code"] != "overloaded" {
            break results;
        }
    };
    assert!(results.iter().all(|result| result["error"].is_null()), "{results:?}");
    let kept = history(&node).await;
    let (first, last) = kept.split_at(kept.len() - 200);
    let count = |at: &[Value]| (0..at.len()).map(|at| json!(at)).collect::<Vec<_>>();
    assert!(!first.is_empty() && first.len() < 500, "{}", first.len());
    assert_eq!((first, last), (&count(first)[..], &count(last)[..]));
}
