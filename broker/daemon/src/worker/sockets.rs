//! The sockets of a worker's sessions: writing to them, and ending those that take too long.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::rc::Rc;

use fanfare_core::{Edge, SessionKey};
use fanfare_protocol::CloseCode;
use slotmap::SecondaryMap;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::{Local, WRITE_BYTES};

/// The most pieces of one vectored write.
const SLICES_MAX: usize = 256;
/// How long a closing session may take to read what is left and to close.
pub(crate) const CLOSE_MS: u64 = 5_000;

/// The sockets of all sessions of a worker.
#[derive(Default)]
pub(crate) struct Sockets {
    by_session: SecondaryMap<SessionKey, Socket>,
    /// Closing sessions by when they are ended; in order, since all have equally long.
    closing: VecDeque<(u64, SessionKey)>,
    /// Begun frames by when they must be whole; likewise.
    partial: VecDeque<(u64, SessionKey, u32)>,
}

struct Socket {
    stream: Rc<OwnedWriteHalf>,
    /// True while a task waits until it takes more.
    is_blocked: bool,
    /// True once the end of what is written was sent.
    is_shut: bool,
    is_closing: bool,
    /// True once the client's close frame came.
    is_closed: bool,
    /// The mark of the frame that the client has begun.
    partial: Option<u32>,
}

impl Sockets {
    pub(crate) fn insert(&mut self, key: SessionKey, stream: OwnedWriteHalf) {
        let stream = Rc::new(stream);
        let socket = Socket {
            stream,
            is_blocked: false,
            is_shut: false,
            is_closing: false,
            is_closed: false,
            partial: None,
        };
        self.by_session.insert(key, socket);
    }

    pub(crate) fn remove(&mut self, key: SessionKey) {
        self.by_session.remove(key);
    }

    /// Notes that the client's close frame came.
    pub(crate) fn note_closed(&mut self, key: SessionKey) {
        if let Some(socket) = self.by_session.get_mut(key) {
            socket.is_closed = true;
        }
    }

    /// Notes which frame the client has begun, if any; it must be whole by `due_ms`.
    pub(crate) fn note_partial(&mut self, key: SessionKey, partial: Option<u32>, due_ms: u64) {
        let Some(socket) = self.by_session.get_mut(key) else { return };
        if let Some(mark) = partial.filter(|_| socket.partial != partial) {
            self.partial.push_back((due_ms, key, mark));
        }
        socket.partial = partial;
    }
}

impl Local {
    /// Writes what waits for a session until its socket takes no more, and pulls what follows in its replays; true if
    /// it did that, which takes longer than a write.
    pub(crate) fn write(self: &Rc<Local>, key: SessionKey) -> bool {
        let mut sockets = self.sockets.borrow_mut();
        let Sockets { by_session, closing: all_closing, .. } = &mut *sockets;
        let Some(socket) = by_session.get_mut(key) else {
            self.wake_stream(key);
            return false;
        };
        let closing = self.worker.borrow().session(key).and_then(|session| session.closing()).is_some();
        if closing && !socket.is_closing {
            socket.is_closing = true;
            all_closing.push_back((self.node.clock.now().ms() + CLOSE_MS, key));
        }
        if socket.is_blocked {
            return false;
        }
        match self.write_outbox(key, socket) {
            Written::All => {
                if closing && socket.is_closed {
                    // Both have said goodbye: the server closes first (RFC 6455, section 7.1.1).
                    shut(socket.stream.as_ref().as_ref(), std::net::Shutdown::Both);
                } else if closing && !socket.is_shut {
                    socket.is_shut = true;
                    shut(socket.stream.as_ref().as_ref(), std::net::Shutdown::Write);
                }
            }
            Written::Blocked => {
                socket.is_blocked = true;
                tokio::task::spawn_local(self.clone().write_later(key, socket.stream.clone()));
            }
            // The task that reads it ends with the same error.
            Written::Broken => shut(socket.stream.as_ref().as_ref(), std::net::Shutdown::Both),
        }
        drop(sockets);
        let replaying = self.worker.borrow().is_replaying(key);
        if replaying {
            self.worker.borrow_mut().pull(self.node.clock.now(), key);
        }
        replaying
    }

    /// Ends what took too long: begun frames and closes.
    pub(super) fn end_overdue(self: &Rc<Local>, now_ms: u64) {
        let mut unfinished = Vec::new();
        let mut sockets = self.sockets.borrow_mut();
        while let Some((_, key, mark)) = sockets.partial.pop_front_if(|(due, ..)| *due <= now_ms) {
            if sockets.by_session.get(key).is_some_and(|socket| socket.partial == Some(mark)) {
                unfinished.push(key);
            }
        }
        while let Some((_, key)) = sockets.closing.pop_front_if(|(due, _)| *due <= now_ms) {
            if let Some(socket) = sockets.by_session.get(key) {
                shut(socket.stream.as_ref().as_ref(), std::net::Shutdown::Both);
            }
        }
        drop(sockets);
        for key in unfinished {
            let limit = self.node.settings.limits.partial_frame_ms;
            let reason =
                format!("a frame was begun and not finished within {limit} ms (limits.partial_frame)");
            self.worker.borrow_mut().close(key, CloseCode::FrameTimeout, &reason);
            self.settle(key);
        }
    }

    fn write_outbox(&self, key: SessionKey, socket: &Socket) -> Written {
        loop {
            let result = {
                let worker = self.worker.borrow();
                let Some(outbox) = worker.session(key).map(|session| session.outbox()) else {
                    return Written::Broken;
                };
                if outbox.is_empty() {
                    return Written::All;
                }
                if outbox.edge() == Edge::Events {
                    // An event is in pieces, and not quite as its publisher wrote it.
                    let buffer = &mut *self.write_buffer.borrow_mut();
                    buffer.clear();
                    outbox.copy(WRITE_BYTES, buffer);
                    socket.stream.try_write(buffer)
                } else if let Some(bytes) = outbox.only() {
                    // A plain write costs the kernel less than a vector of one.
                    socket.stream.try_write(bytes)
                } else {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    let count = outbox.gather(&mut slices);
                    socket.stream.try_write_vectored(&slices[..count])
                }
            };
            match result {
                Ok(bytes) => self.worker.borrow_mut().written(key, bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Written::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Written::Broken,
            }
        }
    }

    async fn write_later(self: Rc<Local>, key: SessionKey, stream: Rc<OwnedWriteHalf>) {
        // An error shows again when it is written to.
        drop(stream.writable().await);
        if let Some(socket) = self.sockets.borrow_mut().by_session.get_mut(key) {
            socket.is_blocked = false;
        }
        self.settle(key);
    }
}

enum Written {
    All,
    Blocked,
    Broken,
}

fn shut(stream: &TcpStream, how: std::net::Shutdown) {
    if let Err(error) = SockRef::from(stream).shutdown(how)
        && error.kind() != ErrorKind::NotConnected
    {
        tracing::debug!(%error, "a socket could not be shut down");
    }
}
