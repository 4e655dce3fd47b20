//! Nodes, clients and servers, and what is true of them.

use fanfare_core::{HistoryRule, Limits, Now, TopicRule, TopicRules};
use fanfare_protocol::{Encoding, Filter, Frame, OnSlow, Position, Topic};

use super::client::{Client, Link};
use super::followed::State;
use super::node::{Node, WORKERS};
use super::redis::{Server, Truth};
use crate::it::chance::Chance;

pub(super) const TOPICS: [&str; 7] = ["a", "a.b", "a.b.c", "a.c", "b", "b.c", "b.c.d"];
pub(super) const FILTERS: [&str; 11] =
    ["a", "a.b", "b.c", "z", "a.*", "a.>", "a.b.>", "*", "b.>", "*.c", ">"];

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) now_ms: u64,
    pub(super) steps: usize,
    pub(super) truth: Truth,
    pub(super) servers: Vec<Server>,
    pub(super) primary: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Client>,
    pub(super) rules: TopicRules,
    pub(super) limits: Limits,
    pub(super) weights: Vec<usize>,
    pub(super) numbers: u64,
    pub(super) tags: usize,
    pub(super) traced: bool,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> World {
        let mut chance = Chance::new(seed);
        let limits = Limits {
            inbox_bytes: chance.pick(&[usize::MAX / 2, usize::MAX / 2, 1_500, 4_000]),
            history_bytes: chance.pick(&[usize::MAX, usize::MAX, 4_000, 20_000]),
            topics: chance.pick(&[2, 4, 1_000, 1_000, 1_000]),
            holes: chance.pick(&[0, 1, 64, 64]),
            heartbeat_ms: chance.pick(&[2_000, 10_000]),
            backplane_linger_ms: chance.pick(&[0, 500, 10_000]),
            doubt_bytes: chance.pick(&[1_000, usize::MAX / 2, usize::MAX / 2]),
            outbox_items: chance.pick(&[16, 10_000, 10_000]),
            requests_per_s: u32::MAX,
            ..Limits::default()
        };
        let rule = |topic: &&str| {
            let count = chance.pick(&[0, 1, 3, 50, 50]);
            let history = HistoryRule { count, age_ms: chance.pick(&[1_000, 1 << 40, 1 << 40]) };
            TopicRule { filter: Filter::parse(topic).unwrap(), history, on_slow: OnSlow::Disconnect }
        };
        let rules = TopicRules::new(TOPICS.iter().map(rule).collect());
        let weights = super::steps::STEPS
            .iter()
            .map(|step| {
                step.weight * {
                    // Without the frequent ones nothing happens at all.
                    let often: &[usize] = if step.weight >= 20 { &[1, 1, 3] } else { &[0, 1, 1, 1, 3] };
                    chance.pick(often)
                }
            })
            .collect();
        let mut world = World {
            now_ms: 100_000,
            steps: 50 + chance.below(1_200),
            truth: Truth::default(),
            servers: (0..3).map(|_| Server::default()).collect(),
            primary: 0,
            nodes: Vec::new(),
            clients: (0..2 + chance.below(3)).map(|_| Client::default()).collect(),
            rules,
            limits,
            weights,
            numbers: 0,
            tags: 0,
            traced,
            chance,
        };
        for server in 0..3 {
            let number = world.number();
            world.servers[server].promote(number);
        }
        for _ in 0..2 + world.chance.below(2) {
            let node = world.new_node();
            world.nodes.push(node);
        }
        world.trace(|world| format!("{:?} {:?}", world.limits, world.rules));
        world
    }

    pub(super) fn new_node(&mut self) -> Node {
        let number = self.number();
        Node::new(number, self.rules.clone(), self.limits.clone(), self.traced)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn now(&self) -> Now {
        Now { us: self.now_ms * 1_000, unix_ms: self.now_ms }
    }

    pub(super) fn trace(&self, line: impl FnOnce(&World) -> String) {
        if self.traced {
            eprintln!("  {} ms: {}", self.now_ms, line(self));
        }
    }

    pub(super) fn step(&mut self) {
        let Some(index) = self.chance.weighed(&self.weights) else { return };
        let step = &super::steps::STEPS[index];
        self.trace(|_| format!("-- {}", step.name));
        (step.run)(self);
        self.settle();
    }

    /// Takes over what brokers ask, and checks what publishers were answered.
    pub(super) fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].take_asks() {
                self.trace(|_| format!("node {node} asks for new connections"));
                let now = self.now();
                self.nodes[node].disconnect(now, &mut self.servers);
            }
            for (tag, result) in std::mem::take(&mut *self.nodes[node].answers.lock().unwrap()) {
                let Ok(position) = result else { continue };
                let known = self.truth.message(position).expect("what was answered is published");
                assert_eq!(known.1, tag, "a publish is at the position answered");
            }
        }
    }

    pub(super) fn draw_topic(&mut self) -> Topic {
        Topic::parse(self.chance.pick(&TOPICS)).unwrap()
    }

    pub(super) fn draw_filter(&mut self) -> Filter {
        Filter::parse(self.chance.pick(&FILTERS)).unwrap()
    }

    pub(super) fn connect(&mut self, client: usize, node: usize) {
        let (worker, now) = (self.chance.below(WORKERS), self.now());
        let key = self.nodes[node].workers[worker].open(now, Encoding::Json);
        self.clients[client].link = Some(Link::new(node, worker, key));
        self.trace(|_| format!("client {client} connects to node {node}, worker {worker}"));
    }

    pub(super) fn cut(&mut self, client: usize) {
        let Some(link) = self.clients[client].cut() else { return };
        self.nodes[link.node].workers[link.worker].remove(link.key);
    }

    pub(super) fn subscribe(&mut self, client: usize, filter: &Filter) {
        let Some(link) = &self.clients[client].link else { return };
        let (acked, node) = (self.nodes[link.node].acked, link.node);
        let Some(request) = self.clients[client].subscribe(filter, acked) else { return };
        self.trace(|_| format!("client {client} asks node {node} {request:?}"));
        self.send(client, request);
    }

    pub(super) fn send(&mut self, client: usize, request: fanfare_protocol::Request) {
        let now = self.now();
        let Some(link) = &self.clients[client].link else { return };
        self.nodes[link.node].workers[link.worker].handle(now, link.key, request);
    }

    /// The client reads at most so many frames; false if there were fewer.
    pub(super) fn read(&mut self, client: usize, most: usize) -> bool {
        for _ in 0..most {
            let now = self.now();
            let Some(link) = &self.clients[client].link else { return false };
            let (node, worker, key) = (link.node, link.worker, link.key);
            match self.nodes[node].read(worker, key, now) {
                None => return false,
                Some(Err(())) => {
                    self.trace(|_| format!("client {client} is closed"));
                    self.cut(client);
                    return true;
                }
                Some(Ok(frame)) => self.received(client, frame),
            }
        }
        true
    }

    fn received(&mut self, client: usize, frame: Frame) {
        self.trace(|_| format!("client {client} reads {frame:?}"));
        if let Some(request) = self.clients[client].receive(&self.truth, frame) {
            self.send(client, request);
        }
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            let due = self.nodes.iter().filter_map(|node| node.broker.next_timeout()).min();
            let heartbeat = self
                .nodes
                .iter()
                .flat_map(|node| &node.workers)
                .filter_map(|worker| worker.next_timeout())
                .min();
            let due = due.into_iter().chain(heartbeat).min().unwrap_or(end_ms);
            self.now_ms = due.clamp(self.now_ms + 1, end_ms);
            let now = self.now();
            for node in &mut self.nodes {
                node.broker.tick(now);
                node.workers.iter_mut().for_each(|worker| worker.tick(now));
            }
            self.settle();
        }
    }

    /// Everything is healed, and soon every client has all that it follows.
    pub(super) fn come_to_rest(&mut self) {
        let now = self.now();
        for node in &mut self.nodes {
            node.disconnect(now, &mut self.servers);
        }
        self.exchange_all();
        for topic in TOPICS {
            let (now, tag) = (self.now(), self.tags);
            self.tags += 1;
            self.nodes[0].publish(now, &Topic::parse(topic).unwrap(), tag);
        }
        for _ in 0..4 {
            self.exchange_all();
            self.pass_time(self.limits.heartbeat_ms.max(2_000));
        }
        self.exchange_all();
        let record = self.servers[self.primary].record(&mut self.truth, None);
        let top = Position { epoch: record.epoch, seq: record.seq };
        for node in &self.nodes {
            assert_eq!(node.broker.readiness(self.now()), Ok(()), "a healed node is ready");
        }
        for (index, client) in self.clients.iter().enumerate() {
            assert!(client.link.as_ref().is_some_and(Link::is_idle), "client {index} is answered in the end");
            for followed in client.followed.values() {
                assert_eq!(
                    followed.state,
                    State::Live,
                    "client {index}: {} is live in the end",
                    followed.filter
                );
                assert_eq!(followed.cursor, Some(top), "client {index}: {} is at the end", followed.filter);
            }
        }
    }

    fn exchange_all(&mut self) {
        for _ in 0..2_000 {
            let mut is_idle = true;
            for node in 0..self.nodes.len() {
                if self.nodes[node].link.is_none() {
                    let (number, now) = (self.number(), self.now());
                    self.nodes[node].connect(now, self.primary, number, &mut self.servers, &mut self.truth);
                }
                self.settle();
                let now = self.now();
                for _ in 0..20 {
                    let node = &mut self.nodes[node];
                    is_idle &= !node.execute(true, now.ms(), &mut self.servers, &mut self.truth);
                    is_idle &= !node.execute(false, now.ms(), &mut self.servers, &mut self.truth);
                    is_idle &= !node.hear_reply(now);
                    is_idle &= !node.hear_message(now, &mut self.servers);
                    is_idle &= !node.take_asks();
                }
                for worker in 0..WORKERS {
                    is_idle &= !self.nodes[node].deliver(worker, now);
                }
            }
            for client in 0..self.clients.len() {
                if self.clients[client].link.is_none() {
                    let node = self.chance.below(self.nodes.len());
                    self.connect(client, node);
                    is_idle = false;
                }
                while self.read(client, 1) {
                    is_idle = false;
                }
                for filter in self.clients[client].followed.keys().cloned().collect::<Vec<_>>() {
                    self.subscribe(client, &filter);
                }
            }
            self.settle();
            let is_quiet = self.nodes.iter().all(|node| node.is_quiet(&self.servers));
            let all_live = self.clients.iter().flat_map(|client| client.followed.values());
            let all_live = all_live.into_iter().all(|followed| followed.state == State::Live);
            if is_idle && is_quiet && all_live {
                return;
            }
            if is_idle && is_quiet {
                self.pass_time(100);
            }
        }
        panic!("it never comes to rest");
    }
}
