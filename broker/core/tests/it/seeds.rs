//! Which seeds a simulation runs: `SEED=n` that one, `SEEDS=n` so many, `FIRST=n` from that one on.

use std::{env, thread};

/// The one seed that is asked for.
pub(super) fn one() -> Option<u64> {
    number("SEED")
}

/// Runs all seeds that are asked for, else the first `usual`, on all cores.
pub(super) fn run_all(usual: u64, run: impl Fn(u64) + Sync) {
    let first = number("FIRST").unwrap_or(0);
    let end = first + number("SEEDS").unwrap_or(usual);
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    thread::scope(|scope| {
        for thread in 0..threads {
            let run = &run;
            scope.spawn(move || (first + thread..end).step_by(threads as usize).for_each(run));
        }
    });
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}
