//! What can happen, and how often beside the rest.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use fanfare_protocol::{Cursor, Epoch, ErrorCode, Filter, Position, Request, SubscribeOptions};

use super::model::Drafted;
use super::settings::FILTERS;
use super::world::{Poll, WORKERS, World};
use crate::it::client::{Asked, single};
use crate::it::facts::NOBODY;
use crate::it::followed::Followed;

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) weight: usize,
    pub(super) run: fn(&mut World),
}

const fn step(name: &'static str, weight: usize, run: fn(&mut World)) -> Step {
    Step { name, weight, run }
}

pub(super) const STEPS: [Step; 22] = [
    step("publish", 30, publish),
    step("session publishes", 10, session_publishes),
    step("retry", 4, retry),
    step("deliver", 20, deliver),
    step("write", 25, write),
    step("read", 40, read),
    step("connect", 16, connect),
    step("resume", 12, resume),
    step("cut", 4, cut),
    step("send away", 1, send_away),
    step("follow", 10, follow),
    step("follow from", 6, follow_from),
    step("subscribe twice", 1, subscribe_twice),
    step("leave", 3, leave),
    step("time", 8, time),
    step("sweep", 4, sweep),
    step("clear", 2, clear),
    step("history", 4, history),
    step("session history", 2, session_history),
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
    let Some(client) = world.pick_client(World::is_open).filter(|_| world.settings.sessions_publish) else {
        return;
    };
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
    let in_order = !world.driven.workers[worker].has_dirty() || world.chance.one_in(4);
    if in_order {
        let in_vain = world.chance.one_in(8);
        world.driven.woken[worker].fetch_or(in_vain, Ordering::Relaxed);
        for _ in 0..if world.settings.floods { world.chance.pick(&[1, 8]) } else { 1 } {
            world.driven.deliver(world.now(), worker);
        }
    }
}

fn write(world: &mut World) {
    let most = world.chance.pick(&[1, 2, 100]);
    let worker = world.chance.below(WORKERS);
    world.write_dirty(worker, most);
}

fn read(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| world.clients[client].link.is_some()) else {
        return;
    };
    let most = world.chance.pick(&[1, 2, 5, 50]);
    if world.settings.lazy != Some(client) || world.chance.one_in(10) {
        world.read(client, most);
    }
}

fn connect(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| world.clients[client].link.is_none()) else {
        return;
    };
    world.connect(client);
    if world.chance.one_in(2) {
        resume_all(world, client);
    }
}

fn resume(world: &mut World) {
    let Some(client) = world.pick_client(|world, client| !world.clients[client].away().is_empty()) else {
        return;
    };
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

fn send_away(world: &mut World) {
    let client = world.chance.below(world.clients.len());
    let Some(link) = &world.clients[client].link else { return };
    world.driven.workers[link.worker].send_away(link.key, 300);
}

/// The broker notices that a connection broke off.
fn notice(world: &mut World) {
    if world.abandoned.is_empty() {
        return;
    }
    let index = world.chance.below(world.abandoned.len());
    let link = world.abandoned.swap_remove(index);
    world.end(&link);
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
    let filter = Filter::parse(world.chance.pick(&FILTERS)).unwrap();
    let request = if link.subscribed.contains(&filter) {
        let id = link.ask(Asked::Refused(ErrorCode::AlreadySubscribed));
        Request::Subscribe { id, filter, options: SubscribeOptions::default() }
    } else {
        let id = link.ask(Asked::Refused(ErrorCode::NotSubscribed));
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
    let id = link.ask(Asked::Unsubscribe(filter.clone()));
    world.send(index, &Request::Unsubscribe { id, filter: filter.clone() });
    if world.chance.one_in(2) {
        world.settle();
        let last = world.chance.pick(&[0, 0, 2]);
        world.clients[index]
            .followed
            .insert(filter.clone(), Followed::new(filter.clone().into(), None, last, true));
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
    world.driven.broker.sweep(now);
    world.model.sweep(now.ms());
    world.check_topics();
}

fn clear(world: &mut World) {
    let topic = world.draw_topic();
    let cleared = world.driven.broker.clear(&topic);
    assert_eq!(cleared, world.model.clear(&topic), "what is kept of {topic} is cleared");
}

/// A page of the history of some topics.
fn history(world: &mut World) {
    if world.readers.len() < 3 {
        let filters = world.draw_filters();
        let seq = world.chance.below(world.model.seq() as usize + 3) as u64;
        let after = Position { seq, ..world.model.top() };
        let mut reader = Followed::new(filters, Some(after), 0, true);
        reader.begins(&world.model.facts, NOBODY, after);
        world.readers.push(reader);
    }
    let index = world.chance.below(world.readers.len());
    let limit = world.chance.pick(&[1, 2, 1_000]);
    world.read_history(index, limit);
}

/// A client asks for a page of a topic's history above some position.
fn session_history(world: &mut World) {
    let Some(client) = world.pick_client(World::is_open) else { return };
    let topic = world.draw_topic();
    let seq = world.chance.below(world.model.seq() as usize + 3) as u64;
    let after = Position { seq, ..world.model.top() };
    let limit = Some(world.chance.pick(&[1, 5, 1_000]));
    let Some(link) = &mut world.clients[client].link else { return };
    let id = link.ask(Asked::History { topic: topic.clone(), after: Some(after) });
    world.send(client, &Request::History { id, topic, after: Some(Cursor::from(after)), limit });
}

fn poll(world: &mut World) {
    let (index, now) = (world.chance.below(WORKERS), world.now());
    let filters = world.draw_filters();
    let after = Cursor::from(world.model.top());
    let is_ready = Rc::new(Cell::new(false));
    let ready = is_ready.clone();
    let ready = Box::new(move || ready.set(true));
    let worker = &mut world.driven.workers[index];
    let (history, key) = worker.poll(now, &filters, Some(&after), 10, ready).unwrap();
    match key {
        Some(key) => {
            let from = single(&Cursor::from(history.cursor)).seq;
            world.polls.push(Poll { worker: index, key, filters, is_ready, from });
        }
        None => assert!(!history.events.is_empty(), "a poll that does not wait has something"),
    }
    if world.chance.one_in(3) {
        let index = world.chance.below(world.polls.len().max(1));
        if index < world.polls.len() {
            let poll = world.polls.swap_remove(index);
            world.driven.workers[poll.worker].end_poll(poll.key);
        }
    }
}

fn restart(world: &mut World) {
    world.begin_life();
}
