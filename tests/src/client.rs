//! A client of the subprotocol: sends frames and expects exactly what comes.
//!
//! Frames are JSON values in either encoding. `@7` stands for the position of seq 7 in the broker's epoch, both ways;
//! the times of messages are left out.

use std::net::SocketAddr;

use fanfare_protocol::{Encoding, Frame};
use serde_json::Value;

use crate::socket::{Heard, Socket, frame};
use crate::value::{message_pack, normalized, positioned, value_of};

/// One connected client.
#[derive(Debug)]
pub struct Client {
    /// What is beneath.
    pub socket: Socket,
    /// What the last `welcome` said; null before the first.
    pub welcome: Value,
    epoch: String,
}

impl Client {
    /// A client that has connected and been welcomed.
    pub(crate) async fn connect(address: SocketAddr, encoding: Encoding, epoch: &str) -> Client {
        let mut client = Client::over(Socket::open(address, encoding).await, epoch);
        let welcome = client.next().await;
        assert_eq!((&welcome[0], &welcome[1]), (&Value::from("welcome"), &Value::Null), "{welcome}");
        client
    }

    /// A client on an upgraded socket; `welcome` is still to come.
    pub fn over(socket: Socket, epoch: &str) -> Client {
        Client { socket, welcome: Value::Null, epoch: epoch.to_owned() }
    }

    /// Sends one frame.
    pub async fn send(&mut self, frame: Value) {
        self.send_all([frame]).await;
    }

    /// Sends frames in one write.
    pub async fn send_all(&mut self, frames: impl IntoIterator<Item = Value>) {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| self.encode(&frame)).collect();
        self.socket.send_raw(&bytes).await;
    }

    /// The bytes on the wire of one frame.
    pub fn encode(&self, value: &Value) -> Vec<u8> {
        let value = positioned(value, &self.epoch);
        let payload = match self.socket.encoding {
            Encoding::Json => value.to_string().into_bytes(),
            Encoding::MessagePack => message_pack(&value),
        };
        frame(self.socket.message_byte(), &payload)
    }

    /// Sends one frame and returns what comes next.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.next().await
    }

    /// The bytes of the next frame.
    pub async fn next_bytes(&mut self) -> Vec<u8> {
        match self.socket.next().await {
            Heard::Message(bytes) => bytes,
            other @ (Heard::Ping(_) | Heard::Pong(_) | Heard::Close(..) | Heard::End) => {
                panic!("a frame was expected, not {other:?}")
            }
        }
    }

    /// The next frame, which SDKs must be able to read.
    pub async fn next(&mut self) -> Value {
        let bytes = self.next_bytes().await;
        Frame::decode(self.socket.encoding, &bytes).expect("the broker writes frames");
        let frame = normalized(&value_of(self.socket.encoding, &bytes), &self.epoch);
        if frame[0] == "welcome" {
            self.welcome = frame[2].clone();
        }
        frame
    }

    /// Checks the next frame.
    #[track_caller]
    pub fn expect(&mut self, expected: Value) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.next().await;
            assert_eq!(frame, expected, "at {caller}");
        }
    }

    /// Checks that the next frame is an error with this id and code whose reason says all of `told`.
    #[track_caller]
    pub fn expect_error(&mut self, id: Option<u64>, code: &str, told: &[&str]) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.next().await;
            let actual = (&frame[0], frame[1].as_u64(), &frame[2]);
            assert_eq!(actual, (&"error".into(), id, &code.into()), "{frame} at {caller}");
            let reason = frame[3].as_str().expect("a reason is a string");
            for word in told {
                assert!(reason.contains(word), "{reason:?} does not say {word:?}, at {caller}");
            }
        }
    }

    /// Checks that the broker says goodbye, closes with this code and ends the connection; the reason.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let goodbye = self.next().await;
            assert_eq!(
                (&goodbye[0], &goodbye[1]),
                (&"goodbye".into(), &code.into()),
                "{goodbye} at {caller}"
            );
            let Heard::Close(actual, reason) = self.socket.next().await else {
                panic!("a close follows a goodbye, at {caller}");
            };
            assert_eq!((actual, goodbye[2].as_str()), (code, Some(reason.as_str())), "at {caller}");
            assert_eq!(self.socket.next().await, Heard::End, "at {caller}");
            reason
        }
    }
}
