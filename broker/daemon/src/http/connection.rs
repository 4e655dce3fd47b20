//! One connection: HTTP/1.1, HTTP/2, or what takes the socket over from HTTP/1.1.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http_body_util::Either;
use hyper::Response;
use hyper::http::response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::lasting;
use crate::node::ConnectionPlace;
use crate::sse::{self, EventStream};
use crate::worker::Local;

/// The most that waits in one stream of a connection of HTTP/2 that does not take it.
const STREAM_BYTES: usize = 64 * 1024;

/// Who is connected.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// True once a request has come.
    has_asked: Cell<bool>,
    _place: ConnectionPlace,
}

/// Serves one connection: HTTP/1.1, HTTP/2 with prior knowledge, or a WebSocket after the upgrade.
pub(crate) async fn serve(
    local: Rc<Local>,
    stream: std::net::TcpStream,
    address: SocketAddr,
    place: ConnectionPlace,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let mut first = [0; 3];
    let Ok(Ok(1..)) = tokio::time::timeout(handshake(&local), stream.peek(&mut first)).await else { return };
    let peer = Rc::new(Peer { address, has_asked: Cell::new(false), _place: place });
    let result = if first == *b"PRI" {
        over_http2(local, peer, stream).await
    } else {
        over_http1(local, peer, stream).await
    };
    if let Err(error) = result {
        tracing::debug!(%address, %error, "a connection ended badly");
    }
}

async fn over_http1(local: Rc<Local>, peer: Rc<Peer>, stream: TcpStream) -> hyper::Result<()> {
    let limits = &local.node.settings.limits;
    let mut http1 = hyper::server::conn::http1::Builder::new();
    // It also bounds the time between two requests; the first has its own limit below.
    http1.timer(TokioTimer::new()).header_read_timeout(idle(&local)).max_buf_size(limits.handshake_bytes);
    // Answers are small: one copy costs less than a vectored write.
    http1.writev(false);
    let taken: Rc<Cell<Option<(response::Parts, EventStream)>>> = Rc::default();
    let service = service_fn(|request| {
        peer.has_asked.set(true);
        let (local, peer, taken) = (local.clone(), peer.clone(), taken.clone());
        async move {
            let (head, body) = super::answer(local, peer, request).await.into_parts();
            match body {
                Either::Right(body) => Ok::<_, Infallible>(Response::from_parts(head, body)),
                Either::Left(stream) => {
                    taken.set(Some((head, stream)));
                    // It is answered by who takes the socket over.
                    pending().await
                }
            }
        }
    });
    let mut connection = http1.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let served = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Ready(result) => Poll::Ready(result.map(|()| None)),
        Poll::Pending => taken.take().map_or(Poll::Pending, |taken| Poll::Ready(Ok(Some(taken)))),
    });
    let Some(served) = asked_in_time(&local, &peer, served).await else { return Ok(()) };
    let Some((head, events)) = served? else { return Ok(()) };
    // hyper has written its earlier answers: before that it takes up no further request.
    let Some(parts) = connection.into_parts() else { return Ok(()) };
    let mut socket = parts.io.into_inner();
    let head = lasting::head_bytes(&head);
    // It fits behind what was written, unless the client does not read.
    if let Ok(Ok(())) = tokio::time::timeout(handshake(&local), socket.write_all(&head)).await {
        tokio::task::spawn_local(sse::run(events, socket));
    }
    Ok(())
}

async fn over_http2(local: Rc<Local>, peer: Rc<Peer>, stream: TcpStream) -> hyper::Result<()> {
    let mut http2 = hyper::server::conn::http2::Builder::new(LocalExecutor);
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(local.node.settings.limits.handshake_bytes as u32)
        .max_send_buf_size(STREAM_BYTES)
        .max_concurrent_streams(100)
        .keep_alive_interval(idle(&local));
    let service = service_fn({
        let (local, peer) = (local.clone(), peer.clone());
        move |request| {
            peer.has_asked.set(true);
            let (local, peer) = (local.clone(), peer.clone());
            async move { Ok::<_, Infallible>(super::answer(local, peer, request).await) }
        }
    });
    let connection = http2.serve_connection(TokioIo::new(stream), service);
    asked_in_time(&local, &peer, connection).await.unwrap_or(Ok(()))
}

/// What comes of a connection; none if no request came in time.
async fn asked_in_time<T>(local: &Local, peer: &Peer, connection: impl Future<Output = T>) -> Option<T> {
    let mut connection = pin!(connection);
    match tokio::time::timeout(handshake(local), connection.as_mut()).await {
        Ok(result) => Some(result),
        Err(_) if peer.has_asked.get() => Some(connection.await),
        Err(_) => {
            tracing::debug!(address = %peer.address, "no request came in time");
            None
        }
    }
}

fn handshake(local: &Local) -> Duration {
    Duration::from_millis(local.node.settings.limits.handshake_ms)
}

fn idle(local: &Local) -> Duration {
    Duration::from_millis(local.node.settings.limits.idle_ms)
}

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
