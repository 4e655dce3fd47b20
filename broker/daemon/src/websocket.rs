//! The WebSocket edge: one task a session reads, decodes and hands in; the worker's passes write.

mod handshake;
mod reader;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use bytes::Bytes;
use fanfare_core::SessionKey;
use fanfare_protocol::{Encoding, ErrorCode, decode_request};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::http::{self, Answer, Peer};
use crate::node::SessionPlace;
use crate::worker::{Local, READ_BYTES};
use reader::{Event, Reader, ReaderLimits};

/// Answers a request to upgrade; the session begins once the answer is written.
pub(crate) fn upgrade(local: &Rc<Local>, peer: &Rc<Peer>, mut request: Request<Incoming>) -> Answer {
    let accepted = match handshake::check(&request) {
        Ok(accepted) => accepted,
        Err(refused) => {
            return http::refused(refused.status, refused.code, &refused.detail, refused.headers);
        }
    };
    if accepted.token.is_some() || request.headers().contains_key(AUTHORIZATION) {
        return http::tokens_unserved();
    }
    if local.node.is_draining() {
        let detail = "the broker restarts and opens no new session; connect to another node or come back";
        return http::problem(ErrorCode::Unavailable, detail, Some(1_000));
    }
    let Some(place) = local.node.place_session(peer.address.ip()) else {
        return http::too_many_sessions(&local.node.settings.limits, peer);
    };
    match handshake::switch(&mut request, accepted.encoding) {
        Ok((socket, answer)) => {
            let (local, peer) = (local.clone(), peer.clone());
            tokio::task::spawn_local(async move {
                let Ok(upgraded) = socket.await else { return };
                let parts = upgraded.downcast::<TokioIo<TcpStream>>();
                let parts = parts.expect("the connection is served on this type");
                // A copy, since the buffer that it stands in is hyper's and far larger.
                let first = Vec::from(&*parts.read_buf);
                drop(parts.read_buf);
                run(local, parts.io.into_inner(), first, accepted.encoding, (peer, place)).await;
            });
            answer.map(|_| http::full(Bytes::new()))
        }
        Err(error) => http::problem(ErrorCode::BadRequest, &format!("no WebSocket: {error}"), None),
    }
}

/// Removes a session when its task ends, however it ends.
struct End {
    local: Rc<Local>,
    key: SessionKey,
    _places: (Rc<Peer>, SessionPlace),
}

impl Drop for End {
    fn drop(&mut self) {
        self.local.worker.borrow_mut().remove(self.key);
        self.local.sockets.borrow_mut().remove(self.key);
        self.local.closed.notify_waiters();
    }
}

async fn run(
    local: Rc<Local>,
    stream: TcpStream,
    mut first: Vec<u8>,
    encoding: Encoding,
    places: (Rc<Peer>, SessionPlace),
) {
    let limits = &local.node.settings.limits;
    let limits = ReaderLimits { frame_bytes_max: limits.frame_bytes, fragments_max: limits.fragments };
    let (read_half, write_half) = stream.into_split();
    let key = local.worker.borrow_mut().open(local.node.clock.now(), encoding);
    local.sockets.borrow_mut().insert(key, write_half);
    let end = End { local, key, _places: places };
    let mut session = Reading {
        local: &end.local,
        key,
        encoding,
        read_half,
        reader: Reader::new(limits, encoding == Encoding::Json),
    };
    if !first.is_empty() {
        session.decode(&mut first);
    }
    drop(first);
    end.local.settle(key);
    while let Some(bytes) = session.read().await {
        end.local.settle(key);
        if bytes == READ_BYTES {
            // There is more, and answering took a while.
            tokio::task::yield_now().await;
        }
        session.wait_while_paused().await;
    }
}

/// The reading side of one session.
struct Reading<'a> {
    local: &'a Rc<Local>,
    key: SessionKey,
    encoding: Encoding,
    read_half: OwnedReadHalf,
    reader: Reader,
}

impl Reading<'_> {
    /// Reads what has come and hands it in, how many bytes; `None` once the connection is over.
    async fn read(&mut self) -> Option<usize> {
        poll_fn(|context| {
            let local = self.local;
            let buffer = &mut *local.read_buffer.borrow_mut();
            let mut filled = ReadBuf::new(buffer);
            let result = ready!(Pin::new(&mut self.read_half).poll_read(context, &mut filled));
            let bytes = filled.filled_mut();
            if result.is_err() || bytes.is_empty() {
                return Poll::Ready(None);
            }
            let length = bytes.len();
            self.decode(bytes);
            Poll::Ready(Some(length))
        })
        .await
    }

    /// While too many of its publishes wait the session is not read; then what was read already comes first.
    async fn wait_while_paused(&mut self) {
        while self.is_paused() || self.reader.holds_rest() {
            if self.is_paused() {
                self.local.resumed.notified().await;
                continue;
            }
            let (local, key, encoding) = (self.local, self.key, self.encoding);
            if let Err(error) = self.reader.resume(|event| receive(local, key, encoding, event)) {
                local.worker.borrow_mut().close(key, error.code, &error.reason);
            }
            local.settle(key);
        }
    }

    fn is_paused(&self) -> bool {
        let worker = self.local.worker.borrow();
        worker.session(self.key).is_some_and(|session| session.is_paused(&self.local.node.settings.limits))
    }

    fn decode(&mut self, bytes: &mut [u8]) {
        let (local, key, encoding) = (self.local, self.key, self.encoding);
        if let Err(error) = self.reader.read(bytes, |event| receive(local, key, encoding, event)) {
            local.worker.borrow_mut().close(key, error.code, &error.reason);
        }
        let due_ms = local.node.clock.now().ms() + local.node.settings.limits.partial_frame_ms;
        local.sockets.borrow_mut().note_partial(key, self.reader.partial(), due_ms);
    }
}

/// Hands one event in; breaks if no more is to be read for now.
fn receive(local: &Local, key: SessionKey, encoding: Encoding, event: Event<'_>) -> ControlFlow<()> {
    let now = local.node.clock.now();
    let mut worker = local.worker.borrow_mut();
    match event {
        Event::Message(bytes) => match decode_request(encoding, bytes) {
            Ok(request) => worker.handle(now, key, request),
            Err(error) => worker.refuse(now, key, error),
        },
        Event::Ping(payload) => worker.ping_received(now, key, payload),
        Event::Pong => worker.control_received(now, key),
        Event::Close(code) => {
            worker.close_received(key, code);
            local.sockets.borrow_mut().note_closed(key);
        }
    }
    let limits = &local.node.settings.limits;
    let paused = worker.session(key).is_some_and(|session| session.is_paused(limits));
    if paused { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
