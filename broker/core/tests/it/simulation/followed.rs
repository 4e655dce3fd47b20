//! One filter, or several as one, as a client holds them: its cursor moves by the protocol's rules, and each move is checked.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::Filters;
use fanfare_protocol::{Gap, Message, OnSlow, Position, Topic};

use super::model::{Model, Place, Record, Who};

/// What a client follows with one cursor over all its sessions.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) filters: Filters,
    pub(super) echo: bool,
    pub(super) on_slow: Option<OnSlow>,
    /// What the first subscribe said.
    after: Option<Position>,
    /// The newest so many of each topic are still to be asked for.
    last: u32,
    pub(super) state: State,
    pub(super) cursor: Option<Position>,
    /// All that matches above is owed.
    start: Option<Place>,
    /// All that matches up to here was got or told missing.
    checked: Option<Place>,
    got: BTreeSet<Place>,
    gaps: Vec<(Option<Topic>, Place, Place)>,
    /// The holes told since the replay began or jumped, by topic, with their ends.
    told: BTreeMap<Topic, Place>,
    /// The sessions in which it was followed.
    sessions: Vec<Who>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not followed in the present session, or not answered yet.
    Away,
    Replaying,
    Live,
}

impl Followed {
    pub(super) fn new(filters: Filters, after: Option<Position>, last: u32, echo: bool) -> Followed {
        Followed {
            filters,
            echo,
            on_slow: None,
            after,
            last,
            state: State::Away,
            cursor: None,
            start: None,
            checked: None,
            got: BTreeSet::new(),
            gaps: Vec::new(),
            told: BTreeMap::new(),
            sessions: Vec::new(),
        }
    }

    /// What a subscribe says: `after` and `last`.
    pub(super) fn ask(&self) -> (Option<Position>, u32) {
        (self.cursor.or(self.after), self.last)
    }

    /// The connection is gone.
    pub(super) fn cut(&mut self, model: &Model, now_ms: u64) {
        self.state = State::Away;
        self.check(model, now_ms);
    }

    /// The `ok` of a subscribe.
    pub(super) fn begins(&mut self, model: &Model, session: Who, cursor: Position) {
        assert_eq!(self.state, State::Away, "one subscribe is answered once");
        self.sessions.push(session);
        self.told.clear();
        let (after, last) = self.ask();
        if self.cursor.is_none() {
            self.cursor = Some(cursor);
            self.start = Some(model.place(cursor));
            self.checked = self.start;
        }
        self.state = if after.is_none() && last == 0 { State::Live } else { State::Replaying };
    }

    /// A page of history begins: it tells each hole above the cursor, though another page may have told it.
    pub(super) fn page(&mut self) {
        self.told.clear();
    }

    pub(super) fn replayed_message(&mut self, model: &Model, session: Who, message: &Message, now_ms: u64) {
        assert_eq!(self.state, State::Replaying, "{:?} is replayed only until it is live", self.filters);
        let own = model.record_at(message.position).is_some_and(|record| record.origin == Some(session));
        assert!(self.echo || !own, "a session that is deaf to itself gets none of its own");
        self.message(model, message, now_ms);
    }

    pub(super) fn message(&mut self, model: &Model, message: &Message, now_ms: u64) {
        let place = model.place(message.position);
        assert!(
            self.filters.matches(message.topic.as_str()),
            "{} is foreign to {:?}",
            message.topic,
            self.filters
        );
        let newest = self.got.last().copied();
        assert!(newest < Some(place), "{:?}: {newest:?} comes before {place:?}", self.filters);
        let cursor = self.cursor.map(|cursor| model.place(cursor));
        assert!(
            self.last > 0 || cursor < Some(place),
            "{:?}: {place:?} is not above {cursor:?}",
            self.filters
        );
        self.last = 0;
        self.got.insert(place);
        self.cursor = Some(message.position);
        self.check(model, now_ms);
    }

    pub(super) fn gap(&mut self, model: &Model, gap: &Gap, now_ms: u64) {
        let (from, to) = (model.place(gap.from), model.place(gap.to));
        assert_eq!(gap.to.epoch, model.epoch(), "a gap ends in the current epoch");
        assert!(gap.to.seq <= model.seq(), "a gap ends at the top at most");
        match &gap.topic {
            Some(topic) => {
                self.check_topic_gap(model, topic, from, to);
                let told = self.told.insert(topic.clone(), to);
                assert!(
                    told.is_none_or(|told| told <= from),
                    "the hole of {topic} up to {to:?} is told twice"
                );
                let cursor = self.cursor.map(|cursor| model.place(cursor));
                let ahead = self.told.values().filter(|told| Some(**told) > cursor).count();
                assert!(ahead <= model.limits.holes, "{ahead} holes are told one by one");
            }
            None => {
                self.check_null_gap(model, gap);
                self.told.clear();
                self.cursor = Some(gap.to);
                self.start = self.start.map(|start| start.min(to));
                self.checked = self.checked.map(|checked| checked.min(to));
            }
        }
        self.gaps.push((gap.topic.clone(), from, to));
        self.check(model, now_ms);
    }

    /// A gap that is not replayed stands for live messages that were dropped.
    pub(super) fn dropped(&mut self, model: &Model, gap: &Gap, now_ms: u64) {
        let (from, to) = (model.place(gap.from), model.place(gap.to));
        assert!(gap.topic.is_none() && gap.from.epoch == gap.to.epoch, "{gap:?} stands for what was dropped");
        assert!(gap.to.epoch == model.epoch() && gap.to.seq <= model.seq(), "{gap:?} was published");
        assert!(gap.from.seq < gap.to.seq, "{gap:?} stands for something");
        assert!(self.cursor.map(|cursor| model.place(cursor)) < Some(to), "{gap:?} is above the cursor");
        assert!(self.got.last().is_none_or(|newest| *newest <= from), "nothing of {gap:?} was got");
        self.gaps.push((None, from, to));
        self.cursor = Some(gap.to);
        self.check(model, now_ms);
    }

    pub(super) fn live(&mut self, model: &Model, cursor: Position, now_ms: u64) {
        assert_eq!(self.state, State::Replaying, "{:?} goes live once", self.filters);
        self.state = State::Live;
        self.last = 0;
        self.moved_up(model, cursor, now_ms);
    }

    pub(super) fn ping(&mut self, model: &Model, cursor: Position, now_ms: u64) {
        self.moved_up(model, cursor, now_ms);
    }

    fn moved_up(&mut self, model: &Model, cursor: Position, now_ms: u64) {
        assert!(
            cursor.seq <= model.seq() && cursor.epoch == model.epoch(),
            "a cursor is never above the top"
        );
        let before = self.cursor.map(|cursor| model.place(cursor));
        assert!(before <= Some(model.place(cursor)), "{:?}: {before:?} does not go back", self.filters);
        self.cursor = Some(cursor);
        self.check(model, now_ms);
    }

    /// All that matches up to the cursor was got, or told missing.
    fn check(&mut self, model: &Model, now_ms: u64) {
        let (Some(checked), Some(cursor)) = (self.checked, self.cursor) else { return };
        let cursor = model.place(cursor);
        for record in model.between(checked, cursor) {
            let owed = self.filters.matches(record.topic.as_str()) && !self.got.contains(&record.place);
            let told = || {
                self.gaps.iter().any(|(topic, from, to)| {
                    let meant = topic.as_ref().is_none_or(|topic| *topic == record.topic);
                    meant && *from < record.place && record.place <= *to
                })
            };
            if owed && !self.may_lack(model, record, now_ms) && !told() {
                panic!(
                    "{:?} lacks {record:?} silently; got {:?}, told {:?}",
                    self.filters, self.got, self.gaps
                );
            }
        }
        self.checked = Some(checked.max(cursor));
    }

    fn may_lack(&self, model: &Model, record: &Record, now_ms: u64) -> bool {
        let on_slow = self.on_slow.unwrap_or_else(|| model.rules.rule_for(record.topic.as_str()).1);
        let replaced = || {
            let later = model.between(record.place, model.place(model.top()));
            later.iter().any(|later| later.topic == record.topic)
        };
        if on_slow == OnSlow::Latest && replaced() {
            return true;
        }
        let expired = record.expires_ms.is_some_and(|at| at <= now_ms);
        let own = !self.echo && record.origin.is_some_and(|origin| self.sessions.contains(&origin));
        expired || own
    }

    fn check_topic_gap(&self, model: &Model, topic: &Topic, from: Place, to: Place) {
        assert!(from < to && from.life == to.life, "a topic's gap is within one life: {from:?} to {to:?}");
        assert!(self.filters.matches(topic.as_str()), "{topic} is foreign to {:?}", self.filters);
        let mut missing = model.between(from, to).iter().filter(|record| record.topic == *topic);
        assert!(missing.next_back().is_some_and(|newest| newest.place == to), "a gap ends with a message");
        for record in model.between(from, to).iter().filter(|record| record.topic == *topic) {
            assert!(!record.is_kept, "{record:?} is kept and told missing");
            assert!(!self.got.contains(&record.place), "{record:?} was got and is told missing");
        }
    }

    /// A gap of the whole filter is there for one of the reasons that the protocol has.
    fn check_null_gap(&self, model: &Model, gap: &Gap) {
        let is_foreign = gap.from.epoch != gap.to.epoch;
        let is_future = !is_foreign && gap.from.seq > gap.to.seq;
        let up_to_floor =
            model.floors.contains(&gap.to.seq) && !model.know_since(&self.filters, gap.from.seq);
        let missing = model.between(model.place(gap.from), model.place(gap.to)).iter();
        let holes: BTreeSet<&Topic> = missing
            .filter(|record| !record.is_kept && self.filters.matches(record.topic.as_str()))
            .map(|record| &record.topic)
            .collect();
        let too_many = holes.len() > model.limits.holes;
        let justified = if is_foreign {
            model.floors.contains(&gap.to.seq)
        } else {
            is_future || up_to_floor || too_many
        };
        assert!(justified, "nothing justifies {gap:?} for {:?}", self.filters);
    }
}
