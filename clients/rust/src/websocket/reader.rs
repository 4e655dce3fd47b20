//! Reading, in a task of its own: a frame that is half read can't be given up and begun again.

use fanfare_protocol::Encoding;
use fastwebsockets::{Frame, OpCode, WebSocketError, WebSocketRead};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::ReadHalf;
use tokio::sync::mpsc;

/// One thing that a connection brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A whole message: one frame of the protocol.
    Message(Vec<u8>),
    /// A ping of WebSocket, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// Something without meaning, which shows that the broker lives.
    Sign,
    /// The end.
    End {
        /// The close code; none if it was a cut.
        code: Option<u16>,
        /// For a person.
        reason: String,
    },
}

/// Reads until the end, which is sent too.
pub(super) async fn read(
    mut socket: WebSocketRead<ReadHalf<TokioIo<Upgraded>>>,
    encoding: Encoding,
    message_bytes_max: usize,
    sender: mpsc::Sender<Incoming>,
) {
    let mut whole = Whole { encoding, message_bytes_max, parts: None };
    loop {
        // Nothing is answered from here: both automatic answers are off.
        let mut answer = |_: Frame<'_>| std::future::ready(Ok::<(), WebSocketError>(()));
        let incoming = match socket.read_frame(&mut answer).await {
            Ok(frame) => whole.take(frame.fin, frame.opcode, frame.payload.into()),
            Err(WebSocketError::UnexpectedEOF) => {
                Incoming::End { code: None, reason: "the connection broke".to_owned() }
            }
            Err(WebSocketError::FrameTooLarge) => whole.too_large(),
            Err(error) => Incoming::End { code: code_of(&error), reason: error.to_string() },
        };
        let is_last = matches!(incoming, Incoming::End { .. });
        if sender.send(incoming).await.is_err() || is_last {
            return;
        }
    }
}

/// Messages put together from their fragments.
struct Whole {
    encoding: Encoding,
    message_bytes_max: usize,
    parts: Option<Vec<u8>>,
}

impl Whole {
    fn take(&mut self, is_end: bool, opcode: OpCode, payload: Vec<u8>) -> Incoming {
        match opcode {
            OpCode::Ping => return Incoming::Ping(payload),
            OpCode::Pong => return Incoming::Sign,
            OpCode::Close => return closed(&payload),
            OpCode::Continuation | OpCode::Text | OpCode::Binary => {}
        }
        let begun = self.parts.take();
        let message = match (opcode, begun) {
            (OpCode::Continuation, Some(mut parts)) => {
                parts.extend_from_slice(&payload);
                parts
            }
            (OpCode::Continuation, None) => return broken("a fragment without a beginning came"),
            (_, Some(_)) => return broken("a message came within another"),
            (opcode, None) if (opcode == OpCode::Text) != (self.encoding == Encoding::Json) => {
                return broken("a message of the wrong type came");
            }
            (_, None) => payload,
        };
        if message.len() > self.message_bytes_max {
            return self.too_large();
        }
        if is_end {
            return Incoming::Message(message);
        }
        self.parts = Some(message);
        Incoming::Sign
    }

    fn too_large(&self) -> Incoming {
        let limit = self.message_bytes_max;
        let reason =
            format!("a message of more than {limit} bytes came, the limit (Options::message_bytes_max)");
        Incoming::End { code: Some(1009), reason }
    }
}

fn closed(payload: &[u8]) -> Incoming {
    let (code, reason) = match payload.split_first_chunk() {
        Some((code, reason)) => (Some(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason)),
        None => (Some(1005), "".into()),
    };
    let reason = if reason.is_empty() { "the broker closed the connection".into() } else { reason };
    Incoming::End { code, reason: reason.into_owned() }
}

fn broken(reason: &str) -> Incoming {
    Incoming::End { code: Some(1002), reason: reason.to_owned() }
}

/// The code of a connection that this side has to give up; none for a cut.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else goes wrong is a cut")]
fn code_of(error: &WebSocketError) -> Option<u16> {
    match error {
        WebSocketError::InvalidUTF8 => Some(1007),
        WebSocketError::InvalidValue
        | WebSocketError::ReservedBitsNotZero
        | WebSocketError::ControlFrameFragmented
        | WebSocketError::PingFrameTooLarge => Some(1002),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(message_bytes_max: usize) -> Whole {
        Whole { encoding: Encoding::Json, message_bytes_max, parts: None }
    }

    #[test]
    fn fragments_make_one_message_with_control_frames_between() {
        let mut whole = whole(100);
        assert_eq!(whole.take(false, OpCode::Text, b"[1".to_vec()), Incoming::Sign);
        assert_eq!(whole.take(true, OpCode::Ping, b"p".to_vec()), Incoming::Ping(b"p".to_vec()));
        assert_eq!(whole.take(false, OpCode::Continuation, b",".to_vec()), Incoming::Sign);
        assert_eq!(
            whole.take(true, OpCode::Continuation, b"2]".to_vec()),
            Incoming::Message(b"[1,2]".to_vec())
        );
        assert_eq!(whole.take(true, OpCode::Text, b"[]".to_vec()), Incoming::Message(b"[]".to_vec()));
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        let end = |incoming: Incoming| matches!(incoming, Incoming::End { code: Some(1002), .. });
        assert!(end(whole(100).take(true, OpCode::Continuation, Vec::new())));
        assert!(end(whole(100).take(true, OpCode::Binary, Vec::new())));
        let mut fragmented = whole(100);
        assert_eq!(fragmented.take(false, OpCode::Text, b"[1".to_vec()), Incoming::Sign);
        assert!(end(fragmented.take(true, OpCode::Text, b"[2]".to_vec())));
    }

    #[test]
    fn a_message_over_the_limit_ends_the_connection_be_it_in_fragments() {
        let is_too_large = |incoming: Incoming| {
            let Incoming::End { code: Some(1009), reason } = incoming else {
                panic!("{incoming:?} is no end")
            };
            assert!(reason.contains("more than 3 bytes"), "{reason}");
        };
        let mut fragmented = whole(3);
        assert_eq!(fragmented.take(false, OpCode::Text, b"[1".to_vec()), Incoming::Sign);
        is_too_large(fragmented.take(false, OpCode::Continuation, b",2".to_vec()));
        is_too_large(whole(3).take(true, OpCode::Text, b"[10]".to_vec()));
        let fitting = whole(3).take(true, OpCode::Text, b"[1]".to_vec());
        assert_eq!(fitting, Incoming::Message(b"[1]".to_vec()));
    }

    #[test]
    fn a_close_tells_its_code() {
        let end = |code, reason: &str| Incoming::End { code: Some(code), reason: reason.to_owned() };
        assert_eq!(closed(b"\x03\xf4going"), end(1012, "going"));
        assert_eq!(closed(b""), end(1005, "the broker closed the connection"));
    }
}
