//! The edge of server-sent events: a session whose client says nothing after its request.
//!
//! Over HTTP/1.1 the answer lasts as long as its connection, and the worker's passes write to the socket. Over HTTP/2
//! the outbox is the body of the answer, pulled as the client reads.

use std::convert::Infallible;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fanfare_core::{SessionKey, Stream, goodbye_event};
use fanfare_protocol::{CloseCode, ErrorCode, OnSlow, RequestError};
use http_body_util::Either;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::http::{self, Answer, Peer, Reply, Topics, shorten};
use crate::node::SessionPlace;
use crate::worker::{CLOSE_MS, Local};

const MEDIA_TYPE: &str = "text/event-stream";
/// The most that is handed over at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// An open stream, over HTTP/2 the body of its answer: ends its session when it is dropped.
pub(crate) struct EventStream {
    local: Rc<Local>,
    key: SessionKey,
    _places: (Rc<Peer>, SessionPlace),
}

/// Answers `GET /v1/sse` with a stream, or with why there is none.
pub(crate) fn open(local: &Rc<Local>, peer: &Rc<Peer>, request: &Request<Incoming>) -> Reply {
    let refused = |answer: Answer| answer.map(Either::Right);
    if request.method() != Method::GET {
        let detail = format!("a stream of events is opened with GET, not {}", request.method());
        let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed);
        return refused(http::refused(status, code, &detail, &[("allow", "GET")]));
    }
    let stream = match asked(local, request) {
        Ok(stream) => stream,
        Err(error) => return refused(http::problem(error.code, &error.reason, None)),
    };
    if request.headers().contains_key(AUTHORIZATION) {
        return refused(http::tokens_unserved());
    }
    if local.node.is_draining() {
        return refused(come_back(stream.retry_ms));
    }
    let (limits, count) = (&local.node.settings.limits, stream.filters.len());
    if count > limits.subscriptions || !local.node.broker.has_room_for_filters(count) {
        let (most, all) = (limits.subscriptions, limits.filters);
        let detail = format!(
            "{count} topics are over the limit: {most} of one session (limits.subscriptions), \
             {all} of all sessions (limits.filters)"
        );
        return refused(http::problem(ErrorCode::Limit, &detail, None));
    }
    let Some(place) = local.node.place_session(peer.address.ip()) else {
        return refused(http::too_many_sessions(limits, peer));
    };
    let key = local.worker.borrow_mut().open_stream(local.node.clock.now(), stream);
    if request.version() == Version::HTTP_2 {
        local.streams.borrow_mut().insert(key);
    }
    let stream = EventStream { local: local.clone(), key, _places: (peer.clone(), place) };
    let mut answer = Response::new(Either::Left(stream));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Asks nginx to pass each event on at once.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer
}

/// Serves a stream over a socket of its own, to which its head is written, until its client is gone.
pub(crate) async fn run(stream: EventStream, socket: TcpStream) {
    let EventStream { local, key, .. } = &stream;
    let (mut read_half, write_half) = socket.into_split();
    local.sockets.borrow_mut().insert(*key, write_half);
    local.settle(*key);
    // What follows its request is not answered, and read only to see the end of the connection.
    let mut surplus_bytes = 0;
    while let Some(bytes) = poll_fn(|context| skip(local, &mut read_half, context)).await {
        surplus_bytes += bytes;
        if surplus_bytes > local.node.settings.limits.handshake_bytes {
            let surplus_max = local.node.settings.limits.handshake_bytes;
            return tracing::debug!(surplus_max, "the client of a stream says too much: it is cut off");
        }
    }
}

/// Reads and forgets what has come, how many bytes; `None` once the connection is over.
fn skip(local: &Local, read_half: &mut OwnedReadHalf, context: &mut Context<'_>) -> Poll<Option<usize>> {
    let buffer = &mut *local.read_buffer.borrow_mut();
    let mut filled = ReadBuf::new(buffer);
    let result = ready!(Pin::new(read_half).poll_read(context, &mut filled));
    let bytes = filled.filled().len();
    Poll::Ready((result.is_ok() && bytes > 0).then_some(bytes))
}

/// A browser does not come back after a refusal: it is told goodbye in a stream that ends at once.
fn come_back(retry_ms: u64) -> Answer {
    let reason = "the broker restarts and opens no new session; come back";
    let event = goodbye_event(CloseCode::Restart, reason, retry_ms);
    http::bytes(StatusCode::OK, MEDIA_TYPE, event.into())
}

/// What the query and `Last-Event-ID` ask for.
fn asked(local: &Local, request: &Request<Incoming>) -> Result<Stream, RequestError> {
    let bad = |reason| RequestError { id: None, code: ErrorCode::BadRequest, reason };
    let (mut topics, mut after, mut last, mut on_slow) = (Topics::default(), None, None, None);
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes()) {
        match &*name {
            "topic" => topics.add(&value)?,
            "after" => after = Some(value.into_owned()),
            "last" => match value.parse::<u32>() {
                Ok(count @ 1..) => last = Some(count),
                _ => {
                    let shown = shorten(&value);
                    return Err(bad(format!("last {shown} is no whole number from 1 to {}", u32::MAX)));
                }
            },
            "on_slow" => match OnSlow::parse(&value) {
                Some(policy) => on_slow = Some(policy),
                None => {
                    let shown = shorten(&value);
                    return Err(bad(format!("on_slow {shown} is none of disconnect, drop and latest")));
                }
            },
            _ => {
                let known = "`topic`, `after`, `last` and `on_slow` are known here";
                return Err(bad(format!("unknown parameter {}; {known}", shorten(&name))));
            }
        }
    }
    let filters = topics.filters()?;
    let last_event_id = request.headers().get("last-event-id").filter(|id| !id.is_empty());
    if let Some(id) = last_event_id {
        (after, last) = (Some(String::from_utf8_lossy(id.as_bytes()).into_owned()), None);
    }
    // Each waits for another time, so that those of a broker that is cut off do not come back all at once.
    let retry_ms = 1_000 + RandomState::new().hash_one(0) % (local.node.settings.drain.reconnect_ms + 1);
    Ok(Stream { filters, after, last, on_slow, retry_ms })
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let EventStream { local, key, .. } = &*self;
        let mut worker = local.worker.borrow_mut();
        loop {
            let Some(session) = worker.session(*key) else { return Poll::Ready(None) };
            let outbox = session.outbox();
            if !outbox.is_empty() {
                let mut bytes = Vec::with_capacity(outbox.bytes().min(CHUNK_BYTES));
                outbox.copy(CHUNK_BYTES, &mut bytes);
                worker.written(*key, bytes.len());
                return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
            }
            if session.closing().is_some() {
                let due_ms = local.node.clock.now().ms() + CLOSE_MS;
                local.streams.borrow_mut().note_closing(*key, due_ms);
                return Poll::Ready(None);
            }
            if !worker.pull(local.node.clock.now(), *key) {
                break;
            }
        }
        local.streams.borrow_mut().wait(*key, context.waker());
        if worker.has_work() {
            local.wake();
        }
        Poll::Pending
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.local.worker.borrow_mut().remove(self.key);
        self.local.sockets.borrow_mut().remove(self.key);
        self.local.streams.borrow_mut().remove(self.key);
        self.local.closed.notify_waiters();
    }
}
