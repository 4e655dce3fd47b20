//! The generator against the floor, and against a server that lies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use fanfare_protocol::Encoding;

use crate::floor;
use crate::load::{Edge, Engine, FanOut, Plan};
use crate::wire;

fn plan(server: SocketAddr) -> Plan {
    Plan {
        server,
        server_pid: None,
        edge: Edge::WebSocket(Encoding::Json),
        subscribers: 10,
        topics: 1,
        publishers: 2,
        batch: 1,
        rate: None,
        data_bytes: 128,
        duration: Duration::from_millis(200),
        patience: Duration::from_secs(5),
    }
}

/// Starts a floor that ends with the tests.
pub(crate) fn start_floor() -> SocketAddr {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(floor::serve(address)).unwrap();
    });
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the floor does not listen");
        thread::yield_now();
    }
    address
}

#[test]
fn every_subscriber_gets_what_was_acknowledged() {
    let base = plan(start_floor());
    for plan in [
        base.clone(),
        Plan { batch: 100, ..base.clone() },
        Plan { topics: 7, rate: Some(500.0), ..base.clone() },
        Plan { topics: 20, batch: 3, ..base },
    ] {
        let outcome = Engine::new(plan.clone()).unwrap().fan_out().unwrap();
        assert!(outcome.exact && outcome.deliveries > 0, "{plan:?}: {outcome:?}");
    }
}

#[test]
fn idle_subscribers_stay() {
    let outcome = Engine::new(Plan { topics: 10, ..plan(start_floor()) }).unwrap().idle().unwrap();
    assert!(outcome.exact && outcome.tally.subscribed == 110, "{outcome:?}");
}

/// Runs one subscriber and one publisher against a server that sends `frames` and then acknowledges a publish.
fn outcome_of(frames: &[&str]) -> FanOut {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| wire::push_text(&mut bytes, &[frame.as_bytes()]));
    let server = thread::spawn(move || {
        let mut subscriber = BufReader::new(listener.accept().unwrap().0);
        read_head(&mut subscriber);
        subscriber.get_mut().write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        let mut ok = Vec::new();
        wire::push_text(&mut ok, &[br#"["ok",1,{"cursor":"0.a:0"}]"#]);
        subscriber.get_mut().write_all(&ok).unwrap();
        let mut publisher = BufReader::new(listener.accept().unwrap().0);
        read_head(&mut publisher);
        publisher.read_exact(&mut [0; 128]).unwrap();
        // In two pieces: a frame may come in any number of them. The answer to the ping shows that one is there.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut piece = Vec::new();
        wire::push_text(&mut piece, &[br#"["ping","0.a:0"]"#]);
        piece.extend_from_slice(first);
        subscriber.get_mut().write_all(&piece).unwrap();
        let (subscribe, pong) =
            (wire::subscribe(&Plan::topic(0), Encoding::Json), wire::pong(Encoding::Json));
        subscriber.read_exact(&mut vec![0; subscribe.len() + pong.len()]).unwrap();
        subscriber.get_mut().write_all(second).unwrap();
        let body = br#"{"topic":"bench.0","position":"0.a:1","heard":true}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        publisher.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
        publisher.read_to_end(&mut Vec::new()).unwrap();
    });
    let patience = Duration::from_millis(500);
    let plan = Plan { subscribers: 1, publishers: 1, rate: Some(1.0), patience, ..plan(address) };
    let outcome = Engine::new(plan).unwrap().fan_out().unwrap();
    server.join().unwrap();
    outcome
}

fn read_head(stream: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
}

const FIRST: &str = r#"["message","bench.0","0.a:1",{"x":"m"},{"time":1}]"#;

#[test]
fn one_message_for_one_acknowledged_is_exact() {
    assert!(outcome_of(&[FIRST]).exact);
    assert!(outcome_of(&[r#"["ping","0.a:0"]"#, FIRST]).exact);
}

#[test]
fn whatever_is_wrong_is_seen() {
    let surplus = outcome_of(&[FIRST, FIRST]);
    assert_eq!((surplus.exact, surplus.surplus, surplus.tally.disordered), (false, 1, 1));
    let gap = outcome_of(&[FIRST, r#"["gap",null,"0.a:1","0.a:2",{}]"#]);
    assert_eq!((gap.exact, gap.tally.gaps), (false, 1));
    let error = outcome_of(&[FIRST, r#"["error",null,"limit","too much",{}]"#]);
    assert_eq!((error.exact, error.tally.unexpected), (false, 1));
}

#[test]
fn a_message_that_does_not_come_is_missing() {
    let outcome = outcome_of(&[r#"["ping","0.a:0"]"#]);
    assert_eq!((outcome.exact, outcome.missing), (false, 1));
}
