//! The runs that there are, by name; each is drawn from a seed and has a length.

mod joined;

use super::chance::Chance;
use super::faults::Fault;
use super::plan::{Goal, Habits, Plan, Strike};

/// A named kind of run.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, for people.
    pub about: &'static str,
    draw: fn(Plan, &mut Chance, u64) -> Plan,
}

/// All runs with one node, in memory.
const ALONE: &[Scenario] = &[
    Scenario { name: "calm", about: "nothing goes wrong", draw: calm },
    Scenario { name: "kill", about: "a node is killed and comes back empty, again and again", draw: kill },
    Scenario { name: "roll", about: "a node is told to stop and another comes, again and again", draw: roll },
    Scenario { name: "freeze", about: "a node is frozen for longer than heartbeats bear", draw: freeze },
    Scenario {
        name: "cuts",
        about: "clients are cut off and come back, and publishers lose answers",
        draw: cuts,
    },
    Scenario { name: "trim", about: "history is too short for those who come back late", draw: trim },
    Scenario { name: "join", about: "filters are joined and left while messages pour in", draw: join },
    Scenario {
        name: "wild",
        about: "cursors are old, of the future, of another broker, or garbage",
        draw: wild,
    },
    Scenario { name: "slow", about: "readers that can't keep up are disconnected and come back", draw: slow },
    Scenario { name: "drop", about: "readers that can't keep up ask to drop the oldest", draw: drop_oldest },
    Scenario {
        name: "latest",
        about: "readers that can't keep up get the newest of each topic",
        draw: latest,
    },
    Scenario { name: "flood", about: "publishers are faster than the broker may take", draw: flood },
];

/// All runs.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    ALONE.iter().chain(joined::JOINED)
}

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    scenarios().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The plan of this seed; `length` times as long as the shortest.
    pub fn plan(&self, seed: u64, length: u64) -> Plan {
        let mut chance = Chance::of(seed);
        let plan = Plan {
            name: self.name,
            seed,
            nodes: 1,
            joined: None,
            publish_at: None,
            subscribe_at: None,
            config: config(KEEP_ALL, ""),
            keeps_all: true,
            topics: (0..12).map(|n| format!("t.{}.{n}", n % 3)).collect(),
            publishers: 3,
            pace_ms: 2,
            data_bytes: 0,
            answers_lost_once_in: 0,
            subscribers: Vec::new(),
            strikes: Vec::new(),
            goal: Goal { publishes: 1_500 * length, ..Goal::default() },
        };
        (self.draw)(plan, &mut chance, length)
    }
}

/// How many times longer than the shortest a run of a soak is.
pub const SOAK_LENGTH: u64 = 5;

const KEEP_ALL: &str = "filter = \">\"\nhistory = { count = 1000000, age = \"1h\" }";

fn config(rule: &str, limits: &str) -> String {
    format!(
        "heartbeat = \"500ms\"\n[limits]\nrequests_per_s = 1000000\nidempotency_keys = 10000000\nhistory_bytes = \"64GiB\"\n{limits}\n\
         [drain]\nspread = \"200ms\"\nreconnect = \"100ms\"\n[[topics]]\n{rule}\n"
    )
}

/// Five subscribers: one topic, wildcards, everything, filters that overlap.
fn crowd(change: impl Fn(&mut Habits)) -> Vec<Habits> {
    let filters: [&[&str]; 5] =
        [&[">"], &["t.0.*"], &["t.1.1", "t.2.2"], &["t.*.3", "t.0.>", "t.0.0"], &["t.2.*", ">"]];
    let mut crowd: Vec<Habits> =
        filters.iter().enumerate().map(|(number, filters)| Habits::steady(number, filters)).collect();
    crowd.iter_mut().for_each(change);
    crowd
}

fn strikes(count: u64, fault: Fault, chance: &mut Chance, for_ms: (u64, usize)) -> Vec<Strike> {
    (0..count)
        .map(|_| Strike {
            after_publishes: 100 + chance.below(300) as u64,
            fault,
            node: 0,
            for_ms: for_ms.0 + chance.below(for_ms.1) as u64,
        })
        .collect()
}

fn calm(plan: Plan, _: &mut Chance, _: u64) -> Plan {
    let mut subscribers = crowd(|_| {});
    subscribers[1].last = Some(5);
    Plan { subscribers, ..plan }
}

fn kill(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let strikes = strikes(4 * length, Fault::Kill, chance, (0, 200));
    Plan { subscribers: crowd(|habits| habits.cuts_once_in = 2_000), strikes, ..plan }
}

fn roll(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    Plan {
        subscribers: crowd(|_| {}),
        strikes: strikes(3 * length, Fault::Terminate, chance, (0, 100)),
        ..plan
    }
}

fn freeze(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    Plan {
        subscribers: crowd(|_| {}),
        strikes: strikes(2 * length, Fault::Freeze, chance, (500, 1_500)),
        ..plan
    }
}

fn cuts(plan: Plan, _: &mut Chance, _: u64) -> Plan {
    let subscribers = crowd(|habits| {
        habits.cuts_once_in = 60;
        habits.last = Some(3);
    });
    let goal = Goal { repeats: 1, ..plan.goal };
    Plan { subscribers, answers_lost_once_in: 10, goal, ..plan }
}

fn trim(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let subscribers = crowd(|habits| {
        habits.cuts_once_in = 150;
        habits.pauses_once_in = 40;
        habits.pause_publishes = 100;
        habits.lies_once_in = 3;
    });
    let config = config("filter = \">\"\nhistory = { count = 8 }", "");
    let goal = Goal { publishes: 4_000 * length, ..Goal::default() };
    Plan { subscribers, config, keeps_all: false, goal, pace_ms: 0, ..plan }
}

fn join(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let subscribers = crowd(|habits| habits.leaves_once_in = 2);
    Plan {
        subscribers,
        goal: Goal { publishes: 1_000, clean_joins: 2_000 * length, ..Goal::default() },
        pace_ms: 1,
        ..plan
    }
}

fn wild(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let subscribers = crowd(|habits| {
        habits.cuts_once_in = 30;
        habits.leaves_once_in = 30;
        habits.lies_once_in = 2;
    });
    Plan {
        subscribers,
        goal: Goal { publishes: 1_000 * length, joins: 500 * length, ..Goal::default() },
        ..plan
    }
}

/// Readers on whose connections little fits, and who pause until more was published than fits anywhere.
fn slow_readers(plan: Plan, length: u64, change: impl Fn(&mut Habits)) -> Plan {
    let subscribers = crowd(|habits| {
        habits.is_narrow = true;
        habits.pauses_once_in = 80;
        habits.pause_publishes = 1_500;
        change(habits);
    });
    let limits = "outbox_bytes = \"64KiB\"\nframe_bytes = \"16KiB\"";
    // Who pauses answers no heartbeat, and is not to be found silent before it is slow.
    let config = config(KEEP_ALL, limits).replace("500ms", "5s");
    let goal = Goal { publishes: 6_000 * length, ..Goal::default() };
    Plan { subscribers, config, data_bytes: 8_000, pace_ms: 0, goal, ..plan }
}

fn slow(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    slow_readers(plan, length, |_| {})
}

fn drop_oldest(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    slow_readers(plan, length, |habits| habits.on_slow = Some("drop"))
}

fn latest(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    slow_readers(plan, length, |habits| {
        habits.on_slow = Some("latest");
        habits.latest = true;
    })
}

fn flood(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let limits =
        "inbox_bytes = \"32KiB\"\nframe_bytes = \"8KiB\"\npublish_wait = \"2ms\"\nwaiting_publishes = 8";
    let config = config(KEEP_ALL, limits);
    let goal = Goal { publishes: 8_000 * length, refusals: 1, ..Goal::default() };
    Plan { subscribers: crowd(|_| {}), config, publishers: 16, pace_ms: 0, data_bytes: 3_000, goal, ..plan }
}
