//! What befalls servers, connections and nodes.

use fanfare_core::Told;

use super::node::Node;
use super::redis::Data;
use super::settings::Sabotage;
use super::steps::draw_topic;
use super::world::World;

/// A node that is away comes back, seldom to a server that is the primary no more.
pub(super) fn join(world: &mut World) {
    let away = |node: &Node| node.daemon.connection.is_none();
    let Some(node) = pick_node(world, away) else { return };
    let is_lost = !world.settings.is_whole && world.chance.one_in(12);
    let server = if is_lost { world.chance.below(world.servers.len()) } else { world.primary };
    if !world.servers[server].is_replica {
        world.join(node, server);
    }
}

pub(super) fn cut_node(world: &mut World) {
    if let Some(node) = pick_node(world, is_connected) {
        // Some of what was asked may still happen.
        for _ in 0..world.chance.below(3) {
            world.call_next(node);
        }
        world.cut_node(node, "the connection broke");
    }
}

/// The daemon notices a dead connection.
pub(super) fn notice(world: &mut World) {
    let dead = |node: &Node| node.daemon.connection.as_ref().is_some_and(|connection| connection.is_dead);
    if let Some(node) = pick_node(world, dead) {
        world.cut_node(node, "the connection was dead");
    }
}

pub(super) fn dead(world: &mut World) {
    if let Some(node) = pick_node(world, is_connected)
        && let Some(connection) = &mut world.nodes[node].daemon.connection
    {
        connection.is_dead = true;
        world.trace(|| format!("node {node} has a dead connection"));
    }
}

pub(super) fn deaf(world: &mut World) {
    if let Some(node) = pick_node(world, is_connected)
        && let Some(connection) = &mut world.nodes[node].daemon.connection
    {
        connection.is_deaf = true;
        world.trace(|| format!("node {node} has a deaf connection"));
    }
}

pub(super) fn restart_node(world: &mut World) {
    let node = world.chance.below(world.nodes.len());
    world.trace(|| format!("node {node} starts again"));
    for client in 0..world.clients.len() {
        if world.clients[client].link.as_ref().is_some_and(|link| link.node == node) {
            world.cut_client(client);
        }
    }
    for wait in world.waits.extract_if(.., |wait| wait.node == node) {
        world.unknown.push(wait.tag);
    }
    world.give_up_batches(|batch, _| batch.node == node);
    world.names += 1;
    world.nodes[node] = Node::start(world.names, &world.settings);
}

/// Something that the channels brought comes once more, later.
pub(super) fn repeat(world: &mut World) {
    let Some(node) = pick_node(world, is_connected) else { return };
    let Some(connection) = &mut world.nodes[node].daemon.connection else { return };
    let length = connection.heard.len();
    if length == 0 {
        return;
    }
    let (from, to) = (world.chance.below(length), world.chance.below(length + 1));
    if let Some(Told::Message(numbered)) = connection.heard.get(from)
        && to > from
    {
        let copy = Told::Message(numbered.clone());
        connection.heard.insert(to, copy);
    }
}

/// A message does not come, and the next of its topic shows it.
pub(super) fn lose(world: &mut World) {
    let Some(node) = pick_node(world, is_connected) else { return };
    let Some(connection) = &mut world.nodes[node].daemon.connection else { return };
    let is_silent = world.settings.sabotage == Some(Sabotage::SilentLoss);
    let shown = connection.heard.iter().zip(connection.heard.iter().skip(1)).position(|pair| match pair {
        (Told::Message(lost), Told::Message(next)) => {
            is_silent || lost.message.topic == next.message.topic && next.prev == lost.message.position.seq
        }
        _ => false,
    });
    if let Some(index) = shown {
        let lost = connection.heard.remove(index);
        world.trace(|| format!("node {node} loses {lost:?}"));
    }
}

pub(super) fn restart_server(world: &mut World) {
    let server = world.primary;
    restart(world, server);
}

/// The primary starts again with an empty memory.
pub(super) fn forget(world: &mut World) {
    let server = world.primary;
    restart(world, server);
    world.servers[server].data = Data::default();
    world.trace(|| format!("server {server} has forgotten all"));
}

/// The primary starts again, and what was connected to it comes to nothing.
pub(super) fn restart_server_unnoticed(world: &mut World) {
    let server = world.primary;
    let connections = world.nodes.iter_mut().filter_map(|node| node.daemon.connection.as_mut());
    connections
        .filter(|connection| connection.reaches(server))
        .for_each(|connection| connection.is_dead = true);
    world.servers[server].promote(&mut world.truth);
    world.trace(|| format!("server {server} starts again, and nobody notices"));
}

/// A node that stayed with an old primary calls the new one, and goes on following the channels of the old.
pub(super) fn move_calls(world: &mut World) {
    let primary = world.primary;
    let stayed =
        |node: &Node| node.daemon.connection.as_ref().is_some_and(|connection| connection.server != primary);
    if let Some(node) = pick_node(world, stayed)
        && let Some(connection) = &mut world.nodes[node].daemon.connection
    {
        connection.server = primary;
        world.trace(|| format!("node {node} calls server {primary}"));
    }
}

fn restart(world: &mut World, server: usize) {
    cut_all(world, server, "the server is gone");
    world.servers[server].promote(&mut world.truth);
    world.trace(|| format!("server {server} starts again"));
}

/// To a replica that has everything.
pub(super) fn failover(world: &mut World) {
    let Some(new) = pick_replica(world) else { return };
    world.copy(new);
    promote(world, new, false);
}

pub(super) fn replicate(world: &mut World) {
    if let Some(replica) = pick_replica(world) {
        world.copy(replica);
    }
}

/// To a replica that has what it was last sent; who is connected to the old primary may stay there for a while.
pub(super) fn failover_to_what_lags(world: &mut World) {
    let replicas: Vec<usize> = (0..world.servers.len()).filter(|server| *server != world.primary).collect();
    let new = world.chance.pick(&replicas);
    let stays = world.chance.one_in(2);
    promote(world, new, stays);
}

/// The server becomes the primary, seldom without knowing that it was none in the eyes of others.
fn promote(world: &mut World, new: usize, stays: bool) {
    let old = world.primary;
    if !stays {
        cut_all(world, old, "the primary has changed");
    }
    let is_unaware = !world.servers[new].is_replica && world.chance.one_in(4);
    if !is_unaware {
        cut_all(world, new, "the replica becomes the primary");
        world.servers[new].promote(&mut world.truth);
    }
    world.primary = new;
    world.trace(|| format!("server {new} is the primary after {old}, unaware: {is_unaware}"));
}

/// All messages of a topic go.
pub(super) fn clear(world: &mut World) {
    let node = world.chance.below(world.nodes.len());
    let topic = draw_topic(world);
    world.clear(node, &topic);
}

pub(super) fn sweep(world: &mut World) {
    let (now_ms, idle_ms) = (world.now_ms, world.settings.idle_ms);
    world.servers[world.primary].sweep(now_ms, idle_ms);
}

pub(super) fn cut_all(world: &mut World, server: usize, reason: &str) {
    for node in 0..world.nodes.len() {
        let connection = world.nodes[node].daemon.connection.as_ref();
        if connection.is_some_and(|connection| connection.reaches(server)) {
            world.cut_node(node, reason);
        }
    }
}

fn is_connected(node: &Node) -> bool {
    node.daemon.connection.is_some()
}

fn pick_node(world: &mut World, is_meant: impl Fn(&Node) -> bool) -> Option<usize> {
    let meant: Vec<usize> = (0..world.nodes.len()).filter(|node| is_meant(&world.nodes[*node])).collect();
    (!meant.is_empty()).then(|| world.chance.pick(&meant))
}

/// A server that is not the primary and that nobody is connected to.
fn pick_replica(world: &mut World) -> Option<usize> {
    let connections = world.nodes.iter().filter_map(|node| node.daemon.connection.as_ref());
    let busy = |server| connections.clone().any(|connection| connection.reaches(server));
    let free = (0..world.servers.len()).filter(|server| *server != world.primary && !busy(*server));
    let free: Vec<usize> = free.collect();
    (!free.is_empty()).then(|| world.chance.pick(&free))
}
