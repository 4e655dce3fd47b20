//! A client of server-sent events, which reads as a browser does (WHATWG HTML, section 9.2) and is stricter.

use serde_json::Value;

use crate::broker::Broker;
use crate::http::{Answer, Ask, read_answer_head};
use crate::http2;
use crate::value::normalized;
use crate::wire::Wire;

/// One open stream.
#[derive(Debug)]
pub struct Events {
    body: Body,
    received: Vec<u8>,
    epoch: String,
    /// What a browser would send as `Last-Event-ID`, positions as they are.
    pub last_event_id: Option<String>,
    /// How long a browser would wait before it comes back.
    pub retry_ms: Option<u64>,
    /// The headers of the answer.
    pub head: Answer,
}

/// What carries the stream.
#[derive(Debug)]
enum Body {
    Http1(Wire),
    Http2(Wire),
}

/// One block of lines up to an empty one.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// An event with its frame, and its id, if it has one.
    Event(Value, Option<String>),
    /// An id without an event.
    Heartbeat(String),
    /// The time to wait before coming back.
    Retry(u64),
}

impl Events {
    /// A stream over HTTP/1.1, which the broker must open.
    pub async fn open(broker: &Broker, mut wire: Wire, ask: &Ask) -> Events {
        wire.write(&ask.bytes(&broker.address.to_string())).await.expect("the broker reads");
        Events::answered(broker, wire).await
    }

    /// A stream over HTTP/1.1 that was asked for and is to be answered next.
    pub async fn answered(broker: &Broker, mut wire: Wire) -> Events {
        let head = read_answer_head(&mut wire).await.expect("the broker answers");
        let framing = ["connection", "transfer-encoding", "content-length"].map(|name| head.header(name));
        assert_eq!(framing, [Some("close"), None, None], "{head:?}");
        Events::over(Body::Http1(wire), head, broker)
    }

    /// A stream over HTTP/2 with prior knowledge.
    pub async fn open_http2(broker: &Broker, target: &str) -> Events {
        let mut wire = broker.wire().await;
        http2::ask(&mut wire, &broker.address.to_string(), target).await;
        let head = Answer { status: 200, headers: Vec::new(), body: Vec::new() };
        Events::over(Body::Http2(wire), head, broker)
    }

    fn over(body: Body, head: Answer, broker: &Broker) -> Events {
        assert_eq!(head.status, 200, "{head:?}");
        let (received, epoch) = (Vec::new(), broker.epoch.clone());
        Events { body, received, epoch, last_event_id: None, retry_ms: None, head }
    }

    /// The text of the next block with the empty line that ends it; none once the stream has ended.
    async fn next_text(&mut self) -> Option<String> {
        let end = loop {
            match self.received.windows(2).position(|bytes| bytes == b"\n\n") {
                Some(end) => break end + 2,
                None => match self.body.more().await {
                    Some(bytes) => self.received.extend(bytes),
                    None => {
                        assert_eq!(self.received, b"", "a stream ends between two events");
                        return None;
                    }
                },
            }
        };
        let block = String::from_utf8(self.received.drain(..end).collect()).expect("a stream is UTF-8");
        assert!(!block.contains('\r'), "a carriage return ends a line: {block:?}");
        Some(block)
    }

    /// The very text of the next event, behind heartbeats.
    pub async fn next_event_text(&mut self) -> String {
        loop {
            let block = self.next_text().await.expect("the stream goes on");
            if block.contains("data: ") {
                return block;
            }
        }
    }

    /// The next block; none once the stream has ended.
    pub async fn next_block(&mut self) -> Option<Block> {
        let block = self.next_text().await?;
        let block = block.strip_suffix("\n\n").expect("an empty line ends a block");
        let (mut id, mut data, mut retry_ms) = (None, Vec::new(), None);
        for line in block.split('\n') {
            match line.split_once(": ").expect("a line has a field") {
                ("id", value) => id = Some(value.to_owned()),
                ("data", value) => data.push(value),
                ("retry", value) => retry_ms = Some(value.parse().expect("a time")),
                (field, _) => panic!("{field} is no field of ours"),
            }
        }
        // The id of a block counts, with data or without.
        self.last_event_id = id.clone().or(self.last_event_id.take());
        self.retry_ms = retry_ms.or(self.retry_ms);
        let id = id.map(|id| id.replace(&format!("{}:", self.epoch), "@"));
        if !data.is_empty() {
            let frame = serde_json::from_str(&data.join("\n")).expect("data is JSON");
            return Some(Block::Event(normalized(&frame, &self.epoch), id));
        }
        Some(match (id, retry_ms) {
            (Some(id), None) => Block::Heartbeat(id),
            (None, Some(retry_ms)) => Block::Retry(retry_ms),
            other => panic!("{block:?} says nothing of use: {other:?}"),
        })
    }

    /// The next frame and its id, behind heartbeats.
    pub async fn next(&mut self) -> (Value, Option<String>) {
        loop {
            match self.next_block().await.expect("the stream goes on") {
                Block::Event(frame, id) => return (frame, id),
                Block::Heartbeat(_) | Block::Retry(_) => {}
            }
        }
    }

    /// Checks the next frame, and that its id is where it moves the cursor to.
    #[track_caller]
    pub fn expect(&mut self, expected: Value) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let (frame, id) = self.next().await;
            assert_eq!(frame, expected, "at {caller}");
            let moved = match (frame[0].as_str(), frame[1].is_null()) {
                (Some("message"), _) | (Some("live"), true) => frame[2].as_str(),
                (Some("gap"), true) => frame[3].as_str(),
                _ => None,
            };
            assert_eq!(id.as_deref(), moved, "{frame} at {caller}");
        }
    }

    /// The connection of a stream over HTTP/1.1, to say more on it.
    pub fn wire(&mut self) -> &mut Wire {
        let (Body::Http1(wire) | Body::Http2(wire)) = &mut self.body;
        wire
    }

    /// Checks that the stream has ended.
    pub async fn expect_end(&mut self) {
        assert_eq!(self.next_block().await, None);
    }
}

impl Body {
    /// What comes next of the body; none at its end.
    async fn more(&mut self) -> Option<Vec<u8>> {
        match self {
            Body::Http1(wire) => wire.take_some().await,
            Body::Http2(wire) => http2::read_data(wire).await,
        }
    }
}
