//! What clients, daemons and time do, as steps need it.

use fanfare_protocol::{Cursor, Filter, Request, SubscribeOptions};

use super::node::{Node, WORKERS};
use super::world::World;
use crate::it::client::{Asked, Begins, Client};

impl World {
    /// Filters to be followed again; what is being left comes first.
    pub(super) fn away(&self, client: usize) -> Vec<Filter> {
        let client = &self.clients[client];
        client.away().into_iter().filter(|filter| !client.leaving.contains_key(filter)).collect()
    }

    pub(super) fn resume_all(&mut self, client: usize) {
        for filter in self.away(client) {
            self.subscribe(client, &filter);
        }
    }

    /// Asks for a filter in the client's present session, from where the filter stands.
    pub(super) fn subscribe(&mut self, client: usize, filter: &Filter) {
        if !self.is_open(client) || self.clients[client].leaving.contains_key(filter) {
            return;
        }
        let Client { link: Some(link), followed, .. } = &mut self.clients[client] else {
            return;
        };
        let followed = &followed[filter];
        let ((after, last), echo, on_slow) = (followed.ask(), followed.echo, followed.on_slow);
        let begins = Begins::AtOrAbove(self.nodes[link.node].acknowledged);
        let id = link.ask(Asked::Subscribe { filter: filter.clone(), begins });
        link.subscribed.insert(filter.clone());
        let last = (last > 0).then_some(last);
        let after = after.map(Cursor::from);
        let options = SubscribeOptions { after, last, echo, on_slow, ..Default::default() };
        self.send(client, &Request::Subscribe { id, filter: filter.clone(), options });
        self.settle();
    }

    /// A node does all that it has to do; false if that was nothing.
    pub(super) fn get_on(&mut self, node: usize) -> bool {
        let mut worked = false;
        for _ in 0..1_000 {
            let mut idle = !self.take_asks(node);
            while self.carry_out_next(node) | self.call_next(node) {
                idle = false;
            }
            while self.tell_next(node, true) || self.tell_next(node, false) {
                idle = false;
            }
            for worker in 0..WORKERS {
                idle &= !self.nodes[node].driven.workers[worker].has_dirty();
                self.write_dirty(node, worker, usize::MAX);
                idle &= !self.deliver(node, worker);
            }
            self.settle();
            if idle {
                return worked;
            }
            worked = true;
        }
        panic!("node {node} never comes to rest");
    }

    /// The daemon takes what its core asks for; false if that is nothing.
    pub(super) fn take_asks(&mut self, node: usize) -> bool {
        let some = self.nodes[node].take_asks();
        if self.nodes[node].daemon.connection.as_ref().is_some_and(|connection| connection.is_given_up) {
            self.cut_node(node, "the core asks for another connection");
        }
        some
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            let late_ms = self.now_ms + self.settings.limits.heartbeat_ms.min(1_000);
            let due_ms = self.nodes.iter().filter_map(Node::next_timeout).min().unwrap_or(end_ms);
            let next_ms = if self.settings.is_punctual { due_ms.max(self.now_ms + 1) } else { late_ms };
            self.now_ms = end_ms.min(next_ms);
            let now_ms = self.now_ms;
            for node in 0..self.nodes.len() {
                self.nodes[node].tick(now_ms);
            }
            self.give_up();
            self.settle();
        }
    }
}
