//! What can happen, and how often beside the rest.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fanfare_protocol::{
    Cursor, Epoch, ErrorCode, Filter, Payload, Position, Publication, Request, SubscribeOptions, Topic,
};

use super::client::single;
use super::followed::Followed;
use super::link::Asked;
use super::model::Drafted;
use super::settings::{FILTERS, TOPICS};
use super::world::{Poll, WORKERS, World};

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) weight: usize,
    pub(super) run: fn(&mut World),
}

const fn step(name: &'static str, weight: usize, run: fn(&mut World)) -> Step {
    Step { name, weight, run }
}

pub(super) const STEPS: [Step; 20] = [
    step("publish", 30, publish),
    step("session publishes", 10, session_publishes),
    step("retry", 4, retry),
    step("deliver", 20, deliver),
    step("write", 25, write),
    step("read", 40, read),
    step("connect", 16, connect),
    step("resume", 12, resume),
    step("cut", 4, cut),
    step("follow", 10, follow),
    step("follow from", 6, follow_from),
    step("subscribe twice", 1, subscribe_twice),
    step("leave", 3, leave),
    step("time", 8, time),
    step("sweep", 4, sweep),
    step("clear", 2, clear),
    step("history", 4, history),
    step("poll", 2, poll),
    step("notice", 4, notice),
    step("restart", 1, restart),
];

fn publish(world: &mut World) {
    for _ in 0..world.chance.pick(if world.settings.floods { &[1, 8, 16] } else { &[1, 1, 1, 2, 8] }) {
        let tag = world.draft(None);
        world.publish(tag);
        world.settle();
    }
}

fn session_publishes(world: &mut World) {
    let Some(client) = world.pick_client(World::is_open).filter(|_| world.settings.sessions_publish) else { return };
    let who = world.clients[client].link.as_ref().map(|link| link.who);
    let tag = world.draft(who);
    world.send_publish(client, tag);
}

/// What was published with a key is published again, by the same or another way.
fn retry(world: &mut World) {
    let keyed = |draft: &Drafted| draft.publication.idempotency_key.is_some();
    let tags: Vec<usize> =
        (0..world.model.drafts.len()).filter(|tag| keyed(&world.model.drafts[*tag])).collect();
    let Some(last) = tags.len().checked_sub(1) else { return };
    let tag = tags[last - world.chance.below(tags.len().min(4))];
    let client = world.chance.below(world.clients.len());
    let by_session = world.settings.sessions_publish && world.chance.one_in(2) && world.is_open(client);
    if world.model.drafts[tag].origin.is_some() != by_session {
        return;
    }
    if by_session {
        let who = world.clients[client].link.as_ref().map(|link| link.who);
        if world.model.drafts[tag].origin == who {
            world.model.drafts[tag].retry();
            world.send_publish(client, tag);
        }
    } else {
        world.model.drafts[tag].retry();
        world.publish(tag);
    }
}

fn deliver(world: &mut World) {
    let worker = world.chance.below(WORKERS);
    let in_order = !world.workers[worker].has_dirty() || world.chance.one_in(4);
    if in_order {
        let in_vain = world.chance.one_in(8);
        world.woken[worker].fetch_or(in_vain, Ordering::Relaxed);
        for _ in 0..if world.settings.floods { world.chance.pick(&[1, 8]) } else { 1 } {
            world.deliver(worker);
        }
    }
}

fn write(world: &mut World) {
    let most = world.chance.pick(&[1, 2, 100]);
    let worker = world.chance.below(WORKERS);
    world.write_dirty(worker, most);
}

fn read(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| world.clients[client].link.is_some()) else { return };
    let most = world.chance.pick(&[1, 2, 5, 50]);
    if world.settings.lazy != Some(client) || world.chance.one_in(10) {
        world.read(client, most);
    }
}

fn connect(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| world.clients[client].link.is_none()) else { return };
    world.connect(client);
    if world.chance.one_in(2) {
        resume_all(world, client);
    }
}

fn resume(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| !world.clients[client].away().is_empty()) else { return };
    let away = world.clients[client].away();
    if world.chance.one_in(2) {
        resume_all(world, client);
    } else {
        let index = world.chance.below(away.len());
        world.subscribe(client, &away[index]);
    }
}

fn resume_all(world: &mut World, client: usize) {
    for filter in world.clients[client].away() {
        world.subscribe(client, &filter);
        world.settle();
    }
}

fn cut(world: &mut World) {
    let client = world.chance.below(world.clients.len());
    world.cut(client);
}

/// The broker notices that a connection broke off.
fn notice(world: &mut World) {
    if world.abandoned.is_empty() {
        return;
    }
    let index = world.chance.below(world.abandoned.len());
    let mut link = world.abandoned.swap_remove(index);
    world.workers[link.worker].remove(link.key);
    link.published.drain(..).for_each(|tag| world.model.drafts[tag].ended());
}

fn follow(world: &mut World) {
    let last = world.chance.pick(&[0, 0, 0, 1, 2, 100]);
    world.follow(None, last);
}

fn follow_from(world: &mut World) {
    let top = world.model.top();
    let life = match world.chance.below(12) {
        0 => 77,
        1 if !world.model.old_lives().is_empty() => world.chance.pick(world.model.old_lives()),
        _ => top.epoch.life,
    };
    let seq = world.chance.below(top.seq as usize + 4) as u64;
    let after = Position { epoch: Epoch { life, ..top.epoch }, seq };
    let last = world.chance.pick(&[0, 0, 0, 2]);
    world.follow(Some(after), last);
}

fn subscribe_twice(world: &mut World) {
    let Some(client) = world.pick_client(World::is_open) else { return };
    let Some(link) = &mut world.clients[client].link else { return };
    let id = link.next_id();
    let filter = Filter::parse(world.chance.pick(&FILTERS)).unwrap();
    let request = if link.subscribed.contains(&filter) {
        link.asked.insert(id, Asked::Refused(ErrorCode::AlreadySubscribed));
        Request::Subscribe { id, filter, options: SubscribeOptions::default() }
    } else {
        link.asked.insert(id, Asked::Refused(ErrorCode::NotSubscribed));
        Request::Unsubscribe { id, filter }
    };
    world.send(client, &request);
}

fn leave(world: &mut World) {
    let index = world.chance.below(world.clients.len());
    let filter = Filter::parse(world.chance.pick(&FILTERS)).unwrap();
    let is_open = world.is_open(index);
    let client = &mut world.clients[index];
    if client.leaving.contains_key(&filter) {
        return;
    }
    let Some(link) = client.link.as_mut().filter(|_| is_open) else { return };
    if !link.subscribed.remove(&filter) {
        return;
    }
    let Some(followed) = client.followed.remove(&filter) else { return };
    client.leaving.insert(filter.clone(), followed);
    let id = link.next_id();
    link.asked.insert(id, Asked::Unsubscribe(filter.clone()));
    world.send(index, &Request::Unsubscribe { id, filter: filter.clone() });
    if world.chance.one_in(2) {
        world.settle();
        let last = world.chance.pick(&[0, 0, 2]);
        world.clients[index].followed.insert(filter.clone(), Followed::new(filter.clone(), None, last, true));
        world.subscribe(index, &filter);
    }
}

fn time(world: &mut World) {
    let heartbeat_ms = world.settings.limits.heartbeat_ms as usize;
    let ms = world.chance.pick(&[1, 50, 300, 1_000, 1_000, 5_000, heartbeat_ms]);
    world.pass_time(ms as u64);
}

fn sweep(world: &mut World) {
    let now = world.now();
    world.broker.sweep(now);
    world.model.sweep(now.ms());
    world.check_topics();
}

fn clear(world: &mut World) {
    let topic = world.draw_topic();
    let cleared = world.broker.clear(&topic);
    assert_eq!(cleared, world.model.clear(&topic), "what is kept of {topic} is cleared");
}

/// A page of a topic's history.
fn history(world: &mut World) {
    if world.readers.len() < 3 {
        let filter = Filter::from(&world.draw_topic());
        let seq = world.chance.below(world.model.seq() as usize + 3) as u64;
        let after = Position { seq, ..world.model.top() };
        let mut reader = Followed::new(filter, Some(after), 0, true);
        reader.begins(&world.model, (0, fanfare_core::SessionId(0)), after);
        world.readers.push(reader);
    }
    let index = world.chance.below(world.readers.len());
    let limit = world.chance.pick(&[1, 2, 1_000]);
    world.read_history(index, limit);
}

fn poll(world: &mut World) {
    let (index, now) = (world.chance.below(WORKERS), world.now());
    let filter = Filter::from(&world.draw_topic());
    let after = Cursor::from(world.model.top());
    let is_ready = Rc::new(Cell::new(false));
    let ready = is_ready.clone();
    let ready = Box::new(move || ready.set(true));
    let worker = &mut world.workers[index];
    let (history, key) = worker.poll(now, &filter, Some(&after), 10, ready).unwrap();
    match key {
        Some(key) => {
            let from = single(&Cursor::from(history.cursor)).seq;
            world.polls.push(Poll { worker: index, key, filter, is_ready, from });
        }
        None => assert!(!history.events.is_empty(), "a poll that does not wait has something"),
    }
    if world.chance.one_in(3) {
        let index = world.chance.below(world.polls.len().max(1));
        if index < world.polls.len() {
            let poll = world.polls.swap_remove(index);
            world.workers[poll.worker].end_poll(poll.key);
        }
    }
}

fn restart(world: &mut World) {
    world.begin_life();
}

impl World {
    fn pick_client(&mut self, is_meant: impl Fn(&World, usize) -> bool) -> Option<usize> {
        let meant: Vec<usize> = (0..self.clients.len()).filter(|client| is_meant(self, *client)).collect();
        (!meant.is_empty()).then(|| self.chance.pick(&meant))
    }

    pub(super) fn draw_topic(&mut self) -> Topic {
        Topic::parse(TOPICS[self.chance.below(self.settings.topics)]).unwrap()
    }

    /// Something new to publish; its tag.
    fn draft(&mut self, origin: Option<super::model::Who>) -> usize {
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

    fn send_publish(&mut self, client: usize, tag: usize) {
        let Some(link) = &mut self.clients[client].link else { return };
        let id = link.next_id();
        link.asked.insert(id, Asked::Publish(tag));
        link.published.push(tag);
        let Drafted { topic, publication, .. } = &self.model.drafts[tag];
        let request = Request::Publish { id, topic: topic.clone(), publication: publication.clone() };
        self.send(client, &request);
        self.note_numbered(tag);
    }

    pub(super) fn connect(&mut self, client: usize) {
        let worker = self.chance.below(WORKERS);
        let (encoding, pipe_bytes) = (self.clients[client].encoding, self.settings.pipe_bytes);
        let link = self.open(worker, encoding, pipe_bytes);
        self.trace(|| format!("client {client} connects as {:?}", link.who));
        self.clients[client].link = Some(link);
    }

    pub(super) fn cut(&mut self, client: usize) {
        let Some(mut link) = self.clients[client].cut(&self.model, self.now_ms) else { return };
        if self.chance.one_in(3) {
            link.is_dead = true;
            self.abandoned.push(link);
        } else {
            self.workers[link.worker].remove(link.key);
            link.published.drain(..).for_each(|tag| self.model.drafts[tag].ended());
        }
    }

    /// A client follows a filter that it does not follow yet.
    fn follow(&mut self, after: Option<Position>, last: u32) {
        let open = self.pick_client(World::is_open);
        let client = open.unwrap_or_else(|| self.chance.below(self.clients.len()));
        let filter = Filter::parse(FILTERS[self.chance.below(self.settings.filters)]).unwrap();
        if self.clients[client].followed.contains_key(&filter) {
            return;
        }
        let echo = !self.chance.one_in(4);
        self.clients[client]
            .followed
            .insert(filter.clone(), Followed::new(filter.clone(), after, last, echo));
        self.subscribe(client, &filter);
    }

    /// Asks for a filter in the client's present session, from where the filter stands.
    pub(super) fn subscribe(&mut self, client: usize, filter: &Filter) {
        if !self.is_open(client) {
            return;
        }
        let super::client::Client { link: Some(link), followed, .. } = &mut self.clients[client] else {
            return;
        };
        let followed = &followed[filter];
        let ((after, last), echo, on_slow) = (followed.ask(), followed.echo, followed.on_slow);
        let cursor = after.unwrap_or(self.model.top());
        let resumed = after.map(|after| self.model.is_whole(filter, after));
        let id = link.next_id();
        link.asked.insert(id, Asked::Subscribe { filter: filter.clone(), cursor, resumed });
        link.subscribed.insert(filter.clone());
        let last = (last > 0).then_some(last);
        let options = SubscribeOptions { after: after.map(Cursor::from), last, echo, on_slow, ..Default::default() };
        self.send(client, &Request::Subscribe { id, filter: filter.clone(), options });
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms = end_ms.min(self.now_ms + self.settings.limits.heartbeat_ms);
            let now = self.now();
            self.workers.iter_mut().for_each(|worker| worker.tick(now));
            self.give_up();
            self.settle();
        }
    }

    pub(super) fn read_history(&mut self, index: usize, limit: usize) -> bool {
        let (now, reader) = (self.now(), &mut self.readers[index]);
        let topic = Topic::parse(reader.filter.as_str()).unwrap();
        let after = reader.cursor.map(Cursor::from);
        let history = self.broker.history(&topic, after.as_ref(), limit, now).unwrap();
        for event in history.events {
            match event {
                fanfare_core::ReplayEvent::Message(entry) => {
                    reader.message(&self.model, &entry.message, now.ms())
                }
                fanfare_core::ReplayEvent::Gap(gap) => reader.gap(&self.model, &gap, now.ms()),
            }
        }
        reader.ping(&self.model, history.cursor, now.ms());
        assert!(history.more || history.cursor == self.model.top(), "all was read");
        history.more
    }

    pub(super) fn check_topics(&self) {
        let all = Filter::parse(">").unwrap();
        let listed = self.broker.list_topics(&all, None, usize::MAX).into_iter();
        let listed: Vec<_> =
            listed.map(|topic| (topic.name, topic.position.seq, topic.published, topic.kept)).collect();
        assert_eq!(listed, self.model.topics(), "topics are remembered and forgotten by the rules");
    }
}
