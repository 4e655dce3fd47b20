//! The runs with several nodes that a Redis joins.

use super::super::plan::Joined;
use super::{Chance, Fault, Goal, Habits, KEEP_ALL, Plan, SOAK_LENGTH, Scenario, Strike, config, crowd};

/// All of them.
pub(super) const JOINED: &[Scenario] = &[
    Scenario {
        name: "joined-kill",
        about: "one of three nodes is killed, again and again, and its clients resume elsewhere",
        draw: kill,
    },
    Scenario { name: "joined-roll", about: "three nodes are told to stop, one behind the other", draw: roll },
    Scenario {
        name: "joined-upgrade",
        about: "three nodes are replaced one by one by their next version, and then back again",
        draw: upgrade,
    },
    Scenario { name: "joined-freeze", about: "a node is frozen for longer than anybody bears", draw: freeze },
    Scenario { name: "redis-kill", about: "Redis is killed and comes back with its data", draw: redis_kill },
    Scenario { name: "redis-forget", about: "Redis is killed and comes back empty", draw: redis_forget },
    Scenario {
        name: "redis-rewind",
        about: "Redis is killed and comes back without the newest",
        draw: redis_rewind,
    },
    Scenario { name: "redis-freeze", about: "Redis is frozen", draw: redis_freeze },
    Scenario { name: "redis-full", about: "Redis has no memory left for a while", draw: redis_full },
    Scenario { name: "redis-slow", about: "Redis answers after 100 to 300 ms", draw: redis_slow },
    Scenario {
        name: "cut-off",
        about: "a node is cut off from Redis, one way, both, or refused",
        draw: cut_off,
    },
    Scenario { name: "deaf", about: "a node's subscription is stuck, and no error tells", draw: deaf },
    Scenario { name: "joined-retry", about: "publishers lose answers and retry on other nodes", draw: retry },
    Scenario {
        name: "joined-join",
        about: "filters are joined and left on nodes while messages pour in on all",
        draw: join,
    },
    Scenario {
        name: "joined-wild",
        about: "cursors that are none of one's own, on joined nodes",
        draw: wild,
    },
    Scenario {
        name: "joined-flood",
        about: "sixteen publish at one node as fast as they are answered, subscribers are at another",
        draw: flood,
    },
    Scenario {
        name: "joined-narrow",
        about: "the same, where nodes have little room, and the other one is cut off meanwhile",
        draw: narrow,
    },
];

/// How many ends of the numbering's lives are remembered: what is older than those is told as missing.
const LIVES_MAX: u64 = 8;

/// Nodes on one Redis, and publishers that leave the machine some room.
fn joined(plan: Plan, nodes: usize, joined: Joined, length: u64) -> Plan {
    Plan {
        nodes,
        joined: Some(joined),
        subscribers: crowd(|_| {}),
        pace_ms: 8,
        goal: Goal { publishes: 600 * length, ..Goal::default() },
        ..plan
    }
}

/// Faults that meet one node behind the other, beginning anywhere.
fn round(count: u64, fault: Fault, plan: &Plan, chance: &mut Chance, for_ms: (u64, usize)) -> Vec<Strike> {
    let first = chance.below(plan.nodes);
    let strikes = (0..count as usize).map(|number| Strike {
        after_publishes: 50 + chance.below(100) as u64,
        fault,
        node: (first + number) % plan.nodes,
        for_ms: for_ms.0 + chance.below(for_ms.1) as u64,
    });
    strikes.collect()
}

fn kill(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 3, Joined::Forgetful, length);
    let strikes = round(4 * length, Fault::Kill, &plan, chance, (0, 500));
    Plan { strikes, ..plan }
}

fn roll(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 3, Joined::Forgetful, length);
    let strikes = round(3 * length, Fault::Terminate, &plan, chance, (0, 300));
    Plan { strikes, ..plan }
}

fn upgrade(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 3, Joined::Forgetful, length);
    let mut strikes = round(6 * length, Fault::Upgrade, &plan, chance, (0, 300));
    let downgrades = strikes.iter_mut().enumerate().filter(|(number, _)| number / plan.nodes % 2 == 1);
    downgrades.for_each(|(_, strike)| strike.fault = Fault::Downgrade);
    Plan { strikes, answers_lost_once_in: 4, ..plan }
}

/// Longer than a heartbeat and a probe bear; in a soak half a minute.
fn freeze(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let for_ms = if length < SOAK_LENGTH { 5_000 } else { 30_000 };
    let strikes = round(length.min(2), Fault::Freeze, &plan, chance, (for_ms, 500));
    Plan { strikes, ..plan }
}

fn redis_kill(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Persistent, length);
    let strikes = round((2 * length).min(LIVES_MAX), Fault::RedisKill, &plan, chance, (500, 2_000));
    Plan { subscribers: crowd(|habits| habits.cuts_once_in = 100), strikes, ..plan }
}

fn redis_forget(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(2 * length, Fault::RedisKill, &plan, chance, (0, 2_000));
    Plan { subscribers: crowd(|habits| habits.cuts_once_in = 100), strikes, ..plan }
}

fn redis_rewind(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Hasty, length);
    let mut strikes = round((3 * length).min(LIVES_MAX), Fault::RedisRewind, &plan, chance, (0, 1_000));
    // Of what a process that is killed has written nothing is lost: that is for others than Redis.
    strikes.iter_mut().skip(1).step_by(3).for_each(|strike| strike.fault = Fault::RedisKill);
    Plan { subscribers: crowd(|habits| habits.cuts_once_in = 100), strikes, ..plan }
}

fn redis_freeze(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(length, Fault::RedisFreeze, &plan, chance, (1_000, 1_000));
    Plan { strikes, ..plan }
}

fn redis_full(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(3 * length, Fault::RedisFull, &plan, chance, (200, 500));
    Plan { strikes, ..plan }
}

fn redis_slow(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(length, Fault::RedisSlow, &plan, chance, (6_000, 500));
    Plan { strikes, ..plan }
}

fn cut_off(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    const WAYS: [Fault; 4] = [Fault::CutOffIn, Fault::CutOffOut, Fault::CutOff, Fault::Refuse];
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let mut strikes = round(4 * length, Fault::CutOff, &plan, chance, (0, 1_000));
    strikes.iter_mut().zip(WAYS.iter().cycle()).for_each(|(strike, way)| strike.fault = *way);
    Plan { strikes, ..plan }
}

fn deaf(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let node = chance.below(2);
    let mut strikes = round(length, Fault::Deafen, &plan, chance, (0, 500));
    strikes.iter_mut().for_each(|strike| strike.node = node);
    Plan { strikes, subscribe_at: Some(node), ..plan }
}

fn retry(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 3, Joined::Forgetful, length);
    let goal = Goal { repeats: 20 * length, ..plan.goal };
    Plan { answers_lost_once_in: 4, goal, ..plan }
}

fn join(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let subscribers = crowd(|habits| habits.leaves_once_in = 2);
    let clean_joins = if length < SOAK_LENGTH { 1_000 * length } else { 2_000 * length };
    let goal = Goal { clean_joins, ..plan.goal };
    Plan { subscribers, goal, ..plan }
}

fn wild(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let subscribers = crowd(|habits| {
        habits.cuts_once_in = 30;
        habits.leaves_once_in = 30;
        habits.lies_once_in = 2;
    });
    Plan { subscribers, goal: Goal { joins: 300 * length, ..plan.goal }, ..plan }
}

fn flood(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let goal = Goal { publishes: 3_000 * length, ..Goal::default() };
    let (publish_at, subscribe_at) = (Some(0), Some(1));
    Plan { publishers: 16, pace_ms: 0, data_bytes: 1_000, publish_at, subscribe_at, goal, ..plan }
}

/// Two hundred subscribers, in a soak a thousand, on a node that has room for a few messages between its threads,
/// and on a Redis that cuts off who leaves little unread. Some read nothing while more comes than fits on their
/// connections, and for a while the node itself hears nothing.
fn narrow(plan: Plan, _: &mut Chance, length: u64) -> Plan {
    const SLOW: usize = 10;
    let limits =
        "inbox_bytes = \"32KiB\"\nframe_bytes = \"8KiB\"\noutbox_bytes = \"64KiB\"\nwaiting_publishes = 12";
    // Who pauses answers no heartbeat, and is not to be found silent before it is slow.
    let config = config(KEEP_ALL, limits).replace("500ms", "30s");
    let count = if length < SOAK_LENGTH { 200 } else { 1_000 };
    let reader = |number: usize| {
        let topic = plan.topics[number % plan.topics.len()].as_str();
        let is_slow = number < SLOW;
        Habits {
            on_slow: is_slow.then_some(["disconnect", "drop"][number % 2]),
            is_narrow: is_slow,
            pauses_once_in: if is_slow { 40 } else { 0 },
            pause_publishes: 2_000,
            ..Habits::steady(number, &[if is_slow { ">" } else { topic }])
        }
    };
    let strike = |(fault, for_ms)| Strike { after_publishes: 500, fault, node: 1, for_ms };
    let strikes = [(Fault::CutOffOut, 0), (Fault::Freeze, 1_500)];
    let strikes = strikes.into_iter().take(if length < SOAK_LENGTH { 1 } else { 2 });
    Plan {
        nodes: 2,
        joined: Some(Joined::Impatient),
        publish_at: Some(0),
        subscribe_at: Some(1),
        subscribers: (0..count).map(reader).collect(),
        strikes: strikes.map(strike).collect(),
        config,
        publishers: 16,
        pace_ms: 0,
        data_bytes: 3_000,
        goal: Goal { publishes: 3_000, refusals: 1, ..Goal::default() },
        ..plan
    }
}
