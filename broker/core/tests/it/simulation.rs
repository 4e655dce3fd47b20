//! Random orders of everything that can happen to the core, beside a slow and obvious model of what must come of it.
//!
//! `SEEDS=n` runs that many seeds, `FIRST=n` from that one on, `SEED=n` one with all that happens written out.

mod actions;
mod gaps;
mod model;
mod publishing;
mod settings;
mod settling;
mod steps;
mod world;

use std::env;

use fanfare_protocol::Filter;

use self::settings::Settings;
use self::steps::STEPS;
use self::world::{WORKERS, World};
use super::chance::Chance;
use super::followed::State;
use super::seeds;

/// Names the seed and step if what it lives in fails.
struct Place {
    seed: u64,
    step: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed at step {}", self.seed, self.step);
        }
    }
}

#[test]
fn every_filter_gets_all_of_its_messages_or_is_told_where_the_hole_is() {
    match seeds::one() {
        Some(seed) => run(seed),
        None => seeds::run_all(1_000, run),
    }
}

/// Gaps came all at once, so that they alone filled a small outbox, and move no cursor: the client came back for ever.
#[test]
fn more_gaps_than_an_outbox_holds_do_not_close_it_again_and_again() {
    run(7_326);
}

fn run(seed: u64) {
    let mut place = Place { seed, step: 0 };
    let mut chance = Chance::new(seed);
    let settings = Settings::draw(&mut chance);
    let mut world = World::new(chance, settings);
    world.traced = env::var("SEED").is_ok();
    world.trace(|| format!("{:?}", world.settings));
    for step in 0..world.settings.steps {
        place.step = step;
        let Some(index) = world.chance.weighed(&world.settings.weights) else { return };
        world.trace(|| format!("step {step}: {}", STEPS[index].name));
        world.model.waiting_before = world.model.waiting.len();
        (STEPS[index].run)(&mut world);
        world.settle();
    }
    place.step = usize::MAX;
    world.come_to_rest();
}

impl World {
    /// All that is wanted arrives in the end.
    fn come_to_rest(&mut self) {
        self.check_topics();
        for link in std::mem::take(&mut self.abandoned) {
            self.driven.remove(&link);
        }
        for _ in 0..6 {
            self.exchange_all();
            if self.has_arrived() {
                break;
            }
            let heartbeat_ms = self.settings.limits.heartbeat_ms;
            self.pass_time(heartbeat_ms);
        }
        assert!(self.has_arrived(), "every filter is live and has its cursor at the top in the end");
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        links.for_each(|link| assert!(link.asked.is_empty(), "all is answered in the end: {:?}", link.asked));
        for index in 0..self.readers.len() {
            self.readers
                .retain(|reader| reader.cursor.is_some_and(|cursor| cursor.epoch == self.model.epoch()));
            for _ in 0.. {
                if index >= self.readers.len() || !self.read_history(index, 3) {
                    break;
                }
            }
        }
        for poll in &self.polls {
            let mut new = self.model.facts.between(poll.from, self.model.top());
            let has_new = new.any(|fact| poll.filters.matches(fact.topic.as_str()));
            assert!(poll.is_ready.get() || !has_new, "a long poll ends with the next message");
        }
    }

    fn exchange_all(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            for client in 0..self.clients.len() {
                if self.clients[client].link.is_none() {
                    self.connect(client);
                    idle = false;
                }
                if let Some(filter) = self.clients[client].away().first().cloned() {
                    self.subscribe_at_rest(client, &filter);
                    idle = false;
                }
                while self.read(client, 1) {
                    idle = false;
                }
                self.settle();
            }
            for worker in 0..WORKERS {
                idle &= !self.driven.workers[worker].has_dirty();
                self.write_dirty(worker, usize::MAX);
                idle &= !self.driven.deliver(self.now(), worker) & !self.driven.workers[worker].has_dirty();
            }
            self.settle();
            if idle {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn subscribe_at_rest(&mut self, client: usize, filter: &Filter) {
        self.subscribe(client, filter);
        self.settle();
    }

    fn has_arrived(&self) -> bool {
        let top = Some(self.model.top());
        let mut followed = self.clients.iter().flat_map(|client| client.followed.values());
        followed.all(|followed| followed.state == State::Live && followed.cursor == top)
    }
}
