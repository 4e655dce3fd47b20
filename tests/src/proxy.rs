//! A TCP proxy that a test can hold up, slow down and cut, each way by itself, and turn to another address.
//!
//! It runs on a thread of its own, so that a test that blocks its thread does not hold it up too.

mod weather;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use self::weather::Weather;

/// The most chunks that are under way in one direction.
const CHUNKS_MAX: usize = 1_024;
/// The longest chunk.
const CHUNK_BYTES: usize = 16 * 1_024;
/// What waits in each socket of a narrow proxy.
const NARROW_BYTES: usize = 64 * 1_024;

/// What marks a connection to Redis that subscribes.
const SUBSCRIBE: &[u8] = b"SSUBSCRIBE";

/// A direction through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From who connects to who is behind the proxy.
    In,
    /// Back.
    Out,
}

/// A proxy in front of one address; it ends with all its connections when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    bytes: Arc<[AtomicU64; 2]>,
    thread: Option<JoinHandle<()>>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Line {
    /// The weather when it began.
    born: Weather,
    /// The most chunks that are under way in one direction.
    chunks_max: usize,
    has_subscribed: AtomicBool,
}

impl Line {
    fn is_held(&self, way: Way, weather: &Weather) -> bool {
        let is_deaf = weather.is_deaf
            && weather.deafenings > self.born.deafenings
            && self.has_subscribed.load(Ordering::Relaxed);
        weather.is_held[way as usize] || (way == Way::Out && is_deaf)
    }
}

impl Proxy {
    /// A proxy on a free port of loopback that passes everything to `to`.
    pub fn start(to: SocketAddr) -> Proxy {
        Proxy::holding(CHUNKS_MAX, to)
    }

    /// The same with hardly any room: who is behind it sees soon that nothing is taken.
    pub fn narrow(to: SocketAddr) -> Proxy {
        Proxy::holding(1, to)
    }

    fn holding(chunks_max: usize, to: SocketAddr) -> Proxy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a socket can be watched");
        let address = listener.local_addr().expect("a listening socket has an address");
        let (weather, watched) = watch::channel(Weather::fair(to));
        let bytes = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let counted = bytes.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let serving = serve(listener, chunks_max, watched, counted);
            runtime.expect("a runtime can be built").block_on(serving);
        });
        Proxy { address, weather, bytes, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes new connections to `to`; those that are there stay where they are.
    pub fn turn_to(&self, to: SocketAddr) {
        self.weather.send_modify(|weather| weather.to = to);
    }

    /// Ends every connection; new ones are served.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Ends every connection, and each new one at once, until `heal`.
    pub fn refuse(&self) {
        self.weather.send_modify(|weather| (weather.cuts, weather.refuses) = (weather.cuts + 1, true));
    }

    /// Holds back what goes one way, as a broken network does: nothing is lost, and nobody is told.
    pub fn hold(&self, way: Way) {
        self.weather.send_modify(|weather| weather.is_held[way as usize] = true);
    }

    /// Holds back both ways.
    pub fn stall(&self) {
        self.weather.send_modify(|weather| weather.is_held = [true; 2]);
    }

    /// Holds back what goes out on connections to Redis that have subscribed by now, until `heal`.
    pub fn hold_subscriptions(&self) {
        self.weather.send_modify(|weather| {
            (weather.deafenings, weather.is_deaf) = (weather.deafenings + 1, true);
        });
    }

    /// Delays each chunk, each way, by `delay` and up to `jitter` more, in order.
    pub fn delay(&self, delay: Duration, jitter: Duration) {
        self.weather.send_modify(|weather| (weather.delay, weather.jitter) = (delay, jitter));
    }

    /// Passes everything again, what was held back first.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            *weather = {
                let Weather { to, cuts, deafenings, .. } = *weather;
                Weather { cuts, deafenings, ..Weather::fair(to) }
            }
        });
    }

    /// How many bytes went this way since the start.
    pub fn bytes(&self, way: Way) -> u64 {
        self.bytes[way as usize].load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.weather.send_modify(|weather| weather.is_over = true);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the proxy panicked");
    }
}

async fn serve(
    listener: std::net::TcpListener,
    chunks_max: usize,
    weather: watch::Receiver<Weather>,
    bytes: Arc<[AtomicU64; 2]>,
) {
    let listener = TcpListener::from_std(listener).expect("a socket can be watched");
    let mut over = weather.clone();
    tokio::select! {
        _ = over.wait_for(|weather| weather.is_over) => {}
        () = async {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let now = *weather.borrow();
                if !now.refuses {
                    tokio::spawn(pass(client, chunks_max, now, weather.clone(), bytes.clone()));
                }
            }
        } => {}
    }
}

/// Serves one connection until either side or the weather ends it.
async fn pass(
    client: TcpStream,
    chunks_max: usize,
    born: Weather,
    weather: watch::Receiver<Weather>,
    bytes: Arc<[AtomicU64; 2]>,
) {
    let socket = TcpSocket::new_v4().expect("there is a descriptor left");
    if chunks_max == 1 {
        socket.set_recv_buffer_size(NARROW_BYTES as u32).expect("a socket has a buffer");
        SockRef::from(&client).set_send_buffer_size(NARROW_BYTES).expect("a socket has a buffer");
    }
    let Ok(server) = socket.connect(born.to).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a TCP socket has no delay");
    }
    let line = Line { born, chunks_max, has_subscribed: AtomicBool::new(false) };
    let mut cut = weather.clone();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = cut.wait_for(|weather| weather.cuts != born.cuts) => {}
        () = pump(from_client, to_server, Way::In, weather.clone(), &line, &bytes) => {}
        () = pump(from_server, to_client, Way::Out, weather.clone(), &line, &bytes) => {}
    }
}

/// Carries what goes one way, until it ends.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut weather: watch::Receiver<Weather>,
    line: &Line,
    bytes: &[AtomicU64; 2],
) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(line.chunks_max);
    let watched = weather.clone();
    let read = async move {
        let (mut due, mut chance) = (Instant::now(), 1u64);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            if !matches!(from.read_buf(&mut chunk).await, Ok(1..)) {
                break;
            }
            if way == Way::In && chunk.windows(SUBSCRIBE.len()).any(|window| window == SUBSCRIBE) {
                line.has_subscribed.store(true, Ordering::Relaxed);
            }
            let Weather { delay, jitter, .. } = *watched.borrow();
            // A small generator of Lehmer's kind is chance enough.
            chance = chance * 48_271 % 2_147_483_647;
            let extra = jitter.mul_f64(chance as f64 / 2_147_483_647.0);
            due = due.max(Instant::now() + delay + extra);
            if sender.send((due, chunk)).await.is_err() {
                break;
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = chunks.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let is_open = weather.wait_for(|weather| !line.is_held(way, weather)).await.is_ok();
            if !is_open || to.write_all(&chunk).await.is_err() {
                break;
            }
            bytes[way as usize].fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchdog::within;

    /// An echo behind a proxy, and a connection through it.
    async fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, stream)
    }

    async fn heard(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        let count = within("the echo", stream.read(&mut bytes)).await.unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    #[tokio::test]
    async fn what_is_held_back_arrives_once_it_heals() {
        let (proxy, mut stream) = echo().await;
        stream.write_all(b"one").await.unwrap();
        assert_eq!(heard(&mut stream).await, b"one");
        proxy.hold(Way::Out);
        stream.write_all(b"two").await.unwrap();
        within("the way in", async {
            while proxy.bytes(Way::In) < 6 {
                tokio::task::yield_now().await
            }
        })
        .await;
        assert_eq!(proxy.bytes(Way::Out), 3);
        proxy.heal();
        assert_eq!(heard(&mut stream).await, b"two");
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_a_refusal_new_ones_too() {
        let (proxy, mut stream) = echo().await;
        stream.write_all(b"first").await.unwrap();
        assert_eq!(heard(&mut stream).await, b"first");
        proxy.cut();
        assert_eq!(heard(&mut stream).await, b"");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"again").await.unwrap();
        assert_eq!(heard(&mut stream).await, b"again");
        proxy.refuse();
        assert_eq!(heard(&mut stream).await, b"");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(heard(&mut stream).await, b"");
    }

    #[tokio::test]
    async fn turned_to_another_it_leaves_old_connections_where_they_are() {
        let (proxy, mut old) = echo().await;
        old.write_all(b"old").await.unwrap();
        assert_eq!(heard(&mut old).await, b"old");
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        proxy.turn_to(other.local_addr().unwrap());
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut behind, _) = within("the other is connected to", other.accept()).await.unwrap();
        behind.write_all(b"other").await.unwrap();
        assert_eq!(heard(&mut new).await, b"other");
        old.write_all(b"still").await.unwrap();
        assert_eq!(heard(&mut old).await, b"still");
    }

    #[tokio::test]
    async fn delayed_chunks_keep_their_order() {
        let (proxy, mut stream) = echo().await;
        proxy.delay(Duration::from_millis(5), Duration::from_millis(20));
        let began = Instant::now();
        let mut all = Vec::new();
        for byte in b"abcdef" {
            stream.write_all(&[*byte]).await.unwrap();
        }
        while all.len() < 6 {
            all.extend(heard(&mut stream).await);
        }
        assert_eq!(all, b"abcdef");
        assert!(began.elapsed() >= Duration::from_millis(10), "twice the delay");
    }

    #[tokio::test]
    async fn what_has_subscribed_is_held_back_and_what_comes_later_is_not() {
        let (proxy, mut calls) = echo().await;
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        for (stream, said) in [(&mut calls, "GET x"), (&mut old, "SSUBSCRIBE x")] {
            stream.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(heard(stream).await, said.as_bytes());
        }
        proxy.hold_subscriptions();
        old.write_all(b"held").await.unwrap();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        for (stream, said) in [(&mut calls, "GET y"), (&mut new, "SSUBSCRIBE y")] {
            stream.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(heard(stream).await, said.as_bytes());
        }
        within("all that passes", async {
            while proxy.bytes(Way::In) < 38 || proxy.bytes(Way::Out) < 34 {
                tokio::task::yield_now().await
            }
        })
        .await;
        assert_eq!(proxy.bytes(Way::Out), 34);
        proxy.heal();
        assert_eq!(heard(&mut old).await, b"held");
    }
}
