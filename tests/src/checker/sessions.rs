//! Every session, walked line by line.

use std::collections::BTreeMap;

use fanfare_protocol::{Cursor, Filter, Position};

use super::facts::Facts;
use super::following::{Context, Following, Stage};
use super::path::Paths;
use super::{Claim, Event, Numbered, Report};

/// What one connection follows.
#[derive(Debug, Default)]
struct Session {
    who: String,
    node: String,
    by_filter: BTreeMap<String, Following>,
    /// What it followed once, and the line that ended it.
    ended: Vec<(Filter, usize)>,
}

pub(super) fn check(lines: &[Numbered], facts: &Facts, report: &mut Report) {
    let mut paths = Paths::of(facts);
    let mut sessions: BTreeMap<u64, Session> = BTreeMap::new();
    for line in lines {
        let context =
            Context { facts, paths: &mut paths, report: &mut *report, line: line.number, at: line.at };
        step(&line.event, &mut sessions, context);
    }
}

fn step(event: &Event, sessions: &mut BTreeMap<u64, Session>, mut context: Context<'_, '_>) {
    match event {
        Event::Open { session, client, node } => {
            let who = format!("{client} (session {session} at {node})");
            sessions.insert(*session, Session { who, node: node.clone(), ..Session::default() });
        }
        Event::Close { session, .. } => drop(sessions.remove(session)),
        Event::Quiet {} => {
            let all = sessions.values_mut().flat_map(|session| session.by_filter.values_mut());
            all.for_each(|following| following.quiet(&mut context));
        }
        Event::Subscribe { session, .. }
        | Event::Ok { session, .. }
        | Event::Refused { session, .. }
        | Event::Message { session, .. }
        | Event::Gap { session, .. }
        | Event::Live { session, .. }
        | Event::Ping { session, .. }
        | Event::Unsubscribe { session, .. }
        | Event::Unsubscribed { session, .. } => match sessions.get_mut(session) {
            Some(session) => session.step(event, context),
            None => context.report.add(Claim::DeliveredAfterUnsubscribe, &[context.line], || {
                format!("session {session} is not open")
            }),
        },
        Event::Run { .. }
        | Event::Node { .. }
        | Event::Fault { .. }
        | Event::Noticed { .. }
        | Event::Figure { .. }
        | Event::Ready { .. }
        | Event::Publish { .. }
        | Event::Read { .. }
        | Event::Kept { .. }
        | Event::Hole { .. }
        | Event::ReadEnd { .. } => {}
    }
}

impl Session {
    fn step(&mut self, event: &Event, mut context: Context<'_, '_>) {
        match event {
            Event::Subscribe { filter, after, last, latest, .. } => {
                // A filter or cursor that is none is refused, and nothing follows.
                let Ok(parsed) = Filter::parse(filter) else { return };
                let after = after.as_deref().and_then(|after| after.parse().ok());
                let following = Following::asked(
                    (self.who.clone(), self.node.clone()),
                    parsed,
                    after,
                    *last,
                    *latest,
                    &context,
                );
                self.by_filter.insert(filter.clone(), following);
            }
            Event::Ok { filter, cursor, resumed, .. } => {
                self.with(filter, |following| following.begin(cursor, *resumed, &mut context));
            }
            Event::Live { filter, cursor, .. } => {
                self.with(filter, |following| following.live(cursor, &mut context));
            }
            Event::Refused { filter, .. } | Event::Unsubscribed { filter, .. } => {
                let ended = self.by_filter.remove(filter);
                self.ended.extend(ended.map(|following| (following.filter, context.line)));
            }
            Event::Ping { cursor, .. } => self.ping(cursor, &mut context),
            Event::Message { topic, position, replay, .. } => {
                self.message(topic, *position, replay.as_deref(), &mut context);
            }
            Event::Gap { topic, from, to, replay, .. } => {
                self.gap(topic.as_deref(), (*from, *to), replay.as_deref(), &mut context);
            }
            _ => {}
        }
    }

    fn with(&mut self, filter: &str, step: impl FnOnce(&mut Following)) {
        if let Some(following) = self.by_filter.get_mut(filter) {
            step(following);
        }
    }

    fn live(&mut self) -> impl Iterator<Item = &mut Following> {
        self.by_filter.values_mut().filter(|following| following.stage == Stage::Live)
    }

    fn ping(&mut self, cursor: &Cursor, context: &mut Context<'_, '_>) {
        self.live().for_each(|following| following.ping(cursor, context));
    }

    fn message(
        &mut self,
        topic: &str,
        position: Position,
        replay: Option<&str>,
        context: &mut Context<'_, '_>,
    ) {
        let mut is_its = false;
        if let Some(filter) = replay {
            self.with(filter, |following| {
                is_its = following.stage == Stage::Replayed;
                if is_its {
                    following.receive(topic, position, context);
                }
            });
        } else {
            for following in self.live().filter(|following| following.filter.matches(topic)) {
                is_its = true;
                following.receive(topic, position, context);
            }
        }
        if !is_its {
            self.stray(topic, &format!("{topic:?} at {position}"), context);
        }
    }

    fn gap(
        &mut self,
        topic: Option<&str>,
        (from, to): (Position, Position),
        replay: Option<&str>,
        context: &mut Context<'_, '_>,
    ) {
        let mut is_its = false;
        let miss = |following: &mut Following, context: &mut Context<'_, '_>| match topic {
            Some(topic) => following.miss_topic(topic, from, to, context),
            None => following.miss_all(from, to, context),
        };
        let belongs = |filter: &Filter| topic.is_none_or(|topic| filter.matches(topic));
        for (filter, following) in &mut self.by_filter {
            let is_meant = match replay {
                Some(replay) => replay == filter && following.stage == Stage::Replayed,
                None => following.stage == Stage::Live,
            };
            if is_meant && belongs(&following.filter) {
                is_its = true;
                miss(following, context);
            }
        }
        if !is_its && let Some(topic) = topic {
            self.stray(topic, &format!("a gap of {topic:?}"), context);
        }
    }

    /// What belongs to no filter.
    fn stray(&self, topic: &str, what: &str, context: &mut Context<'_, '_>) {
        let who = &self.who;
        let early = self.by_filter.values().find(|following| following.filter.matches(topic));
        let ended = self.ended.iter().rev().find(|(filter, _)| filter.matches(topic));
        match (early, ended) {
            (Some(following), _) => context.report.add(Claim::Reordered, &[context.line], || {
                let filter = following.filter.as_str();
                format!("{who} got {what}, which belongs to {filter:?} in another stage")
            }),
            (None, Some((filter, line))) => {
                context.report.add(Claim::DeliveredAfterUnsubscribe, &[*line, context.line], || {
                    format!("{who} got {what} behind the end of {:?}", filter.as_str())
                });
            }
            (None, None) => context.report.add(Claim::WrongTopic, &[context.line], || {
                format!("{who} got {what}, which matches nothing that it follows")
            }),
        }
    }
}
