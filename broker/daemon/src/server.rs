//! Starting and stopping: the listening socket, the workers' threads, the acceptor and the sweep.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use fanfare_core::{Ask, Broker, Told, Unnumbered, WORKERS_MAX, Wake};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::Clock;
use crate::config::{Drain, Settings};
use crate::metrics::Metrics;
use crate::node::{Command, Node};
use crate::origin::OriginRule;
use crate::redis::{self, Backplane, Core, Lives, LocalLink, Setup};
use crate::worker;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4_096;
/// Commands that wait at a worker's door.
const COMMANDS_MAX: usize = 4_096;
/// How long the acceptor rests after an error that does not pass by itself.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// What is sent may stay unacknowledged as long as this in any case.
const SILENCE_MIN: Duration = Duration::from_secs(10);
/// How long the start waits to learn whether the backplane can be reached.
const FIRST_CONTACT: Duration = Duration::from_secs(2);
/// How long the last requests may take when the broker stops.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
const SWEEP: Duration = Duration::from_secs(1);

/// The broker as the link sees it, with the time at which it is told something.
struct Mirror {
    broker: Arc<Broker>,
    clock: Clock,
}

impl Core for Mirror {
    fn take_asks(&self) -> Vec<Ask> {
        self.broker.take_asks()
    }

    fn told(&self, told: Told) {
        self.broker.told(self.clock.now(), told);
    }

    fn retain_awaited(&self, publishes: &mut Vec<Unnumbered>) {
        self.broker.retain_awaited(publishes);
    }

    fn tick(&self) -> Option<Instant> {
        self.broker.tick(self.clock.now());
        self.broker.next_timeout().map(|at| self.clock.instant(at))
    }
}

/// A broker that listens and is served by its workers.
pub struct Server {
    node: Arc<Node>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address and starts the workers; nothing is accepted before [`Server::run`].
    pub fn start(settings: Settings) -> anyhow::Result<Server> {
        raise_descriptor_limit();
        let listener = listen(settings.listen)?;
        let address = listener.local_addr().context("a listening socket has an address")?;
        let origin = OriginRule::new(&settings.origins, address.ip().is_loopback())?;
        let workers = worker_count(settings.workers);
        let work: Vec<Arc<Notify>> = (0..workers).map(|_| Arc::new(Notify::new())).collect();
        let wakes = work.iter().cloned().map(|work| Box::new(move || work.notify_one()) as Wake).collect();
        let clock = Clock::start();
        let (broker, backplane, mut link) = broker(&settings, wakes, clock)?;
        if workers > 1
            && let Some(link) = link.take()
        {
            redis::start_thread(link)?;
        }
        let (doors, commands): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(COMMANDS_MAX)).unzip();
        let metrics = Metrics::new(workers);
        let node = Arc::new(Node::new(broker, backplane, settings, origin, clock, metrics, doors));
        for (index, (work, commands)) in work.into_iter().zip(commands).enumerate() {
            let (node, link) = (node.clone(), link.take());
            thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::run(node, index, work, commands, link))
                .context("a worker's thread can't be started")?;
        }
        Ok(Server { node, listener, address })
    }

    /// Waits a moment for the backplane, if there is one; an error if this broker can't work with what lies there.
    pub async fn until_joined(&self) -> anyhow::Result<()> {
        let Some(backplane) = &self.node.backplane else { return Ok(()) };
        backplane.health.first(FIRST_CONTACT).await.map_err(anyhow::Error::msg)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.node.workers.len()
    }

    /// Serves until `stop`, then sends the sessions away as configured; the listening socket closes last.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Server { node, listener, .. } = self;
        tokio::select! {
            ((), ()) = async { tokio::join!(accept(&node, &listener), sweep(&node)) } => {}
            () = async { stop.await; drain(&node).await } => {}
        }
    }
}

/// Stops in order: not ready, after the delay no sessions, then no open request.
async fn drain(node: &Node) {
    let Drain { delay_ms, spread_ms, .. } = node.settings.drain;
    node.begin_to_drain();
    tracing::info!(delay_ms, spread_ms, "stopping: sessions are sent away; a second signal ends at once");
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    let mut drained = Vec::new();
    for door in &node.workers {
        let (sender, receiver) = oneshot::channel();
        if door.ask(Command::Drain(Duration::from_millis(spread_ms), sender)).is_ok() {
            drained.push(receiver);
        }
    }
    for receiver in drained {
        // A worker that is gone has no sessions.
        _ = receiver.await;
    }
    let answered = async {
        let mut answered = std::pin::pin!(node.answered.notified());
        answered.as_mut().enable();
        while node.requests() > 0 {
            answered.as_mut().await;
            answered.set(node.answered.notified());
            answered.as_mut().enable();
        }
    };
    if tokio::time::timeout(LAST_REQUESTS, answered).await.is_err() {
        tracing::warn!(requests = node.requests(), "stopped before all requests were answered");
    }
}

async fn accept(node: &Arc<Node>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Err(error) = hand_over(node, stream, address) {
                    tracing::debug!(%address, %error, "a connection was lost before it was served");
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                node.metrics.accept_failed();
                tracing::warn!(%error, "no connection can be accepted for now; those that are open go on");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn hand_over(node: &Arc<Node>, stream: tokio::net::TcpStream, address: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    notice_silence(&stream, node.settings.limits.heartbeat_ms)?;
    let Some(place) = node.place_connection() else { return refuse(&stream) };
    let door = &node.workers[place.worker()];
    match door.ask(Command::Serve(stream.into_std()?, address, place)) {
        Err(Command::Serve(stream, ..)) => refuse(&tokio::net::TcpStream::from_std(stream)?),
        _ => Ok(()),
    }
}

/// Ends a connection of which what is sent is not acknowledged for two heartbeats: the client of a stream of events
/// says nothing by which it would be known to live.
#[cfg(target_os = "linux")]
fn notice_silence(stream: &tokio::net::TcpStream, heartbeat_ms: u64) -> io::Result<()> {
    let silence = Duration::from_millis(2 * heartbeat_ms).max(SILENCE_MIN);
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(silence))
}

/// Elsewhere the system's own patience decides.
#[cfg(not(target_os = "linux"))]
fn notice_silence(_: &tokio::net::TcpStream, _: u64) -> io::Result<()> {
    Ok(())
}

/// Answers a connection that has no place, without reading from it.
fn refuse(stream: &tokio::net::TcpStream) -> io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    stream.try_write(ANSWER).map(|_| ())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn sweep(node: &Node) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        node.broker.sweep(node.clock.now());
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).context("no socket")?;
    // Only lets a restart follow at once: a second listener on the address is still refused.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let bound = socket.bind(&address.into()).and_then(|()| socket.listen(BACKLOG));
    bound.map_err(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return anyhow::anyhow!("can't listen on {address}: {error}");
        }
        anyhow::anyhow!(
            "{address} is in use: another program, perhaps another fanfare, listens there; \
             stop it or choose another address with --listen"
        )
    })?;
    TcpListener::from_std(socket.into()).context("the listening socket can't be watched")
}

fn worker_count(configured: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    if configured == 0 { cores.min(WORKERS_MAX) } else { configured.min(WORKERS_MAX) }
}

/// The broker that the settings ask for: on its own, or joined to others.
fn broker(
    settings: &Settings,
    wakes: Vec<Wake>,
    clock: Clock,
) -> anyhow::Result<(Arc<Broker>, Option<Backplane>, Option<LocalLink>)> {
    let (rules, limits, lives) = (settings.rules.clone(), settings.limits.clone(), Lives::default());
    let Some(address) = settings.backplane.redis.clone() else {
        return Ok((Arc::new(Broker::new(lives.draw(), rules, limits, wakes)), None, None));
    };
    let (node, wake) = (lives.number(), Arc::new(Notify::new()));
    let link_wake = wake.clone();
    let tls = settings.backplane.tls().map_err(|(key, reason)| anyhow::anyhow!("{key}: {reason}"))?;
    let setup = Setup::new(address, tls, settings.backplane.prefix.clone(), node, &limits);
    let broker = Broker::joined(node, rules, limits, wakes, Box::new(move || link_wake.notify_one()));
    let broker = Arc::new(broker);
    let (backplane, link) = Backplane::new(setup, Mirror { broker: broker.clone(), clock }, wake);
    Ok((broker, Some(backplane), Some(link)))
}

/// Every session is a descriptor: takes all that the system allows.
fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}
