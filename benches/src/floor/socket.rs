//! One subscriber's socket.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use serde::de::IgnoredAny;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::state::State;
use crate::wire::{self, Frame};

/// A subscriber's socket and what it has not taken yet.
pub(super) struct Socket {
    stream: TcpStream,
    waiting: RefCell<BytesMut>,
    begun_to_wait: Notify,
}

impl Socket {
    /// A socket after its upgrade.
    pub(super) fn new(stream: TcpStream) -> Socket {
        Socket { stream, waiting: RefCell::default(), begun_to_wait: Notify::new() }
    }

    /// Writes at once what the socket takes and keeps the rest; the bytes kept.
    pub(super) fn write(&self, bytes: &[u8]) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            waiting.extend_from_slice(bytes);
            return bytes.len();
        }
        let written = match self.stream.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            // Its reader sees the same break and forgets the socket.
            Err(_) => return 0,
        };
        if written < bytes.len() {
            waiting.extend_from_slice(&bytes[written..]);
            self.begun_to_wait.notify_one();
        }
        bytes.len() - written
    }

    /// What the socket has not taken yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Writes what waits, as far as the socket takes it; the bytes written.
    fn flush(&self) -> io::Result<usize> {
        let mut waiting = self.waiting.borrow_mut();
        let mut flushed = 0;
        while !waiting.is_empty() {
            match self.stream.try_write(&waiting) {
                Ok(written) => {
                    waiting.advance(written);
                    flushed += written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(flushed)
    }
}

/// Greets, then reads subscribes and writes what waits until the socket closes. `received` came with the upgrade.
pub(super) async fn follow(state: Rc<RefCell<State>>, socket: Rc<Socket>, received: BytesMut) {
    let mut topics = Vec::new();
    let mut welcome = Vec::new();
    wire::push_text(&mut welcome, &[br#"["welcome",null,{"session":"floor","heartbeat_ms":25000}]"#]);
    let kept = socket.write(&welcome);
    debug_assert_eq!(kept, 0, "a new socket takes a welcome");
    // Any end is the same to the floor: the socket is forgotten.
    let _ = converse(&state, &socket, received, &mut topics).await;
    for topic in topics {
        state.borrow_mut().forget(&topic, &socket);
    }
    state.borrow_mut().drain(socket.waiting_bytes());
}

async fn converse(
    state: &Rc<RefCell<State>>,
    socket: &Rc<Socket>,
    mut received: BytesMut,
    topics: &mut Vec<String>,
) -> io::Result<()> {
    loop {
        while let Some(frame) = Frame::first(&received) {
            let length = frame.bytes;
            subscribe(state, socket, &frame, topics);
            received.advance(length);
        }
        let interest = match socket.waiting_bytes() {
            0 => Interest::READABLE,
            _ => Interest::READABLE | Interest::WRITABLE,
        };
        let ready = tokio::select! {
            ready = socket.stream.ready(interest) => ready?,
            () = socket.begun_to_wait.notified() => continue,
        };
        if ready.is_readable() {
            match socket.stream.try_read_buf(&mut received) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if ready.is_writable() {
            let flushed = socket.flush()?;
            state.borrow_mut().drain(flushed);
        }
    }
}

/// Answers a `subscribe`; any other frame is ignored.
fn subscribe(state: &Rc<RefCell<State>>, socket: &Rc<Socket>, frame: &Frame<'_>, topics: &mut Vec<String>) {
    let payload = frame.unmasked();
    let Ok((op, id, topic, _)) = serde_json::from_slice::<(String, u64, String, IgnoredAny)>(&payload) else {
        return;
    };
    if op != "subscribe" {
        return;
    }
    let mut state = state.borrow_mut();
    let cursor = state.subscribe(topic.clone(), socket.clone());
    topics.push(topic);
    let mut ok = Vec::new();
    wire::push_text(&mut ok, &[format!("[\"ok\",{id},{{\"cursor\":\"{cursor}\"}}]").as_bytes()]);
    let kept = socket.write(&ok);
    debug_assert_eq!(kept, 0, "a new socket takes an answer");
}
