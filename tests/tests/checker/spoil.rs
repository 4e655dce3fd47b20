//! Ways to spoil a good history, each with the name under which it must be found.

mod answers;
mod deliveries;
mod ends;

use fanfare_tests::checker::{Claim, Event, Line};
use fanfare_tests::harness::Chance;

use answers::*;
use deliveries::*;
use ends::*;

/// One way; it answers false where the history has no place for it.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) claim: Claim,
    pub(crate) spoil: fn(&mut Vec<Line>, &mut Chance) -> bool,
}

pub(crate) const WAYS: &[Way] = &[
    Way { name: "drop a live message", claim: Claim::SilentGap, spoil: drop_live },
    Way { name: "drop a message of a resume", claim: Claim::FalseRecovered, spoil: drop_replayed },
    Way { name: "swap two messages", claim: Claim::Reordered, spoil: swap },
    Way { name: "a replayed message comes live", claim: Claim::Reordered, spoil: unwrap_replayed },
    Way { name: "deliver a message twice", claim: Claim::Duplicate, spoil: duplicate },
    Way { name: "move a delivery", claim: Claim::OneMessageAtTwoPositions, spoil: move_delivery },
    Way { name: "move an answer", claim: Claim::TwoMessagesAtOnePosition, spoil: move_answer },
    Way { name: "exchange two answers", claim: Claim::SeqWentBack, spoil: exchange_answers },
    Way { name: "go to another life", claim: Claim::SilentEpochChange, spoil: other_life },
    Way { name: "remove a gap into another life", claim: Claim::SilentEpochChange, spoil: remove_null_gap },
    Way { name: "remove a topic's gap", claim: Claim::SilentGap, spoil: remove_topic_gap },
    Way { name: "say resumed", claim: Claim::FalseRecovered, spoil: say_resumed },
    Way { name: "say not resumed", claim: Claim::UnexplainedLoss, spoil: say_not_resumed },
    Way { name: "invent a message", claim: Claim::Phantom, spoil: invent },
    Way { name: "refuse what was delivered", claim: Claim::Phantom, spoil: refuse },
    Way { name: "deliver before the publish", claim: Claim::Phantom, spoil: foresee },
    Way { name: "another topic", claim: Claim::WrongTopic, spoil: other_topic },
    Way { name: "a topic that nobody follows", claim: Claim::WrongTopic, spoil: stray },
    Way { name: "deliver after an unsubscribe", claim: Claim::DeliveredAfterUnsubscribe, spoil: late },
    Way { name: "lose a write", claim: Claim::LostWrite, spoil: lose },
    Way { name: "lose what nobody was answered", claim: Claim::Ghost, spoil: lose_unanswered },
    Way { name: "go silent", claim: Claim::Stuck, spoil: go_silent },
    Way { name: "never go live", claim: Claim::Stuck, spoil: never_live },
    Way { name: "begin too low", claim: Claim::StaleJoin, spoil: begin_low },
    Way { name: "ready while cut off", claim: Claim::ReadinessLie, spoil: ready_while_cut },
    Way { name: "not ready when all is well", claim: Claim::ReadinessLie, spoil: red_late },
];

/// A place in the history for which this holds.
fn place(lines: &[Line], chance: &mut Chance, holds: impl Fn(usize, &Event) -> bool) -> Option<usize> {
    let start = chance.below(lines.len());
    let mut places = (start..lines.len()).chain(0..start);
    places.find(|at| holds(*at, &lines[*at].event))
}

/// The session of what a session's client sent or received.
fn session(event: &Event) -> Option<u64> {
    match event {
        Event::Open { session, .. }
        | Event::Subscribe { session, .. }
        | Event::Ok { session, .. }
        | Event::Refused { session, .. }
        | Event::Message { session, .. }
        | Event::Gap { session, .. }
        | Event::Live { session, .. }
        | Event::Ping { session, .. }
        | Event::Unsubscribe { session, .. }
        | Event::Unsubscribed { session, .. }
        | Event::Close { session, .. } => Some(*session),
        _ => None,
    }
}

/// The next event of the same session, with its place.
fn next(lines: &[Line], at: usize) -> Option<(usize, &Event)> {
    let own = session(&lines[at].event)?;
    let mut rest = lines.iter().enumerate().skip(at + 1);
    rest.find(|(_, line)| session(&line.event) == Some(own)).map(|(at, line)| (at, &line.event))
}

/// True if the session asked to be given only the newest.
fn is_latest(lines: &[Line], of: u64) -> bool {
    lines
        .iter()
        .any(|line| matches!(line.event, Event::Subscribe { session, latest: true, .. } if session == of))
}

/// True if the session follows one filter, so that all its live messages are of that.
fn is_simple(lines: &[Line], of: u64) -> bool {
    let asked =
        lines.iter().filter(|line| matches!(line.event, Event::Subscribe { session, .. } if session == of));
    asked.count() == 1 && !is_latest(lines, of)
}

fn is_live_message(event: &Event) -> bool {
    matches!(event, Event::Message { replay: None, .. })
}
