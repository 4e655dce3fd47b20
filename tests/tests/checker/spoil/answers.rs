//! What publishers and subscribers are answered, spoiled.

use fanfare_protocol::Position;
use fanfare_tests::checker::{Event, Line, Outcome};
use fanfare_tests::harness::Chance;

use super::{is_latest, next, place, session};

pub(super) fn move_answer(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |_: usize, event: &Event| matches!(event, Event::Publish { position: Some(_), .. });
    let (Some(at), Some(from)) = (place(lines, chance, holds), place(lines, chance, holds)) else {
        return false;
    };
    let Event::Publish { position: other, .. } = lines[from].event.clone() else { return false };
    if let Event::Publish { position, .. } = &mut lines[at].event {
        *position = other;
    }
    at != from
}

pub(super) fn exchange_answers(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let of = |event: &Event| match event {
        Event::Publish { position: Some(position), repeated: false, start, end, .. } => {
            Some((*position, *start, *end))
        }
        _ => None,
    };
    let Some(at) = place(lines, chance, |_, event| of(event).is_some()) else { return false };
    let (first, _, end) = of(&lines[at].event).unwrap();
    let later = |_: usize, event: &Event| {
        of(event).is_some_and(|(position, start, _)| start > end && position.epoch == first.epoch)
    };
    let Some(other) = place(lines, chance, later) else { return false };
    let (second, ..) = of(&lines[other].event).unwrap();
    for (at, new) in [(at, second), (other, first)] {
        if let Event::Publish { position, .. } = &mut lines[at].event {
            *position = Some(new);
        }
    }
    true
}

pub(super) fn refuse(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |_: usize, event: &Event| matches!(event, Event::Publish { outcome: Outcome::Ok, data, .. } if is_delivered(lines, data));
    let Some(at) = place(lines, chance, holds) else { return false };
    let Event::Publish { data: of, .. } = lines[at].event.clone() else { return false };
    for line in lines {
        if let Event::Publish { data, outcome, position, .. } = &mut line.event
            && *data == of
        {
            (*outcome, *position) = (Outcome::Refused, None);
        }
    }
    true
}

pub(super) fn is_delivered(lines: &[Line], of: &str) -> bool {
    lines.iter().any(|line| matches!(&line.event, Event::Message { data, .. } if data == of))
}

/// Removes a gap behind which the session goes on in another life.
pub(super) fn remove_null_gap(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        let is_gap = matches!(event, Event::Gap { topic: None, from, to, .. } if from.epoch != to.epoch);
        is_gap
            && matches!(
                next(lines, at),
                Some((_, Event::Message { .. } | Event::Ping { .. } | Event::Live { .. }))
            )
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    lines.remove(at);
    true
}

/// Removes a gap of something that is known to have been published.
pub(super) fn remove_topic_gap(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let is_known = |of: &str, from: &Position, to: &Position| {
        lines.iter().any(|line| {
            matches!(&line.event, Event::Publish { topic, position: Some(position), .. }
                if topic == of && position.seq > from.seq && position.seq <= to.seq)
        })
    };
    let holds = |at: usize, event: &Event| {
        let Event::Gap { session, topic: Some(topic), from, to, .. } = event else { return false };
        let next = next(lines, at);
        let goes_on = matches!(next, Some((_, Event::Message { position, .. })) if position.seq > to.seq)
            || matches!(next, Some((_, Event::Live { .. })));
        goes_on && is_known(topic, from, to) && !is_latest(lines, *session)
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    lines.remove(at);
    true
}

pub(super) fn say_resumed(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        let Event::Ok { filter, resumed: Some(false), .. } = event else { return false };
        let Some((_, Event::Gap { topic: None, from, to, replay, .. })) = next(lines, at) else {
            return false;
        };
        from.epoch != to.epoch && replay.as_ref() == Some(filter)
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    set_resumed(lines, at, true);
    true
}

pub(super) fn say_not_resumed(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        let Event::Ok { session: own, filter, resumed: Some(true), .. } = event else { return false };
        let rest = lines[at..].iter().filter(|line| session(&line.event) == Some(*own));
        let mut own_gaps_and_end = rest.filter_map(|line| match &line.event {
            Event::Gap { .. } | Event::Close { .. } | Event::Unsubscribed { .. } => Some(false),
            Event::Live { filter: live, .. } if live == filter => Some(true),
            _ => None,
        });
        own_gaps_and_end.next() == Some(true)
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    set_resumed(lines, at, false);
    true
}

fn set_resumed(lines: &mut [Line], at: usize, said: bool) {
    if let Event::Ok { resumed, .. } = &mut lines[at].event {
        *resumed = Some(said);
    }
}
