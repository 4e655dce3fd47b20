//! What clients and publishers do, what nodes get on with, and how often beside the rest.

use bytes::Bytes;
use fanfare_protocol::{Cursor, Epoch, Filter, Payload, Position, Publication, Request, Topic};

use super::node::WORKERS;
use super::settings::{FILTERS, TOPICS};
use super::truth::Drafted;
use super::world::World;
use super::{batches, faults};
use crate::it::client::Asked;
use crate::it::followed::Followed;

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) weight: usize,
    pub(super) kind: Kind,
    pub(super) run: fn(&mut World),
}

/// What a step may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Usual,
    /// Something breaks, and nothing that was acknowledged is lost.
    Fault,
    /// What was acknowledged may be lost.
    Loss,
    /// History goes.
    Trim,
}

const fn step(name: &'static str, weight: usize, kind: Kind, run: fn(&mut World)) -> Step {
    Step { name, weight, kind, run }
}

pub(super) const STEPS: [Step; 34] = [
    step("publish", 60, Kind::Usual, publish),
    step("session publishes", 16, Kind::Usual, session_publishes),
    step("retry", 16, Kind::Usual, retry),
    step("carry out", 90, Kind::Usual, carry_out),
    step("tell", 110, Kind::Usual, tell),
    step("get on", 70, Kind::Usual, get_on),
    step("deliver", 60, Kind::Usual, deliver),
    step("write", 60, Kind::Usual, write),
    step("read", 110, Kind::Usual, read),
    step("connect", 40, Kind::Usual, connect),
    step("resume", 36, Kind::Usual, resume),
    step("cut a client", 8, Kind::Usual, cut_client),
    step("follow", 24, Kind::Usual, follow),
    step("follow from", 12, Kind::Trim, follow_from),
    step("follow from before", 12, Kind::Usual, follow_from_before),
    step("leave", 8, Kind::Usual, leave),
    step("history", 8, Kind::Trim, history),
    step("time", 16, Kind::Usual, time),
    step("sweep", 5, Kind::Usual, sweep),
    step("join", 70, Kind::Usual, faults::join),
    step("sweep the servers", 2, Kind::Trim, faults::sweep),
    step("clear", 2, Kind::Trim, faults::clear),
    step("cut a node", 2, Kind::Fault, faults::cut_node),
    step("notice", 4, Kind::Fault, faults::notice),
    step("dead connection", 1, Kind::Fault, faults::dead),
    step("deaf connection", 1, Kind::Fault, faults::deaf),
    step("node starts again", 1, Kind::Fault, faults::restart_node),
    step("repeat", 2, Kind::Fault, faults::repeat),
    step("lose", 3, Kind::Fault, faults::lose),
    step("server starts again", 1, Kind::Fault, faults::restart_server),
    step("failover", 2, Kind::Fault, faults::failover),
    step("replicate", 6, Kind::Loss, faults::replicate),
    step("failover to what lags", 2, Kind::Loss, faults::failover_to_what_lags),
    step("server forgets", 1, Kind::Loss, faults::forget),
];

/// What happens only where room is scarce.
pub(super) const RARE: [Step; 5] = [
    step("publish a batch", 16, Kind::Usual, batches::publish_batch),
    step("newest history", 6, Kind::Trim, newest_history),
    step("give up a publish", 4, Kind::Usual, give_up),
    step("server starts again unnoticed", 1, Kind::Fault, faults::restart_server_unnoticed),
    step("calls find the primary", 4, Kind::Loss, faults::move_calls),
];

/// The step at a place among the weights.
pub(super) fn at(index: usize) -> &'static Step {
    STEPS.get(index).unwrap_or_else(|| &RARE[index - STEPS.len()])
}

fn publish(world: &mut World) {
    for _ in 0..world.chance.pick(&[1, 1, 1, 2, 8]) {
        let (node, tag) = (pick_publisher(world), draft(world));
        world.publish(node, tag);
        world.settle();
    }
}

/// A node to publish at, mostly one that can.
pub(super) fn pick_publisher(world: &mut World) -> usize {
    let joined = |node: &usize| world.nodes[*node].daemon.connection.is_some();
    let joined: Vec<usize> = (0..world.nodes.len()).filter(joined).collect();
    if joined.is_empty() || world.chance.one_in(8) {
        return world.chance.below(world.nodes.len());
    }
    world.chance.pick(&joined)
}

/// Something new to publish; its tag.
pub(super) fn draft(world: &mut World) -> usize {
    let tag = world.truth.drafts.len();
    let topic = draw_topic(world);
    let padding = world.chance.below(world.settings.payload_bytes + 1);
    let payload = Payload::Binary(Bytes::from(format!("{tag} {}", "x".repeat(padding))));
    let idempotency_key = world.chance.one_in(2).then(|| tag.to_string().into());
    let ttl_s =
        (!world.settings.is_whole && world.chance.one_in(12)).then(|| 1 + world.chance.below(4) as u32);
    let publication = Publication { idempotency_key, ttl_s, ..Publication::new(payload) };
    world.truth.drafts.push(Drafted::new(topic, publication));
    tag
}

fn session_publishes(world: &mut World) {
    let Some(client) = pick_client(world, World::is_open) else { return };
    let tag = draft(world);
    let Some(link) = &mut world.clients[client].link else { return };
    let id = link.ask(Asked::Publish(tag));
    let Drafted { topic, publication, .. } = &world.truth.drafts[tag];
    let request = Request::Publish { id, topic: topic.clone(), publication: publication.clone() };
    world.send(client, &request);
}

/// What may have failed is published again, on any node, if it has a key.
fn retry(world: &mut World) {
    let unknown = std::mem::take(&mut world.unknown);
    let keyed = unknown.into_iter().filter(|tag| {
        let draft = &world.truth.drafts[*tag];
        draft.publication.idempotency_key.is_some() && draft.attempts < 5
    });
    world.unknown = keyed.collect();
    if world.unknown.is_empty() {
        return;
    }
    let index = world.chance.below(world.unknown.len());
    let tag = world.unknown.swap_remove(index);
    world.truth.drafts[tag].attempts += 1;
    let node = pick_publisher(world);
    world.publish(node, tag);
    world.settle();
}

/// A daemon hands on what its core asked for.
fn carry_out(world: &mut World) {
    let node = world.chance.below(world.nodes.len());
    world.take_asks(node);
    for _ in 0..world.chance.pick(&[1, 2, 8]) {
        if world.chance.one_in(2) {
            world.carry_out_next(node);
        } else {
            world.call_next(node);
        }
    }
}

fn tell(world: &mut World) {
    let node = world.chance.below(world.nodes.len());
    for _ in 0..world.chance.pick(&[1, 2, 8]) {
        let by_channel = world.chance.one_in(2);
        world.tell_next(node, by_channel);
    }
}

/// One node does all that it has to do.
fn get_on(world: &mut World) {
    let node = world.chance.below(world.nodes.len());
    world.get_on(node);
}

fn deliver(world: &mut World) {
    let (node, worker) = (world.chance.below(world.nodes.len()), world.chance.below(WORKERS));
    if !world.nodes[node].driven.workers[worker].has_dirty() || world.chance.one_in(4) {
        world.deliver(node, worker);
        world.settle();
    }
}

fn write(world: &mut World) {
    let most = world.chance.pick(&[1, 2, 100]);
    let (node, worker) = (world.chance.below(world.nodes.len()), world.chance.below(WORKERS));
    world.write_dirty(node, worker, most);
}

fn read(world: &mut World) {
    let Some(client) = pick_client(world, |world, client| world.clients[client].link.is_some()) else {
        return;
    };
    let most = world.chance.pick(&[1, 2, 5, 50]);
    if world.settings.lazy != Some(client) || world.chance.one_in(10) {
        world.read(client, most);
    }
}

fn connect(world: &mut World) {
    let Some(client) = pick_client(world, |world, client| world.clients[client].link.is_none()) else {
        return;
    };
    world.connect(client);
    if world.chance.one_in(2) {
        world.resume_all(client);
    }
}

fn resume(world: &mut World) {
    let is_away = |world: &World, client: usize| !world.away(client).is_empty();
    let Some(client) = pick_client(world, is_away) else { return };
    let away = world.away(client);
    if world.chance.one_in(2) {
        world.resume_all(client);
    } else {
        let index = world.chance.below(away.len());
        world.subscribe(client, &away[index]);
    }
}

fn cut_client(world: &mut World) {
    let client = world.chance.below(world.clients.len());
    world.cut_client(client);
}

fn follow(world: &mut World) {
    let last = world.chance.pick(&[0, 0, 0, 1, 2, 100]);
    begin(world, None, last);
}

/// From anywhere, be it in the future or of another broker.
fn follow_from(world: &mut World) {
    let lives: Vec<Epoch> = world.truth.facts.lives().collect();
    let stranger = Epoch { partition: 0, life: 77_777 };
    let epoch = match world.chance.below(8) {
        0 => stranger,
        1 | 2 if !lives.is_empty() => world.chance.pick(&lives),
        _ => lives.last().copied().unwrap_or(stranger),
    };
    let top = world.truth.facts.top(epoch).map_or(0, |top| top.seq);
    let seq = world.chance.below(top as usize + 4) as u64;
    let last = world.chance.pick(&[0, 0, 0, 2]);
    begin(world, Some(Position { epoch, seq }), last);
}

/// From where another client stands.
fn follow_from_before(world: &mut World) {
    let cursors = world.clients.iter().flat_map(|client| client.followed.values());
    let cursors: Vec<Position> = cursors.filter_map(|followed| followed.cursor).collect();
    if !cursors.is_empty() {
        let cursor = world.chance.pick(&cursors);
        begin(world, Some(cursor), 0);
    }
}

/// A client follows a filter that it does not follow yet.
fn begin(world: &mut World, after: Option<Position>, last: u32) {
    let open = pick_client(world, World::is_open);
    let client = open.unwrap_or_else(|| world.chance.below(world.clients.len()));
    let filter = Filter::parse(FILTERS[world.chance.below(world.settings.filters)]).unwrap();
    if world.clients[client].followed.contains_key(&filter) {
        return;
    }
    let echo = world.settings.is_whole || !world.chance.one_in(4);
    let mut followed = Followed::new(filter.clone().into(), after, last, echo);
    followed.on_slow = Some(world.chance.pick(world.settings.policies));
    world.clients[client].followed.insert(filter.clone(), followed);
    world.subscribe(client, &filter);
}

fn leave(world: &mut World) {
    let index = world.chance.below(world.clients.len());
    let filter = Filter::parse(world.chance.pick(&FILTERS)).unwrap();
    let is_open = world.is_open(index);
    let client = &mut world.clients[index];
    let Some(link) = client.link.as_mut().filter(|_| is_open) else { return };
    if client.leaving.contains_key(&filter) || !link.subscribed.remove(&filter) {
        return;
    }
    let Some(followed) = client.followed.remove(&filter) else { return };
    client.leaving.insert(filter.clone(), followed);
    let id = link.ask(Asked::Unsubscribe(filter.clone()));
    world.send(index, &Request::Unsubscribe { id, filter });
}

/// A client asks for a page of a topic's history above some position.
fn history(world: &mut World) {
    let Some(client) = pick_client(world, World::is_open) else { return };
    let topic = draw_topic(world);
    let lives: Vec<Epoch> = world.truth.facts.lives().collect();
    let Some(epoch) = lives.last().copied() else { return };
    let top = world.truth.facts.top(epoch).map_or(0, |top| top.seq);
    let after = Position { epoch, seq: world.chance.below(top as usize + 3) as u64 };
    ask_history(world, client, topic, Some(after));
}

fn newest_history(world: &mut World) {
    if let Some(client) = pick_client(world, World::is_open) {
        let topic = draw_topic(world);
        ask_history(world, client, topic, None);
    }
}

fn ask_history(world: &mut World, client: usize, topic: Topic, after: Option<Position>) {
    let limit = Some(world.chance.pick(&[1, 5, 1_000]));
    let Some(link) = &mut world.clients[client].link else { return };
    let id = link.ask(Asked::History { topic: topic.clone(), after });
    world.send(client, &Request::History { id, topic, after: after.map(Cursor::from), limit });
}

/// A publisher by HTTP goes away before it is answered.
fn give_up(world: &mut World) {
    if !world.waits.is_empty() {
        let index = world.chance.below(world.waits.len());
        world.waits[index].until_ms = world.now_ms;
        world.give_up();
    }
}

fn time(world: &mut World) {
    let heartbeat_ms = world.settings.limits.heartbeat_ms;
    let ms = world.chance.pick(&[1, 50, 300, 1_000, 1_000, 2_000, 5_000, 12_000, heartbeat_ms]);
    world.pass_time(ms);
}

fn sweep(world: &mut World) {
    let node = &world.nodes[world.chance.below(world.nodes.len())];
    node.driven.broker.sweep(node.now(world.now_ms));
}

pub(super) fn draw_topic(world: &mut World) -> Topic {
    Topic::parse(TOPICS[world.chance.below(world.settings.topics)]).unwrap()
}

fn pick_client(world: &mut World, is_meant: impl Fn(&World, usize) -> bool) -> Option<usize> {
    let meant: Vec<usize> = (0..world.clients.len()).filter(|client| is_meant(world, *client)).collect();
    (!meant.is_empty()).then(|| world.chance.pick(&meant))
}
