//! What comes to subscribers, spoiled.

use fanfare_protocol::Epoch;
use fanfare_tests::checker::{Event, Line, Outcome};
use fanfare_tests::harness::Chance;

use super::answers::is_delivered;
use super::{is_live_message, is_simple, next, place, session};

pub(super) fn drop_live(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |at: usize, event: &Event| {
        is_live_message(event)
            && is_answered(lines, event)
            && is_simple(lines, session(event).unwrap())
            && matches!(next(lines, at), Some((_, Event::Message { .. } | Event::Ping { .. })))
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    lines.remove(at);
    true
}

pub(super) fn drop_replayed(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let is_resumed = |of: u64| {
        lines
            .iter()
            .any(|line| matches!(line.event, Event::Ok { session, resumed: Some(true), .. } if session == of))
    };
    let holds = |at: usize, event: &Event| {
        let Event::Message { session, replay: Some(filter), .. } = event else { return false };
        let next = next(lines, at);
        let goes_on = match next {
            Some((_, Event::Message { replay: Some(next), .. })) => next == filter,
            Some((_, Event::Live { filter: next, .. })) => next == filter,
            _ => false,
        };
        goes_on && is_answered(lines, event) && is_simple(lines, *session) && is_resumed(*session)
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    lines.remove(at);
    true
}

pub(super) fn swap(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let follows = |at: usize| next(lines, at).filter(|(_, event)| is_live_message(event)).map(|(at, _)| at);
    let holds = |at: usize, event: &Event| {
        is_live_message(event) && is_simple(lines, session(event).unwrap()) && follows(at).is_some()
    };
    let Some(at) = place(lines, chance, holds) else { return false };
    let other = follows(at).unwrap();
    let event = lines[at].event.clone();
    lines[at].event = std::mem::replace(&mut lines[other].event, event);
    true
}

pub(super) fn unwrap_replayed(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |_: usize, event: &Event| matches!(event, Event::Message { session, replay: Some(_), .. } if is_simple(lines, *session));
    let Some(at) = place(lines, chance, holds) else { return false };
    if let Event::Message { replay, .. } = &mut lines[at].event {
        *replay = None;
    }
    true
}

pub(super) fn duplicate(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let Some(at) = place(lines, chance, |_, event| matches!(event, Event::Message { .. })) else {
        return false;
    };
    lines.insert(at + 1, lines[at].clone());
    true
}

/// True if a publisher was answered with the message: what is known from a delivery alone can't be missed.
pub(super) fn is_answered(lines: &[Line], event: &Event) -> bool {
    let Event::Message { data: of, .. } = event else { return false };
    lines
        .iter()
        .any(|line| matches!(&line.event, Event::Publish { data, outcome: Outcome::Ok, .. } if data == of))
}

pub(super) fn move_delivery(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |_: usize, event: &Event| is_answered(lines, event);
    let Some(at) = place(lines, chance, holds) else { return false };
    if let Event::Message { position, .. } = &mut lines[at].event {
        position.seq += 1_000_000;
    }
    true
}

pub(super) fn other_life(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let Some(at) = place(lines, chance, |_, event| is_live_message(event)) else { return false };
    if let Event::Message { position, .. } = &mut lines[at].event {
        position.epoch = Epoch { life: 35, ..position.epoch };
    }
    true
}

pub(super) fn invent(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    set_data(lines, chance, |_| "nobody-1".to_owned())
}

fn set_data(lines: &mut [Line], chance: &mut Chance, new: impl Fn(&str) -> String) -> bool {
    let Some(at) = place(lines, chance, |_, event| matches!(event, Event::Message { .. })) else {
        return false;
    };
    if let Event::Message { data, .. } = &mut lines[at].event {
        *data = new(data);
    }
    true
}

pub(super) fn foresee(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let holds = |_: usize, event: &Event| matches!(event, Event::Publish { outcome: Outcome::Ok, data, .. } if is_delivered(lines, data));
    let Some(at) = place(lines, chance, holds) else { return false };
    let (Event::Publish { data: of, .. }, later) = (lines[at].event.clone(), lines.last().unwrap().at + 1)
    else {
        return false;
    };
    for line in lines {
        if let Event::Publish { data, start, end, .. } = &mut line.event
            && *data == of
        {
            (*start, *end) = (later, later);
        }
    }
    true
}

pub(super) fn other_topic(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let topics: Vec<String> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Publish { topic, .. } => Some(topic.clone()),
            _ => None,
        })
        .collect();
    let other = chance.one_of(&topics).clone();
    let holds = |_: usize, event: &Event| matches!(event, Event::Message { topic, .. } if *topic != other);
    let Some(at) = place(lines, chance, holds) else { return false };
    if let Event::Message { topic, .. } = &mut lines[at].event {
        *topic = other;
    }
    true
}

/// Brings a session a true message of a topic that it never followed.
pub(super) fn stray(lines: &mut Vec<Line>, chance: &mut Chance) -> bool {
    let is_narrow = |of: u64| {
        let mut asked = lines.iter().filter_map(|line| match &line.event {
            Event::Subscribe { session, filter, .. } if *session == of => Some(filter),
            _ => None,
        });
        asked.all(|filter| filter.contains('.'))
    };
    let holds =
        |_: usize, event: &Event| matches!(event, Event::Ping { .. }) && is_narrow(session(event).unwrap());
    let Some(at) = place(lines, chance, holds) else { return false };
    let own = session(&lines[at].event).unwrap();
    let followed: Vec<String> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Subscribe { session, filter, .. } if *session == own => Some(filter.clone()),
            _ => None,
        })
        .collect();
    let is_foreign = |topic: &str| {
        !followed.iter().any(|filter| fanfare_protocol::Filter::parse(filter).unwrap().matches(topic))
    };
    let Some(from) = place(
        &lines[..at],
        chance,
        |_, event| matches!(event, Event::Message { topic, .. } if is_foreign(topic)),
    ) else {
        return false;
    };
    let mut line = Line { at: lines[at].at, ..lines[from].clone() };
    if let Event::Message { session, replay, .. } = &mut line.event {
        (*session, *replay) = (own, None);
    }
    lines.insert(at, line);
    true
}
