//! Nodes joined by a backplane that loses, delays, restarts, fails over and splits: whatever happens, every client gets
//! what it follows or is told what it misses.
//!
//! `SEEDS=n` runs that many seeds, `SEED=n` one seed with all that happens written out.

mod client;
mod followed;
mod node;
mod redis;
mod steps;
mod world;

use std::{env, thread};

use self::world::World;

struct Place {
    seed: u64,
    step: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {} of the cluster failed at step {}", self.seed, self.step);
        }
    }
}

#[test]
fn whatever_happens_to_the_backplane_nobody_misses_anything_silently() {
    let number =
        |name: &str| env::var(name).ok().map(|number| number.parse::<u64>().expect("it is a number"));
    if let Some(seed) = number("SEED") {
        return run(seed);
    }
    let seeds = number("SEEDS").unwrap_or(200);
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || (first..seeds).step_by(threads as usize).for_each(run));
        }
    });
}

#[test]
fn what_was_held_back_in_a_doubt_is_applied_after_it() {
    run(54);
}

#[test]
fn what_lies_above_the_end_of_a_life_is_not_replayed() {
    run(201);
}

#[test]
fn a_read_brings_nothing_that_is_still_on_its_way() {
    run(280);
}

fn run(seed: u64) {
    let mut place = Place { seed, step: 0 };
    let mut world = World::new(seed, env::var("SEED").is_ok());
    for step in 0..world.steps {
        place.step = step;
        world.step();
    }
    place.step = usize::MAX;
    world.come_to_rest();
}
