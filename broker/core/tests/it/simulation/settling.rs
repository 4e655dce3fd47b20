//! After each step: what is true is brought up to date, and what can be seen is compared with it.

use std::sync::atomic::Ordering;

use fanfare_protocol::{ErrorCode, Frame, Position, Request};

use super::world::{WORKERS, World};
use crate::it::facts::tag_of;
use crate::it::pipe::Read;

impl World {
    /// Brings the truth up to date after a step, and compares.
    pub(super) fn settle(&mut self) {
        self.ask_witness();
        for (tag, result) in self.completions.lock().unwrap().drain(..) {
            match result {
                Ok(published) => self.numbered.push((published.position, tag)),
                Err(_) => self.model.waiting.retain(|waiting| *waiting != tag),
            }
            self.answers
                .push((tag, result.map(|published| published.position).map_err(|refusal| refusal.code())));
        }
        let new = self.driven.broker.stats().seq;
        self.numbered.retain(|(position, _)| position.seq > self.model.seq());
        self.numbered.sort_unstable();
        self.numbered.dedup();
        for (position, tag) in std::mem::take(&mut self.numbered) {
            self.trace(|| format!("{tag} is {position}, to {}", self.model.drafts[tag].topic));
            self.model.publish(position, tag, self.now_ms);
        }
        assert_eq!(self.model.seq(), new, "all that is numbered is known");
        for (tag, result) in std::mem::take(&mut self.answers) {
            self.check_answer(tag, result);
        }
        self.note_closed();
        self.check_stats();
    }

    /// A publish of a session that was numbered at once.
    pub(super) fn note_numbered(&mut self, tag: usize) {
        if self.witness.is_none() && self.driven.broker.stats().seq > self.model.seq() {
            let position = Position { seq: self.model.seq() + 1, ..self.model.top() };
            self.numbered.push((position, tag));
        }
    }

    fn ask_witness(&mut self) {
        let now = self.now();
        let Some(link) = &mut self.witness else { return };
        let worker = &mut self.driven.workers[WORKERS];
        while self.driven.woken[WORKERS].swap(false, Ordering::Relaxed) || worker.has_work() {
            let moved = worker.deliver(now);
            self.driven.woken[WORKERS].fetch_or(moved, Ordering::Relaxed);
            while worker.next_dirty().is_some() {}
            link.pipe.write(worker, link.key);
            while let Some(Read::Frame(frame)) = link.pipe.read() {
                if let Frame::Message(message) = &frame {
                    self.numbered.push((message.position, tag_of(&message.payload)));
                } else if let Frame::Ping { .. } = &frame {
                    worker.handle(now, link.key, Request::Pong);
                } else {
                    let is_answer = matches!(frame, Frame::Welcome { .. } | Frame::Ok { .. });
                    assert!(is_answer, "the witness reads {frame:?}");
                }
            }
        }
    }

    fn check_answer(&mut self, tag: usize, result: Result<Position, ErrorCode>) {
        match result {
            Ok(position) => {
                let fact = self.model.facts.fact(position).expect("what was answered is published");
                assert_eq!(fact.tag, tag, "a publish is at the position answered");
            }
            Err(_) => {
                let draft = &mut self.model.drafts[tag];
                assert!(draft.position.is_none() || draft.is_retried, "{tag} is published and refused");
                draft.is_refused |= !draft.is_retried;
            }
        }
    }

    /// Sessions that the broker closes follow nothing, and what they wait to publish never is.
    fn note_closed(&mut self) {
        let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
        for link in links.chain(&mut self.abandoned) {
            let session = self.driven.workers[link.worker].session(link.key);
            if session.is_none_or(|session| session.closing().is_some()) {
                link.subscribed.clear();
                link.publishes().for_each(|tag| self.model.drafts[tag].ended());
            }
        }
    }

    /// The broker keeps and counts what the rules say.
    fn check_stats(&self) {
        let stats = self.driven.broker.stats();
        let polls = self.polls.iter().filter(|poll| !poll.is_ready.get());
        let polls: usize = polls.map(|poll| poll.filters.len()).sum();
        let subscriptions: usize = self.links().map(|link| link.subscribed.len()).sum();
        assert_eq!(stats.subscriptions, subscriptions + polls, "subscriptions are counted");
        let most = self.settings.limits.inbox_bytes.saturating_add(self.settings.payload_bytes * 3 + 700);
        assert!(
            stats.inbox_bytes <= most.saturating_mul(WORKERS),
            "{} bytes wait for workers",
            stats.inbox_bytes
        );
        assert_eq!(
            (stats.kept, stats.history_bytes),
            self.model.kept(),
            "what the rules keep is kept and counted"
        );
        for link in self.links() {
            let Some(session) = self.driven.workers[link.worker].session(link.key) else { continue };
            let (outbox, limits) = (session.outbox(), &self.settings.limits);
            assert!(outbox.items() <= limits.outbox_items + 2, "{} items wait", outbox.items());
            let most = limits.outbox_bytes + self.settings.payload_bytes + 400;
            assert!(outbox.bytes() <= most, "{} bytes wait", outbox.bytes());
        }
    }
}
