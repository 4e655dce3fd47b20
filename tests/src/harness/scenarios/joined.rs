//! The runs with several nodes that a Redis joins.

use super::super::plan::Joined;
use super::{Chance, Fault, Goal, Plan, Scenario, Strike, crowd};

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
];

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

fn freeze(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(length, Fault::Freeze, &plan, chance, (5_000, 500));
    Plan { strikes, ..plan }
}

fn redis_kill(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Persistent, length);
    let strikes = round(2 * length, Fault::RedisKill, &plan, chance, (500, 2_000));
    Plan { subscribers: crowd(|habits| habits.cuts_once_in = 100), strikes, ..plan }
}

fn redis_forget(plan: Plan, chance: &mut Chance, length: u64) -> Plan {
    let plan = joined(plan, 2, Joined::Forgetful, length);
    let strikes = round(2 * length, Fault::RedisKill, &plan, chance, (0, 2_000));
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
    let goal = Goal { joins: 600 * length, ..plan.goal };
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
