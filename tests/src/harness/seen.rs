//! What a history has seen, in figures: a run that shows nothing of its fault is no test of it.

use std::fmt;

use crate::checker::{Event, Line, Outcome};

/// How often things happened in one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Publishes that were answered with a position.
    pub published: usize,
    /// Attempts that were refused for certain.
    pub refused: usize,
    /// Attempts whose outcome is unknown.
    pub unknown: usize,
    /// Answers that repeated an earlier one.
    pub repeated: usize,
    /// Subscribes that were answered.
    pub joined: usize,
    /// Of those, the ones that resumed with something missing.
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
    /// Sessions that were closed as too slow.
    pub too_slow: usize,
    /// Lives of numbering that nodes showed.
    pub lives: usize,
}

const TOO_SLOW: u16 = 4500;

impl Seen {
    /// Counts what is in a history.
    pub fn of(lines: &[Line]) -> Seen {
        let mut seen = Seen::default();
        let mut first = Vec::new();
        for line in lines {
            match &line.event {
                Event::Publish { outcome, repeated, .. } => {
                    seen.published += usize::from(*outcome == Outcome::Ok);
                    seen.refused += usize::from(*outcome == Outcome::Refused);
                    seen.unknown += usize::from(*outcome == Outcome::Unknown);
                    seen.repeated += usize::from(*repeated);
                }
                Event::Open { session, client, .. } => {
                    seen.sessions += 1;
                    first.extend((client == "s1").then_some(*session));
                }
                Event::Ok { resumed, .. } => {
                    seen.joined += 1;
                    seen.not_resumed += usize::from(*resumed == Some(false));
                }
                Event::Refused { .. } => seen.not_joined += 1,
                Event::Message { session, .. } => {
                    seen.received += 1;
                    seen.received_by_first += usize::from(first.contains(session));
                }
                Event::Gap { topic: Some(_), .. } => seen.topic_gaps += 1,
                Event::Gap { topic: None, .. } => seen.null_gaps += 1,
                Event::Close { code: Some(TOO_SLOW), .. } => seen.too_slow += 1,
                Event::Node { epoch: Some(_), .. } => seen.lives += 1,
                _ => {}
            }
        }
        seen
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} published", self.published)?;
        write!(f, " ({} refused, {} unknown, {} repeated)", self.refused, self.unknown, self.repeated)?;
        write!(f, ", {} joined in {} sessions", self.joined, self.sessions)?;
        write!(
            f,
            " ({} not resumed, {} refused, {} too slow)",
            self.not_resumed, self.not_joined, self.too_slow
        )?;
        write!(f, ", {} received with {} and {} gaps", self.received, self.topic_gaps, self.null_gaps)?;
        write!(f, ", {} lives", self.lives)
    }
}
