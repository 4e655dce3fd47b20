//! How long things took, read from a history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use fanfare_protocol::{Epoch, Position};

use crate::checker::{Event, Line};
use crate::harness::{Fault, Plan};

/// How long it may take until a fault shows.
const NOTICED_MS: u64 = 5_000;
/// How long it may take until a client hears what is new after a fault.
const HEARD_AGAIN_MS: u64 = 10_000;
/// How long it may take 99 of 100 clients to resume elsewhere.
const RESUMED_MS: u64 = 3_000;

/// How long something took each time, in milliseconds; all are 0 if it never happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// How often it happened.
    pub count: usize,
    /// Half of the times it took no longer.
    pub p50_ms: u64,
    /// Of a hundred times it took longer once.
    pub p99_ms: u64,
    /// The longest.
    pub most_ms: u64,
}

/// How long things took in one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From the loss of a connection until all that the client follows is live again, at another node.
    pub resumed_elsewhere: Spread,
    /// From the beginning of a fault until it showed.
    pub noticed: Spread,
    /// From the end of a fault until a client heard something that was numbered since, for each client.
    pub heard_again: Spread,
}

/// A session that is open.
struct Open<'a> {
    client: &'a str,
    node: &'a str,
    /// What it has asked to follow and is not live.
    awaited: BTreeSet<&'a str>,
}

/// The highest seq that anybody had seen of each life.
type Newest = BTreeMap<Epoch, u64>;

#[derive(Default)]
struct Walk<'a> {
    open: BTreeMap<u64, Open<'a>>,
    /// When each client that is away, or not back to all that it follows, lost its connection, and to which node.
    lost: BTreeMap<&'a str, (u64, &'a str)>,
    newest: Newest,
    /// When each fault began that has not shown.
    begun: BTreeMap<&'a str, u64>,
    /// Who has heard nothing new since a fault ended, when that was, and what had been seen by then.
    unheard: BTreeMap<&'a str, (u64, Rc<Newest>)>,
    resumed_us: Vec<u64>,
    noticed_us: Vec<u64>,
    heard_us: Vec<u64>,
}

impl Times {
    /// Reads them from a history.
    pub(super) fn of(lines: &[Line]) -> Times {
        let mut walk = Walk::default();
        lines.iter().for_each(|line| walk.see(line.at, &line.event));
        // Who never heard anything new has waited to the end.
        let end = lines.last().map_or(0, |line| line.at);
        walk.heard_us.extend(walk.unheard.values().map(|(since, _)| end - since));
        Times {
            resumed_elsewhere: Spread::of(walk.resumed_us),
            noticed: Spread::of(walk.noticed_us),
            heard_again: Spread::of(walk.heard_us),
        }
    }
}

impl Times {
    /// What took longer than promised, if anything did.
    pub(in super::super) fn late(&self, plan: &Plan) -> Option<String> {
        // A node that is killed refuses who comes; one that is frozen lets them wait, and without Redis nobody serves.
        let is_served = plan.strikes.iter().all(|strike| {
            matches!(strike.fault, Fault::Kill | Fault::Terminate | Fault::Upgrade | Fault::Downgrade)
        });
        // Who is behind a flood that goes on hears what is old for a while.
        let is_paced = plan.pace_ms > 0;
        let (heard, resumed) = (self.heard_again, self.resumed_elsewhere);
        let took = [
            (true, "faults were noticed", self.noticed, self.noticed.most_ms, NOTICED_MS),
            (is_paced, "clients heard again", heard, heard.most_ms, HEARD_AGAIN_MS),
            (is_served, "clients resumed elsewhere", resumed, resumed.p99_ms, RESUMED_MS),
        ];
        let mut late =
            took.into_iter().filter(|(is_due, _, _, took_ms, most_ms)| *is_due && took_ms > most_ms);
        late.next().map(|(_, what, spread, _, most_ms)| {
            format!("{what} after {spread}, and {most_ms} ms are promised")
        })
    }
}

impl<'a> Walk<'a> {
    fn see(&mut self, at: u64, event: &'a Event) {
        match event {
            Event::Fault { name, begins: true, .. } => _ = self.begun.insert(name, at),
            Event::Noticed { name } => {
                self.noticed_us.extend(self.begun.remove(name.as_str()).map(|since| at - since));
            }
            Event::Fault { begins: false, .. } => {
                let seen = Rc::new(self.newest.clone());
                for client in self.open.values().map(|open| open.client).chain(self.lost.keys().copied()) {
                    self.unheard.entry(client).or_insert((at, seen.clone()));
                }
            }
            Event::Open { session, client, node } => {
                _ = self.open.insert(*session, Open { client, node, awaited: BTreeSet::new() });
            }
            Event::Subscribe { session, filter, .. } => {
                self.open.get_mut(session).into_iter().for_each(|open| _ = open.awaited.insert(filter));
            }
            Event::Ok { session, filter, resumed: None, .. } | Event::Live { session, filter, .. } => {
                self.follow(*session, filter, at);
            }
            Event::Close { session, .. } => {
                let closed = self.open.remove(session);
                closed
                    .into_iter()
                    .for_each(|open| _ = self.lost.entry(open.client).or_insert((at, open.node)));
            }
            Event::Publish { position: Some(position), .. } => self.number(*position),
            Event::Message { session, position, .. }
            | Event::Gap { session, topic: None, to: position, .. } => {
                self.number(*position);
                self.hear(*session, *position, at);
            }
            _ => {}
        }
    }

    fn number(&mut self, position: Position) {
        let newest = self.newest.entry(position.epoch).or_default();
        *newest = position.seq.max(*newest);
    }

    /// A filter is live.
    fn follow(&mut self, session: u64, filter: &str, at: u64) {
        let Some(open) = self.open.get_mut(&session) else { return };
        open.awaited.remove(filter);
        if open.awaited.is_empty()
            && let Some((since, node)) = self.lost.remove(open.client)
            && node != open.node
        {
            self.resumed_us.push(at - since);
        }
    }

    fn hear(&mut self, session: u64, position: Position, at: u64) {
        let Some(client) = self.open.get(&session).map(|open| open.client) else { return };
        let is_new = |seen: &Newest| seen.get(&position.epoch).is_none_or(|seq| position.seq > *seq);
        if self.unheard.get(client).is_some_and(|(_, seen)| is_new(seen)) {
            self.heard_us.extend(self.unheard.remove(client).map(|(since, _)| at - since));
        }
    }
}

impl Spread {
    fn of(mut took_us: Vec<u64>) -> Spread {
        took_us.sort_unstable();
        let at = |hundredths: usize| {
            let rank = (took_us.len() * hundredths).div_ceil(100);
            rank.checked_sub(1).and_then(|index| took_us.get(index)).map_or(0, |us| us / 1_000)
        };
        Spread { count: took_us.len(), p50_ms: at(50), p99_ms: at(99), most_ms: at(100) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { count, p50_ms, p99_ms, most_ms } = self;
        write!(f, "{p50_ms}/{p99_ms}/{most_ms} ms of {count}")
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resumed elsewhere after {}", self.resumed_elsewhere)?;
        write!(f, ", faults noticed after {}, heard again after {}", self.noticed, self.heard_again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of events in JSON, each behind when it was, in milliseconds.
    fn times(lines: &[(u64, &str)]) -> Times {
        let line = |(at_ms, event): &(u64, &str)| {
            let text = format!("{{\"at\":{},\"event\":{event}}}", at_ms * 1_000);
            serde_json::from_str(&text).expect(&text)
        };
        Times::of(&lines.iter().map(line).collect::<Vec<_>>())
    }

    #[test]
    fn a_resume_takes_from_the_first_loss_until_all_filters_are_live_at_another_node() {
        let seen = times(&[
            (0, r#"{"open":{"session":1,"client":"s1","node":"n1"}}"#),
            (10, r#"{"close":{"session":1}}"#),
            (20, r#"{"open":{"session":2,"client":"s1","node":"n2"}}"#),
            (30, r#"{"close":{"session":2}}"#),
            (40, r#"{"open":{"session":3,"client":"s1","node":"n2"}}"#),
            (41, r#"{"subscribe":{"session":3,"filter":"a","after":"0.x:1"}}"#),
            (42, r#"{"subscribe":{"session":3,"filter":"b"}}"#),
            (50, r#"{"ok":{"session":3,"filter":"b","cursor":"0.x:2"}}"#),
            (60, r#"{"live":{"session":3,"filter":"a","cursor":"0.x:2"}}"#),
            (70, r#"{"close":{"session":3}}"#),
            (80, r#"{"open":{"session":4,"client":"s1","node":"n2"}}"#),
            (81, r#"{"subscribe":{"session":4,"filter":"a","after":"0.x:2"}}"#),
            (90, r#"{"live":{"session":4,"filter":"a","cursor":"0.x:2"}}"#),
        ]);
        assert_eq!(seen.resumed_elsewhere, Spread { count: 1, p50_ms: 50, p99_ms: 50, most_ms: 50 });
    }

    #[test]
    fn only_what_was_numbered_since_the_fault_shows_that_a_client_hears_again() {
        let seen = times(&[
            (0, r#"{"open":{"session":1,"client":"s1","node":"n1"}}"#),
            (0, r#"{"open":{"session":2,"client":"s2","node":"n1"}}"#),
            (1, r#"{"message":{"session":1,"topic":"a","position":"0.x:5","data":"p-1"}}"#),
            (10, r#"{"fault":{"name":"cut","begins":true,"severs":true}}"#),
            (15, r#"{"noticed":{"name":"cut"}}"#),
            (20, r#"{"fault":{"name":"cut","begins":false,"severs":true}}"#),
            (21, r#"{"message":{"session":2,"topic":"a","position":"0.x:5","data":"p-1"}}"#),
            (30, r#"{"gap":{"session":1,"from":"0.x:5","to":"0.y:0"}}"#),
            (40, r#"{"ping":{"session":2,"cursor":"0.x:5"}}"#),
        ]);
        assert_eq!(seen.noticed, Spread { count: 1, p50_ms: 5, p99_ms: 5, most_ms: 5 });
        assert_eq!(seen.heard_again, Spread { count: 2, p50_ms: 10, p99_ms: 20, most_ms: 20 });
    }
}
