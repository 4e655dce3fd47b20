//! The task beneath a client: it carries out what the session says and tells it what happens.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::{Filter, Publication, SubscribeOptions, Topic};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::queue::{Handed, Sender};
use crate::outcome::{ConnectError, PublishError, Published};
use crate::session::{Output, Session, Status};
use crate::websocket::{Dial, Incoming, Socket};

/// What a client's handles ask for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Follow a filter.
    Subscribe(Box<Subscribe>),
    /// Close for good.
    Close(oneshot::Sender<()>),
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(super) filter: Filter,
    pub(super) options: SubscribeOptions,
    pub(super) sender: Sender,
    /// False if it is followed already or the client is closed.
    pub(super) answer: oneshot::Sender<bool>,
}

/// One publish.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    pub(super) answer: oneshot::Sender<Result<Published, PublishError>>,
}

/// What the driver waits for.
enum Happened {
    Incoming,
    Connected(Result<Socket, ConnectError>),
    Command(Option<Command>),
    Publish(Publish),
    Attention,
    Timeout,
}

enum Wire {
    Away,
    Connecting(Pin<Box<dyn Future<Output = Result<Socket, ConnectError>> + Send>>),
    Open(Socket),
}

/// The session and its surroundings.
pub(super) struct Driver {
    session: Session,
    begun: Instant,
    dial: Dial,
    wire: Wire,
    incoming: Vec<Incoming>,
    commands: mpsc::Receiver<Command>,
    publishes: mpsc::Receiver<Publish>,
    attention: Arc<Notify>,
    status: watch::Sender<Status>,
    followers: BTreeMap<Filter, Sender>,
    publishers: BTreeMap<u64, oneshot::Sender<Result<Published, PublishError>>>,
}

impl Driver {
    /// A driver over a connection that stands.
    pub(super) fn new(
        dial: Dial,
        socket: Socket,
        commands: mpsc::Receiver<Command>,
        publishes: mpsc::Receiver<Publish>,
        attention: Arc<Notify>,
        status: watch::Sender<Status>,
    ) -> Driver {
        let mut session = Session::new(dial.encoding);
        assert_eq!(session.poll(), Some(Output::Connect), "a session begins with a connection");
        session.opened(0);
        Driver {
            session,
            begun: Instant::now(),
            dial,
            wire: Wire::Open(socket),
            incoming: Vec::new(),
            commands,
            publishes,
            attention,
            status,
            followers: BTreeMap::new(),
            publishers: BTreeMap::new(),
        }
    }

    /// Drives until nobody holds the client any more.
    pub(super) async fn run(mut self) {
        loop {
            self.carry_out().await;
            match self.happened().await {
                Happened::Incoming => self.take_incoming().await,
                Happened::Connected(result) => self.connected(result),
                Happened::Command(Some(command)) => self.command(command).await,
                Happened::Command(None) => {
                    self.session.close();
                    return self.carry_out().await;
                }
                Happened::Publish(Publish { topic, publication, answer }) => {
                    let id = self.session.publish(self.now_ms(), topic, publication);
                    self.publishers.insert(id, answer);
                }
                Happened::Attention => self.look_at_followers(),
                Happened::Timeout => self.session.tick(self.now_ms(), chance()),
            }
        }
    }

    async fn happened(&mut self) -> Happened {
        let timeout_ms = self.session.timeout_ms();
        let timeout = async {
            match timeout_ms {
                Some(ms) => tokio::time::sleep_until(self.begun + Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        let wire = async {
            match &mut self.wire {
                Wire::Away => std::future::pending().await,
                Wire::Connecting(connecting) => Happened::Connected(connecting.as_mut().await),
                Wire::Open(socket) => {
                    socket.receive(&mut self.incoming).await;
                    Happened::Incoming
                }
            }
        };
        tokio::select! {
            happened = wire => happened,
            command = self.commands.recv() => Happened::Command(command),
            Some(publish) = self.publishes.recv(), if self.session.has_room_to_publish() => Happened::Publish(publish),
            () = self.attention.notified() => Happened::Attention,
            () = timeout => Happened::Timeout,
        }
    }

    fn connected(&mut self, result: Result<Socket, ConnectError>) {
        match result {
            Ok(socket) => {
                self.wire = Wire::Open(socket);
                self.session.opened(self.now_ms());
            }
            Err(error) => {
                self.wire = Wire::Away;
                if error.is_passing() {
                    self.session.closed(self.now_ms(), 1006, &error.to_string(), chance());
                } else {
                    self.session.end(1006, &error.to_string());
                }
            }
        }
    }

    async fn take_incoming(&mut self) {
        for incoming in std::mem::take(&mut self.incoming) {
            match incoming {
                Incoming::Message(bytes) => self.session.receive(self.now_ms(), &bytes),
                Incoming::Ping(bytes) => {
                    self.session.heard(self.now_ms());
                    if let Wire::Open(socket) = &mut self.wire {
                        let written = socket.pong(bytes).await;
                        self.check_written(written);
                    }
                }
                Incoming::Sign => self.session.heard(self.now_ms()),
                Incoming::End { code, reason } => {
                    if let (Wire::Open(socket), Some(code)) =
                        (std::mem::replace(&mut self.wire, Wire::Away), code)
                    {
                        // The other side may be gone; it is over either way.
                        drop(socket.close(if code == 1005 { 1000 } else { code }).await);
                    }
                    self.session.closed(self.now_ms(), code.unwrap_or(1006), &reason, chance());
                }
            }
            self.hand_out().await;
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe(subscribe) => {
                let Subscribe { filter, options, sender, answer } = *subscribe;
                self.look_at_followers();
                let is_new = self.session.subscribe(filter.clone(), options);
                if is_new {
                    self.followers.insert(filter, sender);
                }
                if answer.send(is_new).is_err() {
                    // Whoever asked has given up.
                    self.look_at_followers();
                }
            }
            Command::Close(done) => {
                self.session.close();
                self.carry_out().await;
                // Whoever asked may have given up.
                let _ = done.send(());
            }
        }
    }

    /// Leaves filters that nobody follows any more, and takes up again those for which there is room.
    fn look_at_followers(&mut self) {
        let session = &mut self.session;
        self.followers.retain(|filter, sender| {
            if sender.is_dropped() {
                session.unsubscribe(filter);
            } else if sender.has_drained() {
                session.release(filter);
            }
            !sender.is_dropped() && !sender.is_done()
        });
    }

    /// Does all that the session says, then sends what was written.
    async fn carry_out(&mut self) {
        self.hand_out().await;
        if let Wire::Open(socket) = &mut self.wire {
            let flushed = socket.flush().await;
            self.check_written(flushed);
            // A write that failed has changed the session's mind.
            self.hand_out().await;
        }
        let status = self.session.status();
        self.status.send_if_modified(|old| {
            let is_new = *old != status;
            *old = status;
            is_new
        });
    }

    async fn hand_out(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Connect => self.wire = Wire::Connecting(Box::pin(self.dial.clone().open())),
                Output::Send(frame) => {
                    if let Wire::Open(socket) = &mut self.wire {
                        let written = socket.write(frame).await;
                        self.check_written(written);
                    }
                }
                Output::Event { filter, event } => self.hand_event(&filter, event).await,
                Output::Moved { filter, cursor } => {
                    if let Some(sender) = self.followers.get(&filter) {
                        sender.tell(cursor);
                    }
                }
                Output::Published { id, result } => {
                    if let Some(answer) = self.publishers.remove(&id) {
                        // Whoever published may have given up.
                        drop(answer.send(result));
                    }
                }
                Output::Close(code) => {
                    if let (Wire::Open(socket), Some(code)) =
                        (std::mem::replace(&mut self.wire, Wire::Away), code)
                    {
                        // The other side may be gone; it is over either way.
                        drop(socket.close(code.as_u16()).await);
                    }
                }
            }
        }
    }

    async fn hand_event(&mut self, filter: &Filter, event: crate::Event) {
        let Some(sender) = self.followers.get_mut(filter) else { return };
        match sender.hand(event).await {
            Handed::Over if sender.is_done() => drop(self.followers.remove(filter)),
            Handed::Over => {}
            Handed::Held => {
                self.session.hold(filter);
                // It may have been drained before it was held.
                self.look_at_followers();
            }
            Handed::Dropped => self.look_at_followers(),
        }
    }

    fn check_written(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.wire = Wire::Away;
            self.session.closed(self.now_ms(), 1006, &format!("sending failed: {error}"), chance());
        }
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

/// A number from 0 to below 1, by chance.
fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
