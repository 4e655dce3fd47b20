//! What all threads of one broker share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use fanfare_core::{Broker, SessionId, SessionInfo};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::Clock;
use crate::config::Settings;
use crate::metrics::{Fill, Metrics};
use crate::origin::OriginRule;
use crate::redis::Backplane;

/// One running broker.
pub(crate) struct Node {
    pub(crate) broker: Arc<Broker>,
    /// None: one node, everything in memory.
    pub(crate) backplane: Option<Backplane>,
    pub(crate) settings: Settings,
    pub(crate) origin: OriginRule,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) workers: Box<[WorkerDoor]>,
    connections: AtomicUsize,
    sessions_by_address: DashMap<IpAddr, usize>,
    is_draining: AtomicBool,
    requests: AtomicUsize,
    /// Told when the last request is answered.
    pub(crate) answered: Notify,
}

/// How to reach one worker from another thread.
pub(crate) struct WorkerDoor {
    commands: mpsc::Sender<Command>,
    connections: AtomicUsize,
}

/// What a worker is asked to do.
pub(crate) enum Command {
    /// Serve a connection.
    Serve(std::net::TcpStream, SocketAddr, ConnectionPlace),
    /// Tell about all sessions.
    Sessions(oneshot::Sender<Vec<SessionInfo>>),
    /// Send all sessions away over this time, then tell that none is left.
    Drain(Duration, oneshot::Sender<()>),
    /// Tell how full the outboxes are.
    Fill(oneshot::Sender<Fill>),
    /// End a session, if it is here.
    Disconnect(SessionId, oneshot::Sender<bool>),
}

/// A connection's place in the counts, given back when it is dropped.
pub(crate) struct ConnectionPlace {
    node: Arc<Node>,
    worker: usize,
}

/// A request's place in the count of those that are not answered.
pub(crate) struct RequestPlace {
    node: Arc<Node>,
}

/// A session's place in the count of its address, given back when it is dropped.
pub(crate) struct SessionPlace {
    node: Arc<Node>,
    address: IpAddr,
}

impl Node {
    pub(crate) fn new(
        broker: Arc<Broker>,
        backplane: Option<Backplane>,
        settings: Settings,
        origin: OriginRule,
        clock: Clock,
        metrics: Metrics,
        commands: Vec<mpsc::Sender<Command>>,
    ) -> Node {
        let door = |commands| WorkerDoor { commands, connections: AtomicUsize::new(0) };
        Node {
            broker,
            backplane,
            settings,
            origin,
            clock,
            metrics,
            workers: commands.into_iter().map(door).collect(),
            connections: AtomicUsize::new(0),
            sessions_by_address: DashMap::new(),
            is_draining: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            answered: Notify::new(),
        }
    }

    /// True once the broker is asked to stop: no new session begins.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Begins to stop.
    pub(crate) fn begin_to_drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Counts a request until the place is dropped.
    pub(crate) fn place_request(self: &Arc<Node>) -> RequestPlace {
        self.requests.fetch_add(1, Ordering::AcqRel);
        RequestPlace { node: self.clone() }
    }

    /// How many requests are not answered yet.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// A place for a connection at the worker that has the fewest; none, if there are too many.
    pub(crate) fn place_connection(self: &Arc<Node>) -> Option<ConnectionPlace> {
        let most = self.settings.limits.connections;
        if self.connections.fetch_add(1, Ordering::Relaxed) >= most {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let doors = self.workers.iter().enumerate();
        let (worker, door) = doors.min_by_key(|(_, door)| door.connections.load(Ordering::Relaxed))?;
        door.connections.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionPlace { node: self.clone(), worker })
    }

    /// A place for a session of an address; none, if it has too many.
    pub(crate) fn place_session(self: &Arc<Node>, address: IpAddr) -> Option<SessionPlace> {
        let mut count = self.sessions_by_address.entry(address).or_insert(0);
        if *count >= self.settings.limits.sessions_per_address {
            return None;
        }
        *count += 1;
        Some(SessionPlace { node: self.clone(), address })
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl WorkerDoor {
    /// Asks the worker, unless too much waits at its door already.
    pub(crate) fn ask(&self, command: Command) -> Result<(), Command> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
        })
    }
}

impl ConnectionPlace {
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.node.connections.fetch_sub(1, Ordering::Relaxed);
        self.node.workers[self.worker].connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        if self.node.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.node.answered.notify_waiters();
        }
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        if let Some(mut count) = self.node.sessions_by_address.get_mut(&self.address) {
            *count -= 1;
        }
        self.node.sessions_by_address.remove_if(&self.address, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use fanfare_core::Limits;

    use super::*;

    /// A node of three workers that nothing serves.
    fn node(limits: Limits) -> Arc<Node> {
        let settings = Settings { limits, ..Settings::default() };
        let lives = crate::redis::Lives::default();
        let wakes = (0..3).map(|_| Box::new(|| {}) as fanfare_core::Wake).collect();
        let broker = Broker::new(lives.draw(), settings.rules.clone(), settings.limits.clone(), wakes);
        let origin = OriginRule::new(&[], true).unwrap();
        let commands = (0..3).map(|_| mpsc::channel(1).0).collect();
        let clock = Clock::start();
        Arc::new(Node::new(Arc::new(broker), None, settings, origin, clock, Metrics::new(3), commands))
    }

    #[test]
    fn a_connection_goes_to_the_worker_with_the_fewest() {
        let node = node(Limits { connections: 7, ..Limits::default() });
        let mut places: Vec<ConnectionPlace> = (0..6).map(|_| node.place_connection().unwrap()).collect();
        let mut workers: Vec<usize> = places.iter().map(ConnectionPlace::worker).collect();
        workers.sort_unstable();
        assert_eq!(workers, [0, 0, 1, 1, 2, 2]);
        let left = places.remove(3).worker();
        assert_eq!(node.place_connection().unwrap().worker(), left);
        places.extend([node.place_connection().unwrap(), node.place_connection().unwrap()]);
        assert!(node.place_connection().is_none());
        assert_eq!(node.connections(), 7);
        drop(places);
        assert_eq!(node.connections(), 0);
    }

    #[test]
    fn sessions_are_counted_by_address_and_forgotten_with_the_last() {
        let node = node(Limits { sessions_per_address: 2, ..Limits::default() });
        let address = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
        let places = [node.place_session(address(1)).unwrap(), node.place_session(address(1)).unwrap()];
        assert!(node.place_session(address(1)).is_none());
        assert!(node.place_session(address(2)).is_some());
        drop(places);
        assert!(node.place_session(address(1)).is_some());
        assert!(node.sessions_by_address.is_empty());
    }
}
