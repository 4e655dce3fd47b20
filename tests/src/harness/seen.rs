//! What a history has seen, in figures: a run that shows nothing of its fault is no test of it.

mod times;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use fanfare_protocol::Epoch;

use crate::checker::{Event, Line, Outcome};
pub use times::{Spread, Times};

/// How often things happened in one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Publishes that were answered with a position.
    pub published: usize,
    /// Of those, the ones that took 100 ms or longer.
    pub published_late: usize,
    /// Attempts that were refused for certain.
    pub refused: usize,
    /// Attempts whose outcome is unknown.
    pub unknown: usize,
    /// Of those, the ones that a Redis out of reach was the reason for.
    pub unavailable: usize,
    /// Answers that repeated an earlier one.
    pub repeated: usize,
    /// Of those, the ones of a message that was first tried on another node.
    pub repeated_elsewhere: usize,
    /// Subscribes that were answered.
    pub joined: usize,
    /// Of those, the ones without anything of the past.
    pub joined_cleanly: usize,
    /// And the ones that resumed with something missing.
    pub not_resumed: usize,
    /// Subscribes that were refused.
    pub not_joined: usize,
    /// Messages that subscribers got.
    pub received: usize,
    /// Those that the first subscriber got.
    pub received_by_first: usize,
    /// Gaps with a topic.
    pub topic_gaps: usize,
    /// Gaps without one.
    pub null_gaps: usize,
    /// Sessions.
    pub sessions: usize,
    /// Sessions at another node than the one before of the same client.
    pub moved: usize,
    /// Sessions that were closed as too slow, and told so.
    pub too_slow: usize,
    /// Sessions that nodes that lived to the end count as closed for that, be they told or not.
    pub cut_as_slow: u64,
    /// Lives of numbering that nodes showed.
    pub lives: usize,
    /// Faults that were healed.
    pub faults: usize,
    /// Times that a node said that it is not ready.
    pub unready: usize,
    /// Times that nodes lost their Redis, of those that lived to the end.
    pub losses: u64,
    /// Times that a worker of those had no room for what came from others.
    pub falls_behind: u64,
    /// How long things took.
    pub times: Times,
}

/// What must be remembered to count.
#[derive(Debug, Default)]
struct Before<'a> {
    /// The sessions of the first subscriber.
    first: BTreeSet<u64>,
    lives: BTreeSet<Epoch>,
    /// Whether each session asked last for nothing of a filter's past.
    is_clean: HashMap<(u64, &'a str), bool>,
    /// Where each client was.
    node_of: BTreeMap<&'a str, &'a str>,
    /// Where each message was first tried.
    tried_at: HashMap<&'a str, &'a str>,
}

const TOO_SLOW: u16 = 4500;
const LATE_US: u64 = 100_000;

impl Seen {
    /// Counts what is in a history.
    pub fn of(lines: &[Line]) -> Seen {
        let (mut seen, mut before) = (Seen::default(), Before::default());
        for line in lines {
            match &line.event {
                Event::Publish { .. } => seen.count_publish(&line.event, &mut before),
                Event::Open { session, client, node } => {
                    seen.sessions += 1;
                    if client == "s1" {
                        before.first.insert(*session);
                    }
                    let last = before.node_of.insert(client, node);
                    seen.moved += usize::from(last.is_some_and(|last| last != node));
                }
                Event::Subscribe { session, filter, after, last, .. } => {
                    before.is_clean.insert((*session, filter), after.is_none() && last.is_none());
                }
                Event::Ok { session, filter, resumed, .. } => {
                    seen.joined += 1;
                    let is_clean = before.is_clean.get(&(*session, filter.as_str()));
                    seen.joined_cleanly += usize::from(is_clean == Some(&true));
                    seen.not_resumed += usize::from(*resumed == Some(false));
                }
                Event::Refused { .. } => seen.not_joined += 1,
                Event::Message { session, .. } => {
                    seen.received += 1;
                    seen.received_by_first += usize::from(before.first.contains(session));
                }
                Event::Gap { topic: Some(_), .. } => seen.topic_gaps += 1,
                Event::Gap { topic: None, .. } => seen.null_gaps += 1,
                Event::Close { code: Some(TOO_SLOW), .. } => seen.too_slow += 1,
                Event::Node { epoch: Some(epoch), .. } => drop(before.lives.insert(*epoch)),
                Event::Fault { begins: false, .. } => seen.faults += 1,
                Event::Ready { ready: false, .. } => seen.unready += 1,
                Event::Figure { name, value, .. } if name.contains("4500") => seen.cut_as_slow += value,
                Event::Figure { name, value, .. } if name.contains("losses") => seen.losses += value,
                Event::Figure { name, value, .. } if name.contains("behind") => seen.falls_behind += value,
                _ => {}
            }
        }
        seen.lives = before.lives.len();
        seen.times = Times::of(lines);
        seen
    }

    fn count_publish<'a>(&mut self, event: &'a Event, before: &mut Before<'a>) {
        let Event::Publish { node, data, start, end, outcome, repeated, position, why, .. } = event else {
            return;
        };
        self.published += usize::from(*outcome == Outcome::Ok);
        self.published_late += usize::from(*outcome == Outcome::Ok && end - start >= LATE_US);
        self.refused += usize::from(*outcome == Outcome::Refused);
        self.unknown += usize::from(*outcome == Outcome::Unknown);
        self.unavailable += usize::from(why.as_deref() == Some("503 unavailable"));
        self.repeated += usize::from(*repeated);
        let first = *before.tried_at.entry(data).or_insert(node);
        self.repeated_elsewhere += usize::from(*repeated && first != node);
        before.lives.extend(position.map(|position| position.epoch));
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} published", self.published)?;
        write!(f, " ({} late, {} refused, {} unknown", self.published_late, self.refused, self.unknown)?;
        write!(f, ", {} of them unavailable", self.unavailable)?;
        write!(f, ", {} repeated, {} elsewhere)", self.repeated, self.repeated_elsewhere)?;
        write!(f, ", {} joined ({} from then on)", self.joined, self.joined_cleanly)?;
        write!(f, " in {} sessions, {} at another node", self.sessions, self.moved)?;
        write!(
            f,
            " ({} not resumed, {} refused, {} too slow of {})",
            self.not_resumed, self.not_joined, self.too_slow, self.cut_as_slow
        )?;
        write!(f, ", {} received with {} and {} gaps", self.received, self.topic_gaps, self.null_gaps)?;
        write!(f, ", {} lives, {} faults, {} times unready", self.lives, self.faults, self.unready)?;
        write!(f, ", {} times without Redis, {} times behind; {}", self.losses, self.falls_behind, self.times)
    }
}
