//! One session's subscription to one filter, read as the protocol says that a client reads it.

use std::collections::HashMap;

use fanfare_protocol::{Cursor, Filter, Position};

use super::facts::{Facts, Placed};
use super::last::Last;
use super::path::{Between, Paths};
use super::{Claim, Report};

/// What a step of the check can look at and write to.
pub(super) struct Context<'a, 'f> {
    pub(super) facts: &'f Facts,
    pub(super) paths: &'a mut Paths<'f>,
    pub(super) report: &'a mut Report,
    pub(super) line: usize,
    pub(super) at: u64,
}

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not answered.
    Asked,
    /// What is past comes.
    Replayed,
    /// What comes is as it happens.
    Live,
}

/// Where a filter stands, and what came to it.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) filter: Filter,
    pub(super) stage: Stage,
    /// Who, for people.
    who: String,
    node: String,
    after: Option<Cursor>,
    asked_at: u64,
    last_count: Option<u64>,
    is_latest: bool,
    cursor: Option<Cursor>,
    /// The line that set the cursor.
    moved_by: usize,
    resumed: Option<bool>,
    is_told: bool,
    last: Option<Last>,
    received: Vec<(Position, usize)>,
    holes: HashMap<u32, Vec<(u64, u64)>>,
}

impl Following {
    /// A subscription that was asked for.
    pub(super) fn asked(
        (who, node): (String, String),
        filter: Filter,
        after: Option<Cursor>,
        last_count: Option<u64>,
        is_latest: bool,
        context: &Context<'_, '_>,
    ) -> Following {
        Following {
            filter,
            stage: Stage::Asked,
            who,
            node,
            after,
            asked_at: context.at,
            last_count,
            is_latest,
            cursor: None,
            moved_by: context.line,
            resumed: None,
            is_told: false,
            last: None,
            received: Vec::new(),
            holes: HashMap::new(),
        }
    }

    /// It is answered.
    pub(super) fn begin(&mut self, cursor: &Cursor, resumed: Option<bool>, context: &mut Context<'_, '_>) {
        self.resumed = resumed;
        match self.after.clone() {
            Some(after) => {
                self.cursor = Some(after);
                self.stage = Stage::Replayed;
                self.reach_cursor(cursor, context);
            }
            None => {
                self.check_start(cursor, context);
                self.cursor = Some(cursor.clone());
                self.stage = if self.last_count.is_some() { Stage::Replayed } else { Stage::Live };
            }
        }
        if let (Some(count), [start]) = (self.last_count, cursor.positions()) {
            self.last = Some(Last::begin(count, *start));
        }
        self.moved_by = context.line;
    }

    /// A message that belongs to it.
    pub(super) fn receive(&mut self, topic: &str, position: Position, context: &mut Context<'_, '_>) {
        if !self.filter.matches(topic) {
            let (who, filter) = (&self.who, self.filter.as_str());
            return context.report.add(Claim::WrongTopic, &[context.line], || {
                format!("{who} got {topic:?} in the replay of {filter:?}")
            });
        }
        if let Some(last) = &mut self.last {
            if self.stage == Stage::Replayed && last.is_below_start(position, context.facts) {
                if !last.receive(context.facts.topics.known(topic).unwrap_or(u32::MAX), position) {
                    self.report_back(position, context);
                }
                return self.received.push((position, context.line));
            }
            self.end_last(context);
        }
        if self.reach(position, false, context) {
            self.moved_by = context.line;
            self.received.push((position, context.line));
        } else {
            self.report_back(position, context);
        }
    }

    /// A gap with a topic that belongs to it.
    pub(super) fn miss_topic(
        &mut self,
        topic: &str,
        from: Position,
        to: Position,
        context: &mut Context<'_, '_>,
    ) {
        self.tell(from, to, context);
        if let Some(topic) = context.facts.topics.known(topic) {
            self.holes.entry(topic).or_default().push((from.seq, to.seq));
        }
    }

    /// A gap without a topic that belongs to it.
    pub(super) fn miss_all(&mut self, from: Position, to: Position, context: &mut Context<'_, '_>) {
        self.tell(from, to, context);
        self.reach(from, true, context);
        let Some(at) = self.at(to) else { return };
        let is_start = self.received.is_empty() && self.stage == Stage::Replayed;
        if at.epoch == to.epoch && to.seq < at.seq && !is_start {
            self.report_back(to, context);
        }
        self.put(to, context);
        if let Some(last) = self.last.as_mut().filter(|last| last.is_empty()) {
            last.start = to;
        }
    }

    /// The replay is done.
    pub(super) fn live(&mut self, cursor: &Cursor, context: &mut Context<'_, '_>) {
        self.end_last(context);
        self.reach_cursor(cursor, context);
        if self.resumed == Some(false) && !self.is_told {
            let (who, filter) = (&self.who, self.filter.as_str());
            context.report.add(Claim::UnexplainedLoss, &[self.moved_by, context.line], || {
                format!("{who}'s {filter:?} was not resumed, and no gap said why")
            });
        }
        self.stage = Stage::Live;
        self.moved_by = context.line;
    }

    /// A heartbeat of its session.
    pub(super) fn ping(&mut self, cursor: &Cursor, context: &mut Context<'_, '_>) {
        self.reach_cursor(cursor, context);
        self.moved_by = context.line;
    }

    /// The end of the run: is it at the end of what it follows?
    pub(super) fn quiet(&mut self, context: &mut Context<'_, '_>) {
        let Some(cursor) = self.cursor.clone().filter(|_| self.stage == Stage::Live) else {
            let stage = if self.stage == Stage::Asked { "answered" } else { "live" };
            return self.stuck(context, format!("was never {stage}"));
        };
        for at in cursor.positions() {
            let epoch = context.facts.current.get(&at.epoch.partition).copied().unwrap_or(at.epoch);
            let end = Position { epoch, seq: fanfare_protocol::SEQ_MAX };
            match context.paths.between(&self.filter, *at, end, true) {
                Between::OtherLife => {
                    self.stuck(context, format!("stands at {at}, and all goes on in {epoch}"))
                }
                Between::Ahead(due) => {
                    let due = self.still_due(due, context);
                    if let Some(first) = due.first() {
                        let what = format!(
                            "stands at {at}, {} messages from {} on did not come",
                            due.len(),
                            first.position
                        );
                        self.stuck(context, what);
                    }
                }
                Between::Nothing | Between::Back => {}
            }
        }
    }

    fn stuck(&self, context: &mut Context<'_, '_>, what: String) {
        let (who, filter) = (&self.who, self.filter.as_str());
        context
            .report
            .add(Claim::Stuck, &[self.moved_by, context.line], || format!("{who}'s {filter:?} {what}"));
    }

    /// All that the same node had answered before is at or below the start.
    fn check_start(&self, cursor: &Cursor, context: &mut Context<'_, '_>) {
        for start in cursor.positions() {
            let Some((seq, line)) = context.facts.answered_before(&self.node, start.epoch, self.asked_at)
            else {
                continue;
            };
            if seq > start.seq {
                let (who, filter) = (&self.who, self.filter.as_str());
                context.report.add(Claim::StaleJoin, &[line, self.moved_by, context.line], || {
                    format!("{who}'s {filter:?} begins at {start}, and seq {seq} was answered before it was asked for")
                });
            }
        }
    }

    fn end_last(&mut self, context: &mut Context<'_, '_>) {
        let Some(last) = self.last.take() else { return };
        let missing = last.missing(&self.filter, context.facts, context.paths);
        self.report_missing(missing, last.start, context);
    }

    /// A gap came: was it said that nothing is missing, when it was known already?
    fn tell(&mut self, from: Position, to: Position, context: &mut Context<'_, '_>) {
        self.is_told = true;
        if self.stage != Stage::Replayed || self.resumed != Some(true) {
            return;
        }
        let was_known = if from.epoch == to.epoch {
            context.facts.keeps_all
        } else {
            context.facts.is_seen_before(to.epoch, self.asked_at)
        };
        if was_known {
            let (who, filter) = (&self.who, self.filter.as_str());
            context.report.add(Claim::FalseRecovered, &[self.moved_by, context.line], || {
                format!("{who}'s {filter:?} was told that it resumed, then a gap from {from} to {to}")
            });
        }
    }

    fn reach_cursor(&mut self, cursor: &Cursor, context: &mut Context<'_, '_>) {
        for position in cursor.positions() {
            if !self.reach(*position, true, context) {
                self.report_back(*position, context);
            }
        }
    }

    /// Goes to a position, by all that matches before it, or also at it. False if it lies behind.
    fn reach(&mut self, to: Position, with: bool, context: &mut Context<'_, '_>) -> bool {
        let Some(at) = self.at(to) else {
            self.put(to, context);
            return true;
        };
        match context.paths.between(&self.filter, at, to, with) {
            Between::Nothing if with => {}
            Between::Nothing | Between::Back => return false,
            Between::OtherLife => {
                let (who, filter) = (&self.who, self.filter.as_str());
                context.report.add(Claim::SilentEpochChange, &[self.moved_by, context.line], || {
                    format!("{who}'s {filter:?} went from {at} to {to}, and no gap said so")
                });
            }
            Between::Ahead(due) => {
                let due = self.still_due(due, context);
                self.report_missing(due, to, context);
            }
        }
        self.put(to, context);
        true
    }

    /// Those that no gap told of and, if only the newest of each topic is due, no newer one stands for.
    fn still_due(&self, due: Vec<Placed>, context: &mut Context<'_, '_>) -> Vec<Placed> {
        let told = |placed: &Placed| {
            let seq = placed.position.seq;
            let holes = self.holes.get(&placed.topic).map_or(&[][..], Vec::as_slice);
            holes.iter().any(|(from, to)| *from < seq && seq <= *to)
        };
        let is_latest = self.is_latest && self.stage == Stage::Live;
        due.into_iter()
            .filter(|placed| !(told(placed) || is_latest && context.paths.has_newer(placed, context.at)))
            .collect()
    }

    fn report_missing(&self, missing: Vec<Placed>, to: Position, context: &mut Context<'_, '_>) {
        let is_false = self.stage == Stage::Replayed && self.resumed == Some(true);
        let claim = if is_false { Claim::FalseRecovered } else { Claim::SilentGap };
        let (who, filter) = (&self.who, self.filter.as_str());
        for placed in missing {
            context.report.add(claim, &[placed.line, self.moved_by, context.line], || {
                let topic = context.facts.topics.text(placed.topic);
                format!("{who}'s {filter:?} came to {to} without {topic:?} at {}", placed.position)
            });
        }
    }

    fn report_back(&self, position: Position, context: &mut Context<'_, '_>) {
        let before = self.received.iter().find(|(other, _)| *other == position);
        let (claim, line) =
            before.map_or((Claim::Reordered, self.moved_by), |(_, line)| (Claim::Duplicate, *line));
        let (who, filter) = (&self.who, self.filter.as_str());
        let at = self.at(position);
        context.report.add(claim, &[line, context.line], || {
            let at = at.map_or_else(|| "nowhere".to_owned(), |at| at.to_string());
            format!("{who}'s {filter:?} stood at {at} and got {position}")
        });
    }

    fn at(&self, position: Position) -> Option<Position> {
        self.cursor.as_ref().and_then(|cursor| cursor.in_partition(position.epoch.partition))
    }

    fn put(&mut self, position: Position, context: &Context<'_, '_>) {
        match &mut self.cursor {
            Some(cursor) => cursor.replace(position),
            None => self.cursor = Some(position.into()),
        }
        self.moved_by = context.line;
    }
}
