//! A broker that does what a test says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// It listens; each test accepts what it expects.
pub(super) struct Scripted {
    listener: TcpListener,
    pub(super) url: String,
}

/// The broker's end of a WebSocket.
pub(super) struct Connection {
    socket: WebSocket<TcpStream>,
}

/// A request of HTTP.
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) body: String,
}

impl Scripted {
    pub(super) async fn start() -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Scripted { listener, url }
    }

    pub(super) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// Accepts a connection and makes it a WebSocket that speaks JSON.
    pub(super) async fn upgrade(&self) -> Connection {
        let mut connection = self.upgrade_to("fanfare.v1.json").await;
        connection.say(r#"["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]"#).await;
        connection
    }

    /// Accepts a connection and makes it a WebSocket for this subprotocol.
    pub(super) async fn upgrade_to(&self, subprotocol: &str) -> Connection {
        let mut stream = self.accept().await;
        let head = read_request(&mut stream).await.unwrap().head;
        let key = header(&head, "sec-websocket-key").unwrap();
        let accept = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n",
            STANDARD.encode(accept.finalize())
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut socket = WebSocket::after_handshake(stream, Role::Server);
        socket.set_auto_close(false);
        socket.set_auto_pong(false);
        Connection { socket }
    }
}

impl Connection {
    /// Sends a frame of the protocol.
    pub(super) async fn say(&mut self, frame: &str) {
        let payload = Payload::Borrowed(frame.as_bytes());
        self.socket.write_frame(Frame::text(payload)).await.unwrap();
    }

    /// Sends a frame of WebSocket.
    pub(super) async fn send(&mut self, frame: Frame<'_>) {
        self.socket.write_frame(frame).await.unwrap();
    }

    /// What the client sends next: a frame of the protocol, or what else it is.
    pub(super) async fn heard(&mut self) -> String {
        let Ok(frame) = self.socket.read_frame().await else { return "cut".to_owned() };
        let text = String::from_utf8_lossy(&frame.payload).into_owned();
        match frame.opcode {
            OpCode::Text => text,
            OpCode::Close => format!("close {}", u16::from_be_bytes([frame.payload[0], frame.payload[1]])),
            OpCode::Pong => format!("pong {text}"),
            OpCode::Ping | OpCode::Binary | OpCode::Continuation => "something else".to_owned(),
        }
    }
}

/// Runs the broker's side and the client's at once, under a watchdog, so that a wait for nothing fails the test.
pub(super) async fn together<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let both = async { tokio::join!(one, other) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("nothing is waited for in vain")
}

/// Reads one request; `None` at the end of the connection.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length: usize = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "half a body");
    }
    Some(Asked { head, body: String::from_utf8(bytes.split_off(end)).unwrap() })
}

/// Answers a request.
pub(super) async fn answer(stream: &mut TcpStream, status: &str, body: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}
