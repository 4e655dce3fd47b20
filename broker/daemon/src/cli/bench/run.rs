//! One run from its first connection to its figures.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::crowd::{Board, Share, follow};
use super::figures::Figures;
use super::follower::Tally;
use super::latencies::Latencies;
use super::plan::Plan;
use super::publishing::{Answers, Schedule, publish};
use super::report::{Percentiles, Report, grouped};

/// Connections that warm the broker up before its memory is looked at.
const WARM_UP: usize = 100;
/// Fewer than this say nothing of the memory of one.
const MEASURED_MIN: usize = 200;
/// Less CPU than this is within what clocks round to.
const CPU_MIN_S: f64 = 0.1;
/// Time for the broker to come to rest before it is looked at.
const REST: Duration = Duration::from_millis(500);
/// How long nothing may come before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the counts are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Descriptors of a process besides its connections.
const OTHER_DESCRIPTORS: u64 = 32;

/// What the memory of the broker was before and after most connections were made.
struct Memory {
    before: Figures,
    after: Figures,
    connections: usize,
}

/// Runs the plan.
pub(super) fn run(plan: &Plan) -> anyhow::Result<Report> {
    raise_descriptors(plan)?;
    let (board, begun) = (Board::default(), Instant::now());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let of = threads.saturating_sub(1).clamp(1, 8).min(plan.subscribers);
        let board = &board;
        let crowds: Vec<_> = (0..of)
            .map(|index| scope.spawn(move || follow(plan, Share { index, of }, begun, board)))
            .collect();
        let measured = measure(scope, plan, board, begun);
        board.end();
        let joined = crowds.into_iter().map(|crowd| crowd.join().expect("a crowd does not panic"));
        // A crowd's own error is nearer to the cause than what follows from it.
        let tallies = joined.collect::<anyhow::Result<Vec<Tally>>>()?;
        let (memory, outcome) = measured?;
        Ok(outcome.report(plan, &memory, &tallies))
    })
}

fn measure<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    plan: &'env Plan,
    board: &'env Board,
    begun: Instant,
) -> anyhow::Result<(Memory, Outcome)> {
    let warm_up = WARM_UP.min(plan.subscribers / 2);
    subscribe(board, warm_up, plan)?;
    board.is_over_within(REST);
    let before = Figures::read(plan);
    subscribe(board, plan.subscribers, plan)?;
    board.is_over_within(REST);
    let after = Figures::read(plan);
    let memory = Memory { before, after, connections: plan.subscribers - warm_up };
    let schedule = Arc::new(Schedule { begun, first: Instant::now(), taken: AtomicU64::new(0) });
    let spawn = |schedule: Arc<Schedule>| scope.spawn(move || publish(plan, &schedule, board));
    let publishers: Vec<_> = (0..plan.publishers).map(|_| spawn(schedule.clone())).collect();
    watch(plan, board, schedule.first, || publishers.iter().all(|publisher| publisher.is_finished()));
    let joined =
        publishers.into_iter().map(|publisher| publisher.join().expect("a publisher does not panic"));
    let answers = joined.collect::<anyhow::Result<Vec<Answers>>>()?;
    let last = await_rest(plan, board, &answers);
    let seconds = (last - schedule.first).as_secs_f64();
    Ok((memory, Outcome { answers, seconds, idle: after, used: Figures::read(plan) }))
}

/// Waits until so many have subscribed.
fn subscribe(board: &Board, goal: usize, plan: &Plan) -> anyhow::Result<()> {
    board.goal.store(goal, Ordering::Relaxed);
    let mut progress = Progress::new();
    let (mut newest, mut newest_at) = (0, Instant::now());
    loop {
        let subscribed = board.subscribed.load(Ordering::Relaxed);
        if subscribed >= goal {
            return Ok(());
        }
        ensure!(
            board.cuts.load(Ordering::Relaxed) == 0,
            "after {subscribed} subscribers a connection was cut"
        );
        if subscribed > newest {
            (newest, newest_at) = (subscribed, Instant::now());
        }
        if newest_at.elapsed() > PATIENCE {
            bail!("no more than {subscribed} of {} could subscribe", plan.subscribers);
        }
        progress.tell(|_| {
            format!("{} of {} subscribers", grouped(subscribed as u64), grouped(plan.subscribers as u64))
        });
        ensure!(!board.is_over_within(LOOK), "the subscribers gave up");
    }
}

/// Tells how it goes until it is over.
fn watch(plan: &Plan, board: &Board, first: Instant, is_over: impl Fn() -> bool) {
    let mut progress = Progress::new();
    let mut told = board.messages.load(Ordering::Relaxed);
    while !is_over() {
        progress.tell(|since| {
            let messages = board.messages.load(Ordering::Relaxed);
            let per_s = (messages - told) as f64 / since.as_secs_f64();
            told = messages;
            let (at, of) = (first.elapsed().as_secs(), plan.time.as_secs());
            format!("{at} of {of} s, {} deliveries/s", grouped(per_s as u64))
        });
        if board.is_over_within(LOOK) {
            break;
        }
    }
}

/// Waits for what is still to come; when the last of it came.
fn await_rest(plan: &Plan, board: &Board, answers: &[Answers]) -> Instant {
    let due = due(plan, answers);
    let (mut newest, mut newest_at) = (board.messages.load(Ordering::Relaxed), Instant::now());
    while newest < due && newest_at.elapsed() < PATIENCE {
        if board.is_over_within(LOOK) {
            break;
        }
        let messages = board.messages.load(Ordering::Relaxed);
        if messages > newest {
            (newest, newest_at) = (messages, Instant::now());
        }
    }
    newest_at
}

/// How many deliveries the accepted messages make.
fn due(plan: &Plan, answers: &[Answers]) -> u64 {
    let of_topic = |topic: usize| answers.iter().map(|answers| answers.accepted_by_topic[topic]).sum::<u64>();
    (0..plan.topics).map(|topic| of_topic(topic) * plan.subscribers_of(topic)).sum()
}

/// What publishing has come to.
struct Outcome {
    answers: Vec<Answers>,
    seconds: f64,
    idle: Figures,
    used: Figures,
}

impl Outcome {
    fn report(self, plan: &Plan, memory: &Memory, tallies: &[Tally]) -> Report {
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let (mut latencies, mut answered) = (Latencies::default(), Latencies::default());
        tallies.iter().for_each(|tally| latencies.merge(&tally.latencies));
        self.answers.iter().for_each(|answers| answered.merge(&answers.latencies));
        let published: u64 = self.answers.iter().flat_map(|answers| &answers.accepted_by_topic).sum();
        let deliveries = sum(|tally| tally.messages);
        let mut refusals = self.answers.iter().filter_map(|answers| answers.refusal.clone());
        let mut troubles = tallies.iter().filter_map(|tally| tally.trouble.clone());
        Report {
            url: format!("http://{}", plan.authority),
            encoding: plan.encoding.subprotocol().rsplit('.').next().unwrap_or_default(),
            subscribers: plan.subscribers,
            topics: plan.topics,
            publishers: plan.publishers,
            batch: plan.batch,
            rate: plan.rate,
            seconds: self.seconds,
            published,
            published_per_s: published as f64 / self.seconds,
            refused: self.answers.iter().map(|answers| answers.refused).sum(),
            late: self.answers.iter().map(|answers| answers.late).sum(),
            deliveries,
            deliveries_per_s: deliveries as f64 / self.seconds,
            missing: due(plan, &self.answers).saturating_sub(deliveries),
            gaps: sum(|tally| tally.gaps),
            cuts: sum(|tally| tally.cuts),
            latency_ms: percentiles(&latencies),
            answer_ms: percentiles(&answered),
            server_cpu_us_per_delivery: cpu_us_per_delivery(self.idle, self.used),
            server_memory_bytes_per_connection: memory.bytes_per_connection(),
            trouble: troubles.next().or_else(|| refusals.next()),
        }
    }
}

impl Memory {
    fn bytes_per_connection(&self) -> Option<f64> {
        let grown = self.after.resident_bytes? - self.before.resident_bytes?;
        (self.connections >= MEASURED_MIN && grown > 0.0).then(|| grown / self.connections as f64)
    }
}

fn cpu_us_per_delivery(before: Figures, after: Figures) -> Option<f64> {
    let cpu_s = after.cpu_s? - before.cpu_s?;
    let deliveries = after.deliveries? - before.deliveries?;
    (cpu_s >= CPU_MIN_S && deliveries > 0.0).then(|| cpu_s * 1e6 / deliveries)
}

fn percentiles(latencies: &Latencies) -> Percentiles {
    let ms = |share| latencies.within(share).map(|time| time.as_micros() as f64 / 1e3);
    Percentiles { p50: ms(0.5), p99: ms(0.99), p99_9: ms(0.999), max: ms(1.0) }
}

fn raise_descriptors(plan: &Plan) -> anyhow::Result<()> {
    let needed = (plan.subscribers + plan.publishers) as u64 + OTHER_DESCRIPTORS;
    let limit = rlimit::increase_nofile_limit(needed).context("the limit of file descriptors")?;
    ensure!(
        limit >= needed,
        "{} subscribers need {needed} file descriptors, the limit is {limit}: raise it with `ulimit -n`, or run several",
        plan.subscribers
    );
    Ok(())
}

/// A line on standard error, written anew every second.
struct Progress {
    told: Instant,
    is_terminal: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { told: Instant::now(), is_terminal: std::io::stderr().is_terminal() }
    }

    fn tell(&mut self, line: impl FnOnce(Duration) -> String) {
        let since = self.told.elapsed();
        if since < Duration::from_secs(1) {
            return;
        }
        self.told = Instant::now();
        let line = line(since);
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
        // It is only for show.
        drop(std::io::stderr().flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
