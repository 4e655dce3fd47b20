//! Ends and beginnings, what is kept, and readiness, spoiled.

use std::collections::BTreeSet;

use fanfare_protocol::{Cursor, Epoch, Filter};
use fanfare_tests::checker::{Event, Line, Outcome};
use fanfare_tests::harness::Chance;

use super::deliveries::is_answered;
use super::{is_simple, place, session};

/// Brings a session once more what it had got, behind the end of its only filter.
pub(super) fn late(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let got = |before: usize, own: u64| {
        lines[..before]
            .iter()
            .rev()
            .find(|line| matches!(line.event, Event::Message { session, replay: None, .. } if session == own))
    };
    let ends = |at: usize, event: &Event| {
        let Event::Unsubscribed { session, filter } = event else { return false };
        let is_only = lines.iter().all(|line| {
            !matches!(&line.event, Event::Subscribe { session: other, filter: name, .. }
                if other == session && name != filter)
        });
        is_only && got(at, *session).is_some()
    };
    let Some(at) = place(lines, chance, ends) else { return false };
    let line = got(at, session(&lines[at].event).unwrap()).unwrap();
    lines.insert(at + 1, Line { at: lines[at].at, event: line.event.clone() });
    true
}

pub(super) fn lose(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let answered: BTreeSet<String> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Publish { outcome: Outcome::Ok, data, .. } => Some(data.clone()),
            _ => None,
        })
        .collect();
    let last = last_life(lines);
    let holds = |_: usize, event: &Event| {
        matches!(event, Event::Kept { data, position, .. }
            if answered.contains(data) && Some(position.epoch) == last)
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    let Event::Kept { position: lost, .. } = lines[at].event else { return false };
    lines.retain(|line| !matches!(line.event, Event::Kept { position, .. } if position == lost));
    true
}

/// Makes the outcome of a delivered message unknown, and takes it out of history.
pub(super) fn lose_unanswered(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let last = last_life(lines);
    let kept: BTreeSet<String> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Kept { data, position, .. } if Some(position.epoch) == last => Some(data.clone()),
            _ => None,
        })
        .collect();
    let holds = |_: usize, event: &Event| matches!(event, Event::Message { data, .. } if kept.contains(data));
    let Some(at) = place(lines, chance, holds) else { return false };
    let Event::Message { data: lost, .. } = lines[at].event.clone() else { return false };
    for line in lines.iter_mut() {
        if let Event::Publish { data, outcome, position, .. } = &mut line.event
            && *data == lost
        {
            (*outcome, *position) = (Outcome::Unknown, None);
        }
    }
    lines.retain(|line| !matches!(&line.event, Event::Kept { data, .. } if *data == lost));
    true
}

/// Takes from a session that is open at the end all that came from a message on.
pub(super) fn go_silent(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let quiet = lines.iter().position(|line| matches!(line.event, Event::Quiet {})).unwrap();
    let is_open = |of: u64| {
        let own = lines[..quiet].iter().filter(|line| session(&line.event) == Some(of));
        !own.clone().any(|line| matches!(line.event, Event::Close { .. } | Event::Unsubscribe { .. }))
    };
    let holds = |at: usize, event: &Event| {
        let Event::Message { session: own, replay: None, .. } = event else { return false };
        // A gap further on would tell of what is taken.
        let rest = lines[at..quiet].iter().filter(|line| session(&line.event) == Some(*own));
        at < quiet
            && is_open(*own)
            && is_simple(lines, *own)
            && is_answered(lines, event)
            && !rest.clone().any(|line| matches!(line.event, Event::Gap { .. }))
    };
    let Some(from) = place(lines, chance, holds) else { return false };
    take_rest(lines, from, quiet);
    true
}

/// Takes what the session of the line `from` sent and received from there up to `quiet`.
fn take_rest(lines: &mut Vec<Line>, from: usize, quiet: usize) {
    let own = session(&lines[from].event);
    let mut at = 0;
    lines.retain(|line| {
        at += 1;
        at <= from || at > quiet || session(&line.event) != own
    });
}

/// Takes from a session that is open at the end the end of a replay and all that came after.
pub(super) fn never_live(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let quiet = lines.iter().position(|line| matches!(line.event, Event::Quiet {})).unwrap();
    let stays = |at: usize, of: u64| {
        let mut rest = lines[at..quiet].iter().filter(|line| session(&line.event) == Some(of));
        !rest.any(|line| matches!(line.event, Event::Close { .. } | Event::Unsubscribed { .. }))
    };
    let holds = |at: usize, event: &Event| {
        at < quiet && matches!(event, Event::Live { session, .. } if stays(at, *session))
    };
    let Some(from) = place(lines, chance, holds) else { return false };
    take_rest(lines, from, quiet);
    true
}

/// Moves the start of a subscription below what the only node had answered before.
pub(super) fn begin_low(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let nodes: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Publish { node, .. } => Some(node.as_str()),
            _ => None,
        })
        .collect();
    let answered = |before: usize, cursor: &Cursor| {
        let epoch = cursor.positions()[0].epoch;
        lines[..before].iter().any(|line| {
            matches!(&line.event, Event::Publish { position: Some(position), .. } if position.epoch == epoch)
        })
    };
    let holds = |at: usize, event: &Event| {
        let Event::Ok { session: own, filter, cursor, resumed: None } = event else { return false };
        let asked = lines[..at].iter().rposition(|line| {
            matches!(&line.event, Event::Subscribe { session, filter: asked, .. }
                if session == own && asked == filter)
        });
        asked.is_some_and(|asked| answered(asked, cursor)) && Filter::parse(filter).is_ok()
    };
    let Some(at) = place(lines, chance, holds).filter(|_| nodes.len() == 1) else { return false };
    if let Event::Ok { cursor, .. } = &mut lines[at].event {
        let mut low = cursor.positions()[0];
        low.seq = 0;
        cursor.replace(low);
    }
    true
}

pub(super) fn ready_while_cut(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        let is_cut =
            matches!(lines.get(at + 1).map(|line| &line.event), Some(Event::Fault { begins: false, .. }));
        is_cut && matches!(event, Event::Ready { ready: false, .. })
    };
    let at = place(lines, chance, holds);
    say_ready(lines, at, true)
}

pub(super) fn red_late(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        let before = at.checked_sub(1).map(|before| &lines[before]);
        before.is_some_and(|before| {
            lines[at].at > before.at + 10_000_000 && matches!(before.event, Event::Ready { .. })
        }) && matches!(event, Event::Ready { ready: true, .. })
    };
    let at = place(lines, chance, holds);
    say_ready(lines, at, false)
}

fn say_ready(lines: &mut [Line], at: Option<usize>, said: bool) -> bool {
    let Some(at) = at else { return false };
    if let Event::Ready { ready, .. } = &mut lines[at].event {
        *ready = said;
    }
    true
}

/// The life that goes on when all is read.
fn last_life(lines: &[Line]) -> Option<Epoch> {
    lines.iter().rev().find_map(|line| match line.event {
        Event::ReadEnd { cursor, .. } => Some(cursor.epoch),
        _ => None,
    })
}
