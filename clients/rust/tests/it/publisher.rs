//! The publisher over real sockets.

use fanfare_client::{PublishError, Publisher, Topic};

use super::scripted::{Scripted, answer, read_request, together};

const PLACED: &str = r#"{"topic":"a","position":"0.k:7","heard":true,"receivers":2}"#;

#[tokio::test]
async fn a_connection_is_used_again_and_a_lost_one_replaced_unnoticed() {
    let broker = Scripted::start().await;
    let (closed, was_closed) = tokio::sync::oneshot::channel();
    let told = async {
        let mut stream = broker.accept().await;
        let first = read_request(&mut stream).await.unwrap();
        assert!(first.head.starts_with("POST /v1/topics/a HTTP/1.1\r\n"), "{}", first.head);
        assert_eq!(first.body, r#"{"x":1}"#);
        answer(&mut stream, "200 OK", PLACED).await;
        let second = read_request(&mut stream).await.unwrap();
        assert!(second.head.contains("content-type: text/plain\r\n"), "{}", second.head);
        answer(&mut stream, "200 OK", PLACED).await;
        drop(stream);
        closed.send(()).unwrap();
        let mut stream = broker.accept().await;
        let third = read_request(&mut stream).await.unwrap();
        assert_eq!(third.body, r#"[{"topic":"a","data":1},{"topic":"b","data":"x","type":"text/plain"}]"#);
        let results = format!(r#"{{"results":[{PLACED},{{"error":{{"code":"limit","detail":"no"}}}}]}}"#);
        answer(&mut stream, "200 OK", &results).await;
    };
    let published = async {
        let publisher = Publisher::new(&broker.url).unwrap();
        let placed = publisher
            .publish("a", fanfare_client::json(&serde_json::json!({"x": 1})).unwrap())
            .await
            .unwrap();
        assert_eq!(
            (placed.position.seq, placed.heard, placed.receivers, placed.repeated),
            (7, true, Some(2), false)
        );
        publisher.publish("a", fanfare_client::text("hi")).await.unwrap();
        was_closed.await.unwrap();
        // The close has arrived; each turn of this one thread's loop lets the connection's own task see it.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let topic = |name| Topic::parse(name).unwrap();
        let items =
            [(topic("a"), fanfare_client::json(&1).unwrap()), (topic("b"), fanfare_client::text("x"))];
        let results = publisher.publish_batch(&items).await.unwrap();
        assert_eq!(results[0].as_ref().unwrap().position.seq, 7);
        assert_eq!(results[1].as_ref().unwrap_err().to_string(), "no (limit)");
    };
    together(told, published).await;
}

#[tokio::test]
async fn what_went_wrong_says_whether_it_may_have_been_published() {
    let broker = Scripted::start().await;
    let problem =
        r#"{"type":"about:blank","status":503,"code":"overloaded","detail":"no room","retry_after_ms":5}"#;
    for (answered, told) in [
        (Some(("503 Service Unavailable", problem)), "the broker refused it: no room (overloaded)"),
        (Some(("502 Bad Gateway", "<html>")), "it may have been published or not: HTTP 502 Bad Gateway"),
        (Some(("404 Not Found", "<html>")), "what answers is no Fanfare broker: HTTP 404 Not Found"),
        (Some(("200 OK", "hello")), "it may have been published or not: the answer could not be read"),
        (None, "it may have been published or not: "),
    ] {
        let told_it = async {
            let mut stream = broker.accept().await;
            read_request(&mut stream).await.unwrap();
            if let Some((status, body)) = answered {
                answer(&mut stream, status, body).await;
            }
        };
        let publisher = Publisher::new(&broker.url).unwrap();
        let (result, ()) = together(publisher.publish("a", fanfare_client::text("x")), told_it).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let publisher = Publisher::new("http://127.0.0.1:1").unwrap();
    let error = publisher.publish("a", fanfare_client::text("x")).await.unwrap_err();
    assert!(matches!(error, PublishError::Unreachable(_)), "{error}");
    let error = publisher.publish("a.*", fanfare_client::text("x")).await.unwrap_err();
    assert!(matches!(error, PublishError::BadTopic(..)), "{error}");
}
