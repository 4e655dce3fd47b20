//! What happens to the cluster, each as often as a seed wants it.

use fanfare_protocol::{Epoch, Position};

use super::followed::Followed;
use super::node::WORKERS;
use super::world::World;

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) weight: usize,
    pub(super) run: fn(&mut World),
}

const fn step(name: &'static str, weight: usize, run: fn(&mut World)) -> Step {
    Step { name, weight, run }
}

pub(super) const STEPS: &[Step] = &[
    step("publish", 40, publish),
    step("a server does something", 60, execute),
    step("something comes to a node", 80, hear),
    step("a worker delivers", 60, deliver),
    step("a client reads", 60, read),
    step("a client connects", 20, connect),
    step("a client subscribes", 30, subscribe),
    step("a client resumes", 30, resume),
    step("a client follows from somewhere", 6, follow_from),
    step("a client unsubscribes", 8, unsubscribe),
    step("a client is cut off", 4, cut),
    step("a client reads history", 8, history),
    step("time passes", 20, time),
    step("a node connects", 30, node_connects),
    step("a node's connections break", 3, breaks),
    step("a node notices", 12, notice),
    step("a node restarts", 1, restart),
    step("a replica catches up", 12, replicate),
    step("the primary restarts", 1, server_restart),
    step("the primary forgets", 1, server_forgets),
    step("a failover", 2, failover),
    step("a topic is cleared", 3, clear),
    step("a topic is forgotten", 3, forget),
];

fn pick_node(world: &mut World) -> usize {
    world.chance.below(world.nodes.len())
}

fn pick_client(world: &mut World) -> usize {
    world.chance.below(world.clients.len())
}

fn publish(world: &mut World) {
    let (node, topic, now) = (pick_node(world), world.draw_topic(), world.now());
    let tag = world.tags;
    world.tags += 1;
    let ticket = world.nodes[node].publish(now, &topic, tag);
    world.trace(|_| format!("node {node} publishes {tag} to {topic}: {ticket:?}"));
    if world.chance.one_in(20)
        && let Some(ticket) = ticket
    {
        world.nodes[node].broker.cancel(ticket);
    }
}

fn execute(world: &mut World) {
    let (node, channels) = (pick_node(world), world.chance.one_in(2));
    for _ in 0..1 + world.chance.below(4) {
        world.nodes[node].execute(channels, world.now_ms, &mut world.servers, &mut world.truth);
    }
}

fn hear(world: &mut World) {
    let (node, reply, now) = (pick_node(world), world.chance.one_in(3), world.now());
    for _ in 0..1 + world.chance.below(6) {
        if reply {
            world.nodes[node].hear_reply(now);
        } else {
            world.nodes[node].hear_message(now, &mut world.servers);
        }
        world.settle();
    }
}

fn deliver(world: &mut World) {
    let (node, worker, now) = (pick_node(world), world.chance.below(WORKERS), world.now());
    world.nodes[node].deliver(worker, now);
}

fn read(world: &mut World) {
    let (client, most) = (pick_client(world), 1 + world.chance.below(8));
    world.read(client, most);
}

fn connect(world: &mut World) {
    let client = pick_client(world);
    if world.clients[client].link.is_none() {
        let node = pick_node(world);
        world.connect(client, node);
    }
}

fn subscribe(world: &mut World) {
    let (client, filter) = (pick_client(world), world.draw_filter());
    let is_asked = world.clients[client].is_asked(&filter);
    let followed = &mut world.clients[client].followed;
    if followed.len() < 4 && !is_asked {
        followed.entry(filter.clone()).or_insert_with(|| Followed::new(filter.clone(), None));
    }
    world.subscribe(client, &filter);
}

fn resume(world: &mut World) {
    let client = pick_client(world);
    for filter in world.clients[client].followed.keys().cloned().collect::<Vec<_>>() {
        world.subscribe(client, &filter);
    }
}

fn draw_position(world: &mut World) -> Option<Position> {
    let record = world.servers[world.primary].record(&mut world.truth, None);
    let seq = world.chance.below(record.seq as usize + 2) as u64;
    let position = match world.chance.below(8) {
        0 => Position { epoch: Epoch { partition: 0, life: 1 << 20 }, seq },
        1 if !record.ended.is_empty() => {
            let (epoch, end) = record.ended[world.chance.below(record.ended.len())];
            Position { epoch, seq: seq.min(end + 1) }
        }
        _ => Position { epoch: record.epoch, seq },
    };
    Some(position)
}

fn follow_from(world: &mut World) {
    let (client, filter, position) = (pick_client(world), world.draw_filter(), draw_position(world));
    let is_asked = world.clients[client].is_asked(&filter);
    let followed = &mut world.clients[client].followed;
    if !is_asked && followed.len() < 5 && !followed.contains_key(&filter) {
        followed.insert(filter.clone(), Followed::new(filter.clone(), position));
        world.subscribe(client, &filter);
    }
}

fn unsubscribe(world: &mut World) {
    let (client, filter) = (pick_client(world), world.draw_filter());
    if let Some(request) = world.clients[client].unsubscribe(&filter) {
        world.trace(|_| format!("client {client} asks {request:?}"));
        world.send(client, request);
    }
}

fn cut(world: &mut World) {
    let client = pick_client(world);
    world.cut(client);
}

fn history(world: &mut World) {
    let (client, topic) = (pick_client(world), world.draw_topic());
    let after = if world.chance.one_in(3) { None } else { draw_position(world) };
    if let Some(request) = world.clients[client].history(&topic, after) {
        world.trace(|_| format!("client {client} asks {request:?}"));
        world.send(client, request);
    }
}

fn time(world: &mut World) {
    let ms = world.chance.pick(&[1, 10, 100, 500, 1_000, 2_500, 6_000]);
    world.pass_time(ms);
    let now = world.now();
    world.nodes.iter().for_each(|node| node.broker.sweep(now));
}

fn node_connects(world: &mut World) {
    let node = pick_node(world);
    if world.nodes[node].link.is_some() {
        return;
    }
    // Now and then one finds another server than the others do.
    let server = if world.chance.one_in(15) { world.chance.below(3) } else { world.primary };
    let (number, now) = (world.number(), world.now());
    world.trace(|_| format!("node {node} connects to server {server}"));
    world.nodes[node].connect(now, server, number, &mut world.servers, &mut world.truth);
}

fn breaks(world: &mut World) {
    let node = pick_node(world);
    if let Some(link) = &mut world.nodes[node].link {
        link.is_broken = true;
    }
}

fn notice(world: &mut World) {
    let (node, now) = (pick_node(world), world.now());
    let primary = world.primary;
    let is_lost =
        world.nodes[node].link.as_ref().is_some_and(|link| link.is_broken || link.commands != primary);
    if is_lost || world.nodes[node].is_forgotten(&world.servers) {
        world.trace(|_| format!("node {node} notices"));
        world.nodes[node].disconnect(now, &mut world.servers);
    }
}

fn restart(world: &mut World) {
    let (node, now) = (pick_node(world), world.now());
    for client in 0..world.clients.len() {
        if world.clients[client].link.as_ref().is_some_and(|link| link.node == node) {
            world.cut(client);
        }
    }
    world.nodes[node].disconnect(now, &mut world.servers);
    world.nodes[node] = world.new_node();
}

fn replicate(world: &mut World) {
    let replica = world.chance.below(3);
    let (primary, has_nodes) = (world.primary, !world.servers[replica].connections.is_empty());
    if replica != primary && !has_nodes {
        let state = std::mem::take(&mut world.servers[primary]);
        world.servers[replica].replicate(&state);
        world.servers[primary] = state;
    }
}

fn break_links(world: &mut World, server: usize) {
    for node in &mut world.nodes {
        if let Some(link) =
            node.link.as_mut().filter(|link| link.commands == server || link.messages == server)
        {
            link.is_broken = true;
        }
    }
}

fn server_restart(world: &mut World) {
    let (primary, number) = (world.primary, world.number());
    break_links(world, primary);
    world.servers[primary].promote(number);
}

fn server_forgets(world: &mut World) {
    server_restart(world);
    world.servers[world.primary].forget_all();
}

/// A replica becomes the primary; who was connected to the old one may stay with it for a while.
fn failover(world: &mut World) {
    let next = world.chance.below(3);
    if next == world.primary {
        return;
    }
    let number = world.number();
    break_links(world, next);
    world.servers[next].promote(number);
    let old = std::mem::replace(&mut world.primary, next);
    let stuck = world.chance.one_in(3);
    for node in &mut world.nodes {
        let Some(link) = node.link.as_mut().filter(|link| link.commands == old) else { continue };
        if stuck {
            // Commands find the new one, and messages go on coming from the old one, where nothing happens.
            link.commands = next;
        } else if world.chance.one_in(2) {
            link.is_broken = true;
        }
    }
}

fn clear(world: &mut World) {
    let (node, topic, now) = (pick_node(world), world.draw_topic(), world.now());
    world.nodes[node].broker.clear_everywhere(now, &topic, || Box::new(|_, _| ()));
}

fn forget(world: &mut World) {
    let topic = world.draw_topic();
    let primary = world.primary;
    world.servers[primary].forget(&topic);
}
