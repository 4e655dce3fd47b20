//! Nodes that are joined by a backplane, in random orders of everything that can happen to them, to the servers behind
//! it and to the clients; all that clients see is held against all that was ever numbered.
//!
//! `SEEDS=n` runs that many seeds, `FIRST=n` from that one on, `SEED=n` one with the last of what happened written out.

mod actions;
mod batches;
mod daemon;
mod faults;
mod node;
mod redis;
mod settings;
mod steps;
mod story;
mod truth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use fanfare_protocol::{Payload, Publication, Topic};

use self::settings::{Room, Sabotage, Settings, TOPICS};
use self::steps::Step;
use self::story::Tally;
use self::truth::Drafted;
use self::world::World;
use super::chance::Chance;
use super::followed::State;
use super::seeds;

#[test]
fn joined_nodes_leave_no_silent_gap_whatever_befalls_their_servers() {
    run_all(Room::Ample);
}

#[test]
fn joined_nodes_with_little_room_leave_no_silent_gap_either() {
    run_all(Room::Scarce);
}

fn run_all(room: Room) {
    match seeds::one() {
        Some(seed) => tell_in(room, seed, usize::MAX),
        None => {
            let (failed, tallies) = (Mutex::new(Vec::new()), Mutex::new(Tally::default()));
            seeds::run_all(200, |seed| match run(room, seed, None) {
                Ok(tally) => tallies.lock().unwrap().add(&tally),
                Err(message) => {
                    eprintln!("seed {seed} failed: {message}");
                    failed.lock().unwrap().push(seed);
                }
            });
            eprintln!("{:?}", tallies.into_inner().unwrap());
            let mut failed = failed.into_inner().unwrap();
            failed.sort_unstable();
            if let Some(first) = failed.first() {
                tell_in(room, *first, 300);
                panic!("seeds {failed:?} failed");
            }
        }
    }
}

/// What the checks would not see, they would not guard.
#[test]
fn what_breaks_a_rule_of_the_backplane_is_noticed() {
    for sabotage in Sabotage::ALL {
        let caught = (0..200).find_map(|seed| run(Room::Ample, seed, Some(sabotage)).err());
        assert!(caught.is_some(), "{sabotage:?} goes unnoticed");
    }
}

#[test]
fn a_replay_is_told_what_went_with_a_log_that_was_emptied() {
    tell(1037, 300);
}

#[test]
fn what_made_room_for_lost_messages_is_read_again() {
    tell(213, 300);
}

#[test]
fn a_jump_is_continued_by_the_next() {
    tell(665, 300);
}

#[test]
fn a_topic_that_was_read_back_to_its_birth_had_an_earlier_life() {
    tell(12359, 300);
}

#[test]
fn a_subscribe_in_a_doubt_does_not_fall_behind_an_answered_publish() {
    tell(12545, 300);
}

#[test]
fn a_replay_under_way_is_told_what_a_lagging_server_keeps_and_not_that_it_is_missing() {
    tell(1403, 300);
}

#[test]
fn what_was_cleared_and_is_kept_after_all_is_read_again() {
    tell(5887, 300);
}

#[test]
fn a_replay_notices_that_its_life_was_over_for_a_while() {
    tell(16171, 300);
}

#[test]
fn a_jump_that_was_not_told_is_taken_back_where_the_cursor_is_good_again() {
    tell(25813, 300);
}

#[test]
fn the_newest_of_a_topic_takes_the_place_of_what_another_life_had() {
    tell(80502, 300);
}

#[test]
fn what_was_held_back_in_a_doubt_is_applied_after_it() {
    tell(253, 300);
}

#[test]
fn what_lies_above_the_end_of_a_life_is_not_replayed() {
    tell(250, 300);
}

#[test]
fn a_read_brings_nothing_that_is_still_on_its_way() {
    tell(401, 300);
}

#[test]
fn what_made_room_within_one_read_may_be_told_missing() {
    tell_in(Room::Scarce, 7389, 300);
    tell_in(Room::Scarce, 52993, 300);
}

#[test]
fn what_was_told_missing_to_a_worker_that_is_behind_does_not_come_after_all() {
    tell_in(Room::Scarce, 12160, 300);
}

#[test]
fn a_worker_that_falls_behind_while_a_gap_is_told_is_told_it_once() {
    tell_in(Room::Scarce, 58803, 300);
}

#[test]
fn the_newest_of_a_topic_are_none_of_its_life_before_it_was_forgotten() {
    tell_in(Room::Scarce, 7942, 300);
}

#[test]
fn an_old_read_brings_no_newest_of_a_topic_that_had_to_make_room() {
    for seed in [5175, 6109, 13656] {
        tell_in(Room::Scarce, seed, 300);
    }
}

/// Runs a seed; why it failed.
fn run(room: Room, seed: u64, sabotage: Option<Sabotage>) -> Result<Tally, String> {
    let mut world = begin(room, seed, 0, sabotage);
    match catch_unwind(AssertUnwindSafe(|| world.live())) {
        Ok(()) => Ok(world.tally),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            Err(panic.downcast::<String>().map_or(text, |text| Some(*text)).unwrap_or_default())
        }
    }
}

fn tell(seed: u64, lines_max: usize) {
    tell_in(Room::Ample, seed, lines_max);
}

/// Runs a seed and writes out the last of what happened.
fn tell_in(room: Room, seed: u64, lines_max: usize) {
    let mut world = begin(room, seed, lines_max, None);
    eprintln!("{:?}", world.settings);
    let result = catch_unwind(AssertUnwindSafe(|| world.live()));
    let lines = world.lines.take().unwrap_or_default();
    lines.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("seed {seed}: {:?}", world.tally);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn begin(room: Room, seed: u64, lines_max: usize, sabotage: Option<Sabotage>) -> World {
    let mut chance = Chance::new(seed);
    let mut settings = Settings::draw(&mut chance, room);
    settings.sabotage = sabotage;
    World::new(chance, settings, lines_max)
}

impl World {
    fn live(&mut self) {
        for node in 0..self.nodes.len() {
            self.join(node, self.primary);
        }
        for step in 0..self.settings.steps {
            let Some(index) = self.chance.weighed(&self.settings.weights) else { return };
            let Step { name, run, .. } = steps::at(index);
            self.trace(|| format!("step {step}: {name}"));
            run(self);
            self.settle();
            self.check();
        }
        self.heal();
        (self.tally.numbered, self.tally.lives) =
            (self.truth.facts.numbered(), self.truth.facts.lives().count());
    }

    /// What holds at every step.
    fn check(&self) {
        if self.settings.is_whole && self.truth.facts.lives().count() <= redis::ENDED_MAX {
            let gaps = self.tally.holes + self.tally.null_gaps;
            assert_eq!(gaps, 0, "nothing was lost or trimmed, and a gap is told");
        }
    }

    /// Once nothing breaks any more, everyone stands at the end or was told, and soon.
    fn heal(&mut self) {
        self.trace(|| "from here on nothing breaks".to_owned());
        for server in 0..self.servers.len() {
            if server != self.primary {
                faults::cut_all(self, server, "this is no primary any more");
            }
        }
        self.arrive();
        // A call that is not answered makes a daemon connect again; where nobody follows anything only that shows it.
        for node in 0..self.nodes.len() {
            if self.nodes[node].daemon.connection.as_ref().is_some_and(|connection| connection.is_dead) {
                self.cut_node(node, "the connection was dead");
            }
        }
        self.arrive();
        let last: Vec<usize> = TOPICS.iter().map(|topic| self.publish_last(topic)).collect();
        self.arrive();
        for tag in last {
            assert_eq!(self.truth.drafts[tag].positions.len(), 1, "what is published in the end is numbered");
        }
    }

    /// Publishes at the first node; the tag.
    fn publish_last(&mut self, topic: &str) -> usize {
        let tag = self.truth.drafts.len();
        let publication = Publication::new(Payload::Binary(format!("{tag} ").into()));
        self.truth.drafts.push(Drafted::new(Topic::parse(topic).unwrap(), publication));
        self.publish(0, tag);
        self.exchange_all();
        tag
    }

    fn arrive(&mut self) {
        const ROUNDS_MAX: usize = 60;
        for _ in 0..ROUNDS_MAX {
            self.exchange_all();
            self.check();
            if self.has_arrived() {
                return;
            }
            self.pass_time(2_000);
        }
        let states = self.clients.iter().enumerate().flat_map(|(client, known)| {
            let followed = known.followed.values();
            followed.map(move |followed| format!("client {client} {followed:?}\n"))
        });
        panic!("after {ROUNDS_MAX} rounds:\n{}", states.collect::<String>());
    }

    fn exchange_all(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            for node in 0..self.nodes.len() {
                if self.nodes[node].daemon.connection.is_none() {
                    self.join(node, self.primary);
                }
                idle &= !self.get_on(node);
            }
            for client in 0..self.clients.len() {
                if self.clients[client].link.is_none() {
                    self.connect(client);
                    self.resume_all(client);
                    idle = false;
                }
                while self.read(client, 1) {
                    idle = false;
                }
            }
            if idle {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// True if every node is ready and every filter live and at the end; what was refused is asked for again.
    fn has_arrived(&mut self) -> bool {
        for client in 0..self.clients.len() {
            self.resume_all(client);
        }
        let Some(epoch) = self.servers[self.primary].epoch() else { return false };
        let top = self.truth.facts.top(epoch);
        let answered = self.clients.iter().filter_map(|client| client.link.as_ref());
        let mut followed = self.clients.iter().flat_map(|client| client.followed.values());
        self.nodes.iter().all(|node| node.driven.broker.readiness(node.now(self.now_ms)).is_ok())
            && answered.into_iter().all(|link| link.asked.is_empty())
            && followed.all(|followed| followed.state == State::Live && followed.cursor == top)
    }
}
