//! What clients and readers do, as steps need it.

use bytes::Bytes;
use fanfare_core::Filters;
use fanfare_protocol::{Cursor, Filter, Payload, Position, Publication, Request, SubscribeOptions, Topic};

use super::model::Drafted;
use super::settings::{FILTERS, TOPICS};
use super::world::{WORKERS, World};
use crate::it::client::{Asked, Begins, Client, Link};
use crate::it::facts::Who;
use crate::it::followed::Followed;

impl World {
    pub(super) fn pick_client(&mut self, is_meant: impl Fn(&World, usize) -> bool) -> Option<usize> {
        let meant: Vec<usize> = (0..self.clients.len()).filter(|client| is_meant(self, *client)).collect();
        (!meant.is_empty()).then(|| self.chance.pick(&meant))
    }

    pub(super) fn draw_topic(&mut self) -> Topic {
        Topic::parse(TOPICS[self.chance.below(self.settings.topics)]).unwrap()
    }

    /// Something new to publish; its tag.
    pub(super) fn draft(&mut self, origin: Option<Who>) -> usize {
        let tag = self.model.drafts.len();
        let topic = self.draw_topic();
        let padding = self.chance.below(self.settings.payload_bytes + 1);
        let text = Bytes::from(format!("{tag} {}", "x".repeat(padding)));
        let is_text = self.chance.one_in(2);
        let payload = if is_text { Payload::Text(text) } else { Payload::Binary(text) };
        let media_type = is_text.then(|| "text/plain".into());
        let key = self.chance.one_in(4).then(|| self.chance.below(6).to_string().into());
        let ttl_s = self.chance.one_in(8).then(|| 1 + self.chance.below(4) as u32);
        let publication =
            Publication { media_type, idempotency_key: key, ttl_s, ..Publication::new(payload) };
        self.model.drafts.push(Drafted::new(topic, publication, origin));
        tag
    }

    pub(super) fn send_publish(&mut self, client: usize, tag: usize) {
        let Some(link) = &mut self.clients[client].link else { return };
        let id = link.ask(Asked::Publish(tag));
        let Drafted { topic, publication, .. } = &self.model.drafts[tag];
        let request = Request::Publish { id, topic: topic.clone(), publication: publication.clone() };
        self.send(client, &request);
        self.note_numbered(tag);
    }

    pub(super) fn connect(&mut self, client: usize) {
        let worker = self.chance.below(WORKERS);
        let (encoding, pipe_bytes) = (self.clients[client].encoding, self.settings.pipe_bytes);
        let link = self.driven.open(self.now(), 0, worker, encoding, pipe_bytes);
        self.trace(|| format!("client {client} connects as {:?}", link.who));
        self.clients[client].link = Some(link);
    }

    pub(super) fn cut(&mut self, client: usize) {
        let Some(link) = self.clients[client].cut() else { return };
        if self.chance.one_in(3) {
            self.abandoned.push(link);
        } else {
            self.end(&link);
        }
    }

    /// The broker knows that a connection is gone.
    pub(super) fn end(&mut self, link: &Link) {
        self.driven.remove(link);
        link.publishes().for_each(|tag| self.model.drafts[tag].ended());
    }

    /// A few filters, most of them topics, to be followed as one.
    pub(super) fn draw_filters(&mut self) -> Filters {
        let count = 1 + self.chance.below(3);
        let mut draw = || match self.chance.one_in(4) {
            true => Filter::parse(FILTERS[self.chance.below(self.settings.filters)]).unwrap(),
            false => Filter::from(&self.draw_topic()),
        };
        Filters::new((0..count).map(|_| draw()).collect()).expect("there is one at least")
    }

    /// A client follows a filter that it does not follow yet.
    pub(super) fn follow(&mut self, after: Option<Position>, last: u32) {
        let open = self.pick_client(World::is_open);
        let client = open.unwrap_or_else(|| self.chance.below(self.clients.len()));
        let filter = Filter::parse(FILTERS[self.chance.below(self.settings.filters)]).unwrap();
        if self.clients[client].followed.contains_key(&filter) {
            return;
        }
        let echo = !self.chance.one_in(4);
        let mut followed = Followed::new(filter.clone().into(), after, last, echo);
        followed.on_slow = self.chance.one_in(3).then(|| self.chance.pick(self.settings.policies));
        self.clients[client].followed.insert(filter.clone(), followed);
        self.subscribe(client, &filter);
    }

    /// Asks for a filter in the client's present session, from where the filter stands.
    pub(super) fn subscribe(&mut self, client: usize, filter: &Filter) {
        if !self.is_open(client) {
            return;
        }
        let Client { link: Some(link), followed, .. } = &mut self.clients[client] else {
            return;
        };
        let followed = &followed[filter];
        let ((after, last), echo, on_slow) = (followed.ask(), followed.echo, followed.on_slow);
        let cursor = after.unwrap_or(self.model.top());
        let resumed = after.map(|after| self.model.is_whole(&followed.filters, after));
        let begins = Begins::At(cursor, resumed);
        let id = link.ask(Asked::Subscribe { filter: filter.clone(), begins });
        link.subscribed.insert(filter.clone());
        let last = (last > 0).then_some(last);
        let options =
            SubscribeOptions { after: after.map(Cursor::from), last, echo, on_slow, ..Default::default() };
        self.send(client, &Request::Subscribe { id, filter: filter.clone(), options });
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms = end_ms.min(self.now_ms + self.settings.limits.heartbeat_ms);
            let now = self.now();
            self.driven.workers.iter_mut().for_each(|worker| worker.tick(now));
            self.give_up();
            self.settle();
        }
    }

    pub(super) fn read_history(&mut self, index: usize, limit: usize) -> bool {
        let worker = self.chance.below(WORKERS);
        let (now, reader) = (self.now(), &mut self.readers[index]);
        let after = reader.cursor.map(Cursor::from);
        let worker = &mut self.driven.workers[worker];
        let polled = worker.poll(now, &reader.filters, after.as_ref(), limit, Box::new(|| ()));
        let (history, key) = polled.unwrap();
        key.into_iter().for_each(|key| worker.end_poll(key));
        reader.page();
        for event in history.events {
            match event {
                fanfare_core::ReplayEvent::Message(entry) => {
                    reader.message(&self.model.facts, &entry.message, now.ms())
                }
                fanfare_core::ReplayEvent::Gap(gap) => {
                    self.model.check_gap(reader, &gap);
                    reader.gap(&self.model.facts, &gap, now.ms());
                }
            }
        }
        reader.move_up(&self.model.facts, history.cursor, now.ms());
        assert!(history.more || history.cursor == self.model.top(), "all was read");
        history.more
    }

    pub(super) fn check_topics(&self) {
        let all = Filter::parse(">").unwrap();
        let listed = self.driven.broker.list_topics(&all, None, usize::MAX).into_iter();
        let listed: Vec<_> =
            listed.map(|topic| (topic.name, topic.position.seq, topic.published, topic.kept)).collect();
        assert_eq!(listed, self.model.topics(), "topics are remembered and forgotten by the rules");
    }
}
