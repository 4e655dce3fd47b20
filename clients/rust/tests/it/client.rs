//! The client over real sockets: cuts, full queues, ends.

use fanfare_client::{Client, Event, Options, PublishError, SubscribeError, SubscribeOptions, Subscription};
use fastwebsockets::{Frame, Payload};

use super::scripted::{Scripted, answer, read_request, together};

async fn seq(subscription: &mut Subscription) -> u64 {
    loop {
        match subscription.next().await.unwrap() {
            Event::Message(message) => return message.position.seq,
            Event::Live(_) => {}
            other @ (Event::Gap(_) | Event::Unsubscribed { .. } | Event::Closed { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}

fn message(seq: u64) -> String {
    format!(r#"["message","a","0.k:{seq}",{seq}]"#)
}

#[tokio::test]
async fn after_a_cut_it_comes_back_and_goes_on_from_its_cursor() {
    let broker = Scripted::start().await;
    let told = async {
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
        connection.say(r#"["ok",1,{"cursor":"0.k:0"}]"#).await;
        connection.say(&message(1)).await;
        drop(connection);
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",2,"a",{"after":"0.k:1"}]"#);
        connection.say(r#"["ok",2,{"cursor":"0.k:1","resumed":true}]"#).await;
        connection.say(r#"["live","a","0.k:1"]"#).await;
        connection.say(&message(2)).await;
        connection.send(Frame::new(true, fastwebsockets::OpCode::Ping, None, Payload::Borrowed(b"x"))).await;
        assert_eq!(connection.heard().await, "pong x");
        connection
    };
    let followed = async {
        let client = Client::connect(&broker.url).await.unwrap();
        let mut subscription = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
        assert_eq!([seq(&mut subscription).await, seq(&mut subscription).await], [1, 2]);
        assert_eq!(subscription.cursor().unwrap().to_string(), "0.k:2");
        client
    };
    together(told, followed).await;
}

#[tokio::test]
async fn a_full_queue_is_left_and_goes_on_where_it_was_while_publishes_are_answered() {
    let broker = Scripted::start().await;
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let told = async {
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
        connection.say(r#"["ok",1,{"cursor":"0.k:0"}]"#).await;
        for seq in 1..=9 {
            connection.say(&message(seq)).await;
        }
        assert_eq!(connection.heard().await, r#"["publish",2,"b",1]"#);
        connection.say(r#"["ok",2,{"position":"0.k:10","heard":false}]"#).await;
        assert_eq!(connection.heard().await, r#"["unsubscribe",3,"a"]"#);
        connection.say(r#"["ok",3,{}]"#).await;
        // The queue has the live event and three messages, one waits for room, the others were passed over.
        assert_eq!(connection.heard().await, r#"["subscribe",4,"a",{"after":"0.k:4"}]"#);
        asked.send(()).unwrap();
        connection.say(r#"["ok",4,{"cursor":"0.k:4","resumed":true}]"#).await;
        connection.say(r#"["replay","a",["message","a","0.k:5",5]]"#).await;
        connection.say(r#"["live","a","0.k:9"]"#).await;
        connection
    };
    let followed = async {
        let options = Options { queue_events_max: 4, ..Options::default() };
        let client = Client::connect_with(&broker.url, options).await.unwrap();
        let mut subscription = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
        client.publish("b", fanfare_client::json(&1).unwrap()).await.unwrap();
        // The live event and one message: then half of the queue is free.
        assert_eq!(seq(&mut subscription).await, 1);
        was_asked.await.unwrap();
        for expected in 2..=5 {
            assert_eq!(seq(&mut subscription).await, expected);
        }
        client
    };
    together(told, followed).await;
}

#[tokio::test]
async fn a_dropped_subscription_is_left_and_its_filter_may_be_followed_again() {
    let broker = Scripted::start().await;
    let told = async {
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
        assert_eq!(connection.heard().await, r#"["unsubscribe",2,"a"]"#);
        assert_eq!(connection.heard().await, r#"["subscribe",3,"a",{"last":1}]"#);
        connection
    };
    let followed = async {
        let client = Client::connect(&broker.url).await.unwrap();
        let first = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
        let twice = client.subscribe("a", SubscribeOptions::default()).await.unwrap_err();
        assert_eq!(twice, SubscribeError::AlreadyFollowed("a".to_owned()));
        drop(first);
        let options = SubscribeOptions { last: Some(1), ..SubscribeOptions::default() };
        (client.subscribe("a", options).await.unwrap(), client)
    };
    together(told, followed).await;
}

#[tokio::test]
async fn closed_by_either_side_everybody_is_told() {
    let broker = Scripted::start().await;
    for by_the_broker in [true, false] {
        let told = async {
            let mut connection = broker.upgrade().await;
            assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
            if by_the_broker {
                connection.send(Frame::close(4003, b"by an operator")).await;
            }
            assert_eq!(connection.heard().await, if by_the_broker { "close 4003" } else { "close 1000" });
        };
        let followed = async {
            let client = Client::connect(&broker.url).await.unwrap();
            let mut subscription = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
            if !by_the_broker {
                client.clone().close().await;
            }
            let Some(Event::Closed { code, reason }) = subscription.next().await else {
                panic!("it is closed")
            };
            assert_eq!(subscription.next().await, None);
            assert_eq!(code, if by_the_broker { 4003 } else { 1000 });
            let error = client.publish("a", fanfare_client::text("x")).await.unwrap_err();
            assert_eq!(error, PublishError::Closed { code, reason });
            assert!(client.subscribe("b", SubscribeOptions::default()).await.is_err());
        };
        together(told, followed).await;
    }
}

#[tokio::test]
async fn with_the_last_handle_the_connection_is_closed() {
    let broker = Scripted::start().await;
    let (dropped, was_dropped) = tokio::sync::oneshot::channel();
    let told = async {
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
        connection.say(r#"["ok",1,{"cursor":"0.k:0"}]"#).await;
        was_dropped.await.unwrap();
        // The subscription is a handle too: there is an answer, and no close before it.
        connection.send(Frame::new(true, fastwebsockets::OpCode::Ping, None, Payload::Borrowed(b"x"))).await;
        assert_eq!(connection.heard().await, "pong x");
        connection.say(&message(1)).await;
        let mut heard = connection.heard().await;
        if heard == r#"["unsubscribe",2,"a"]"# {
            heard = connection.heard().await;
        }
        assert_eq!(heard, "close 1000");
    };
    let followed = async {
        let client = Client::connect(&broker.url).await.unwrap();
        let mut subscription = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
        drop(client);
        dropped.send(()).unwrap();
        assert_eq!(seq(&mut subscription).await, 1);
        drop(subscription);
    };
    together(told, followed).await;
}

#[tokio::test]
async fn a_close_without_a_code_is_answered_and_a_refusal_of_its_return_ends_it() {
    let broker = Scripted::start().await;
    let told = async {
        let mut connection = broker.upgrade().await;
        assert_eq!(connection.heard().await, r#"["subscribe",1,"a"]"#);
        connection.send(Frame::close_raw(Payload::Borrowed(b""))).await;
        assert_eq!(connection.heard().await, "close 1000");
        for status in ["502 Bad Gateway", "403 Forbidden"] {
            let mut stream = broker.accept().await;
            read_request(&mut stream).await.unwrap();
            answer(&mut stream, status, r#"{"code":"forbidden","detail":"origin not allowed"}"#).await;
        }
    };
    let followed = async {
        let client = Client::connect(&broker.url).await.unwrap();
        let mut subscription = client.subscribe("a", SubscribeOptions::default()).await.unwrap();
        let Some(Event::Closed { reason, .. }) = subscription.next().await else { panic!("it is closed") };
        assert!(reason.contains("origin not allowed"), "{reason}");
    };
    together(told, followed).await;
}

#[tokio::test]
async fn whoever_agrees_on_no_subprotocol_is_no_broker() {
    let broker = Scripted::start().await;
    let (result, _connection) = together(Client::connect(&broker.url), broker.upgrade_to("other.v1")).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("is no Fanfare broker: it did not agree on the subprotocol"), "{error}");
}

#[tokio::test]
async fn whoever_refuses_or_is_no_broker_is_told() {
    let broker = Scripted::start().await;
    let problem = r#"{"code":"forbidden","detail":"origin not allowed"}"#;
    let forged =
        "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x";
    for (status, body, told) in [
        ("403 Forbidden", problem, "refused the connection: origin not allowed"),
        ("502 Bad Gateway", "<html>", "refused the connection: HTTP 502 Bad Gateway"),
        (forged, "", "is no Fanfare broker: its answer to the handshake has the wrong Sec-WebSocket-Accept"),
    ] {
        let told_it = async {
            let mut stream = broker.accept().await;
            read_request(&mut stream).await.unwrap();
            answer(&mut stream, status, body).await;
            stream
        };
        let (result, _stream) = together(Client::connect(&broker.url), told_it).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let error = Client::connect("http://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(error.contains("no broker answers at 127.0.0.1:1"), "{error}");
}
