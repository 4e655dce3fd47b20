//! The servers, the nodes and the clients, and the truth beside them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use fanfare_core::{ClearCompletion, Draft, Published, Publishing, Refusal, Ticket, Told};
use fanfare_protocol::{Encoding, ErrorCode, Frame, Gap, Position, Request, Topic};

use super::batches::Batch;
use super::daemon::{Connection, Spread};
use super::node::{Node, WORKERS};
use super::redis::Server;
use super::settings::Settings;
use super::story::Tally;
use super::truth::Truth;
use crate::it::chance::Chance;
use crate::it::client::{Client, Heard};
use crate::it::pipe::Read;

/// With more bytes of history than this no node trims for want of them.
const MEMORY_IS_ENOUGH: usize = 1 << 30;

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) settings: Settings,
    pub(super) now_ms: u64,
    pub(super) truth: Truth,
    pub(super) servers: Vec<Server>,
    /// The server that all agree on, but for who is cut off from it.
    pub(super) primary: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) names: u64,
    pub(super) clients: Vec<Client>,
    /// Tags of publishes of which nobody knows what became of them.
    pub(super) unknown: Vec<usize>,
    pub(super) waits: Vec<Wait>,
    pub(super) batches: Vec<Batch>,
    pub(super) completions: Completions,
    /// The last lines of what happened, if it is to be told.
    pub(super) lines: Option<VecDeque<String>>,
    pub(super) lines_max: usize,
    pub(super) tally: Tally,
}

/// Outcomes of publishes by HTTP: node, tag, result.
pub(super) type Completions = Arc<Mutex<Vec<(usize, usize, Result<Published, Refusal>)>>>;

/// A publish by HTTP that is not answered.
pub(super) struct Wait {
    pub(super) node: usize,
    pub(super) tag: usize,
    pub(super) ticket: Ticket,
    pub(super) until_ms: u64,
}

impl World {
    pub(super) fn new(mut chance: Chance, settings: Settings, lines_max: usize) -> World {
        let mut truth = Truth::default();
        let mut servers: Vec<Server> =
            (0..settings.servers).map(|_| Server::new(truth.next_replid(), settings.sabotage)).collect();
        servers[0].promote(&mut truth);
        let nodes = (1..=settings.nodes as u64).map(|name| Node::start(name, &settings)).collect();
        let encoding = |_| chance.pick(&Encoding::ALL);
        let clients = (0..settings.clients).map(encoding).map(Client::new).collect();
        World {
            chance,
            now_ms: 10_000,
            truth,
            servers,
            primary: 0,
            nodes,
            names: settings.nodes as u64,
            clients,
            unknown: Vec::new(),
            waits: Vec::new(),
            batches: Vec::new(),
            completions: Arc::default(),
            lines: (lines_max > 0).then(VecDeque::new),
            lines_max,
            tally: Tally::default(),
            settings,
        }
    }

    /// A node connects to a server: it fences first.
    pub(super) fn join(&mut self, node: usize, server: usize) {
        let daemon = &mut self.nodes[node].daemon;
        assert!(daemon.connection.is_none(), "a node has one connection");
        let record = self.servers[server].fence(&daemon.seen, &mut self.truth).clone();
        daemon.connection = Some(Connection::new(server, record, self.settings.sabotage));
        self.trace(|| format!("node {node} connects to server {server}"));
    }

    pub(super) fn cut_node(&mut self, node: usize, reason: &str) {
        self.trace(|| format!("node {node} is cut off: {reason}"));
        self.nodes[node].cut(self.now_ms, reason);
        self.settle();
    }

    /// Carries out the next thing that a node asked of its channels; false if there is none.
    pub(super) fn carry_out_next(&mut self, node: usize) -> bool {
        let Some(connection) = &mut self.nodes[node].daemon.connection else { return false };
        let next = connection.channel_asks.front().map(|ask| format!("{ask:?}"));
        let done = connection.carry_out_next();
        self.trace_some(node, "channels", next);
        done
    }

    /// Carries out the next call of a node; false if there is none.
    pub(super) fn call_next(&mut self, node: usize) -> bool {
        let World { nodes, servers, truth, now_ms, .. } = self;
        let Node { daemon, name, .. } = &mut nodes[node];
        let Some(connection) = &daemon.connection else { return false };
        let (server, dead) = (connection.server, connection.is_dead);
        if dead {
            return false;
        }
        let next = connection.calls.front().map(|ask| format!("{ask:?}"));
        let spread = daemon.call_next(*name, &mut servers[server], truth, *now_ms);
        let Some(spread) = spread else { return false };
        let connections = nodes.iter_mut().filter_map(|node| node.daemon.connection.as_mut());
        for connection in connections.filter(|connection| connection.channels_of == server) {
            match &spread {
                Spread::Nothing => {}
                Spread::Message(numbered) => {
                    let topic = numbered.message.topic.as_str();
                    connection.hear(topic, || Told::Message(numbered.clone()));
                }
                Spread::Cleared { topic, to } => {
                    connection.hear(topic.as_str(), || Told::Cleared { topic: topic.clone(), to: *to });
                }
            }
        }
        self.trace_some(node, "calls", next);
        true
    }

    fn trace_some(&mut self, node: usize, what: &str, next: Option<String>) {
        if let Some(next) = next {
            self.trace(|| format!("node {node} {what} {next}"));
        }
    }

    /// Tells a node's core the next thing that its channels brought, or one of the first replies.
    pub(super) fn tell_next(&mut self, node: usize, by_channel: bool) -> bool {
        let Some(connection) = &mut self.nodes[node].daemon.connection else { return false };
        let told = if by_channel {
            connection.heard.pop_front()
        } else {
            let first = connection.replies.len().min(3);
            if first == 0 {
                return false;
            }
            let index = self.chance.below(first);
            connection.reply(index)
        };
        let Some(told) = told else { return false };
        self.trace(|| format!("node {node} is told {told:?}"));
        self.nodes[node].tell(self.now_ms, told);
        self.settle();
        true
    }

    /// Publishes as an HTTP request to a node does.
    pub(super) fn publish(&mut self, node: usize, tag: usize) {
        let drafted = &self.truth.drafts[tag];
        let (topic, publication) = (drafted.topic.clone(), drafted.publication.clone());
        let draft = Draft { topic, publication, origin: None, deaf: 0 };
        let completions = self.completions.clone();
        let completion = || -> fanfare_core::Completion {
            Box::new(move |_, result| completions.lock().unwrap().push((node, tag, result)))
        };
        self.unknown.retain(|other| *other != tag);
        let now = self.nodes[node].now(self.now_ms);
        let publishing = self.nodes[node].driven.broker.publish(now, draft, completion);
        self.trace(|| format!("publish of {tag} on node {node}: {publishing:?}"));
        match publishing {
            Publishing::Done(result) => self.published(node, tag, &result.map_err(|refusal| refusal.code())),
            Publishing::Waits(ticket) => {
                let until_ms = self.now_ms + 5_000;
                self.waits.push(Wait { node, tag, ticket, until_ms });
            }
        }
    }

    /// A publisher is told what became of it.
    fn published(&mut self, node: usize, tag: usize, result: &Result<Published, ErrorCode>) {
        self.answered(node, tag, result.map(|published| published.position));
    }

    pub(super) fn answered(&mut self, node: usize, tag: usize, result: Result<Position, ErrorCode>) {
        self.trace(|| format!("{tag} is answered by node {node}: {result:?}"));
        match result {
            Ok(position) => {
                let fact = self.truth.facts.fact(position).expect("what is answered was numbered");
                assert_eq!(fact.tag, tag, "a publish is at the position answered");
                self.tally.acknowledged += 1;
                let before = self.nodes[node].acknowledged;
                if before.is_none_or(|before| before.epoch < position.epoch || before.seq < position.seq) {
                    self.nodes[node].acknowledged = Some(position);
                }
            }
            Err(ErrorCode::Unavailable) => {
                self.tally.refused += 1;
                self.unknown.push(tag);
            }
            Err(code) => {
                assert_eq!(code, ErrorCode::Overloaded, "{tag} is refused");
                let draft = &mut self.truth.drafts[tag];
                if draft.attempts == 1 {
                    assert!(
                        draft.positions.is_empty(),
                        "what is refused for good was not published: {draft:?}"
                    );
                    draft.is_refused = true;
                }
            }
        }
    }

    /// What HTTP publishes have waited for too long is given up.
    pub(super) fn give_up(&mut self) {
        let now_ms = self.now_ms;
        for wait in self.waits.extract_if(.., |wait| wait.until_ms <= now_ms) {
            self.nodes[wait.node].driven.broker.cancel(wait.ticket);
            self.unknown.push(wait.tag);
        }
        self.give_up_batches(Batch::is_overdue);
    }

    /// Hands on what became known during a step.
    pub(super) fn settle(&mut self) {
        let done = std::mem::take(&mut *self.completions.lock().unwrap());
        for (node, tag, result) in done {
            self.waits.retain(|wait| wait.tag != tag);
            self.published(node, tag, &result.as_ref().map_err(Refusal::code).copied());
            self.answer_batch(tag, &result);
        }
    }

    pub(super) fn connect(&mut self, client: usize) {
        let (node, worker) = (self.chance.below(self.nodes.len()), self.chance.below(WORKERS));
        let (encoding, bytes) = (self.clients[client].encoding, self.settings.pipe_bytes);
        let now = self.nodes[node].now(self.now_ms);
        let link = self.nodes[node].driven.open(now, node, worker, encoding, bytes);
        self.trace(|| format!("client {client} connects to node {node}, worker {worker}, as {:?}", link.who));
        self.clients[client].link = Some(link);
    }

    pub(super) fn cut_client(&mut self, client: usize) {
        let Some(link) = self.clients[client].cut() else { return };
        self.trace(|| format!("client {client} is cut"));
        self.nodes[link.node].driven.remove(&link);
        self.unknown.extend(link.publishes());
    }

    pub(super) fn send(&mut self, client: usize, request: &Request) {
        if self.clients[client].link.is_some() {
            self.trace(|| format!("client {client} asks {request:?}"));
        }
        let Client { link: Some(link), encoding, .. } = &self.clients[client] else { return };
        let node = &mut self.nodes[link.node];
        let now = node.now(self.now_ms);
        node.driven.send(now, link, *encoding, request);
    }

    /// True if the client has a session that takes requests.
    pub(super) fn is_open(&self, client: usize) -> bool {
        let link = self.clients[client].link.as_ref();
        link.is_some_and(|link| self.nodes[link.node].driven.is_open(link))
    }

    /// A pass of a worker; true if more may wait.
    pub(super) fn deliver(&mut self, node: usize, worker: usize) -> bool {
        let now = self.nodes[node].now(self.now_ms);
        self.nodes[node].driven.deliver(now, worker)
    }

    /// Writes to the sessions that the worker names, at most so many, as the daemon does.
    pub(super) fn write_dirty(&mut self, node: usize, worker: usize, most: usize) -> bool {
        let now = self.nodes[node].now(self.now_ms);
        let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
        let links = links.filter(|link| link.node == node);
        self.nodes[node].driven.write_dirty(now, worker, most, links)
    }

    /// The client reads at most so many frames; false if there were fewer.
    pub(super) fn read(&mut self, client: usize, most: usize) -> bool {
        for _ in 0..most {
            let Some(link) = self.clients[client].link.as_mut() else { return false };
            let node = link.node;
            let now = self.nodes[node].now(self.now_ms);
            match self.nodes[node].driven.read(now, link) {
                (None, has_room) => return has_room,
                (Some(Read::Closed), _) => {
                    self.trace(|| format!("client {client} is closed"));
                    self.tally.closed += 1;
                    self.cut_client(client);
                    return true;
                }
                (Some(Read::Frame(frame)), _) => self.received(client, node, frame),
            }
        }
        true
    }

    fn received(&mut self, client: usize, node: usize, frame: Frame) {
        self.trace(|| format!("client {client} reads {frame:?}"));
        self.count(&frame);
        self.check_holes(node, &frame);
        match self.clients[client].receive(&self.truth.facts, self.now_ms, frame) {
            Heard::Nothing => {}
            Heard::Ping => self.send(client, &Request::Pong),
            Heard::Read(messages) => self.tally.read += messages,
            Heard::Published { tag, result } => self.answered(node, tag, result),
        }
    }

    /// What is kept is not told missing, but for what the node had no room for.
    fn check_holes(&self, node: usize, frame: &Frame) {
        if let Frame::Replay { frame, .. } = frame {
            self.check_holes(node, frame);
        } else if let Frame::Gap(Gap { topic: Some(topic), from, to, .. }) = frame
            && self.settings.limits.history_bytes > MEMORY_IS_ENOUGH
        {
            let evicted = self.nodes[node].evicted.get(topic).copied().unwrap_or(0);
            let servers =
                self.servers.iter().filter(|server| !server.is_replica && server.epoch() == Some(to.epoch));
            for server in servers {
                let mut kept = server.kept(topic.as_str(), self.now_ms).into_iter();
                let told = kept.find(|seq| from.seq.max(evicted) < *seq && *seq <= to.seq);
                assert_eq!(told, None, "it is kept, and {frame:?} tells it missing");
            }
        }
    }

    /// A replica is sent all that the primary has.
    pub(super) fn copy(&mut self, replica: usize) {
        self.servers[replica].data = self.servers[self.primary].data.clone();
        self.servers[replica].is_replica = true;
        let primary = self.primary;
        self.trace(|| format!("server {replica} is a replica of server {primary}"));
    }

    /// Asks a node to trim all of a topic.
    pub(super) fn clear(&mut self, node: usize, topic: &Topic) {
        let now = self.nodes[node].now(self.now_ms);
        let completion = || -> ClearCompletion { Box::new(|_, _| ()) };
        let clearing = self.nodes[node].driven.broker.clear_everywhere(now, topic, completion);
        self.trace(|| format!("node {node} clears {topic}: {clearing:?}"));
    }
}
