//! A filter, or several as one, as a client holds them: the cursor moves by the protocol's rules, and each move is checked against all
//! that was ever numbered.

use std::collections::BTreeSet;

use fanfare_core::Filters;
use fanfare_protocol::{Gap, Message, OnSlow, Position, Topic};

use super::facts::{Fact, Facts, Who};

/// What a client follows with one cursor over all its sessions, on any node.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) filters: Filters,
    pub(super) echo: bool,
    pub(super) on_slow: Option<OnSlow>,
    /// Where the client said that it stood at first.
    after: Option<Position>,
    /// The newest so many of each topic are still to be asked for.
    last: u32,
    pub(super) state: State,
    pub(super) cursor: Option<Position>,
    /// All that matches up to here was got, was told missing, or was before the start.
    settled: Option<Position>,
    pub(super) got: BTreeSet<Position>,
    /// The holes told in this session: topic, after, up to.
    holes: Vec<(Topic, u64, Position)>,
    /// So many of them were told before the last gap of the whole filter.
    old_holes: usize,
    /// The messages of `last` moved the cursor below what is settled.
    is_back: bool,
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
            settled: None,
            got: BTreeSet::new(),
            holes: Vec::new(),
            old_holes: 0,
            is_back: false,
            sessions: Vec::new(),
        }
    }

    /// What a subscribe says: `after` and `last`.
    pub(super) fn ask(&self) -> (Option<Position>, u32) {
        (self.cursor.or(self.after), self.last)
    }

    /// The `ok` of a subscribe, or what a reader of history begins with.
    pub(super) fn begins(&mut self, facts: &Facts, session: Who, cursor: Position) {
        assert_eq!(self.state, State::Away, "one subscribe is answered once");
        self.sessions.push(session);
        // What was told and lies above the cursor is told again, or is there after all.
        (self.holes, self.old_holes) = (Vec::new(), 0);
        let (after, last) = self.ask();
        match after {
            Some(after) => assert_eq!(cursor, after, "{:?} begins where it was asked to", self.filters),
            None => assert!(facts.was(cursor), "{:?} begins at {cursor}, which never was", self.filters),
        }
        // All above the cursor is owed, also what the messages of `last` went back behind.
        (self.cursor, self.settled, self.is_back) = (Some(cursor), Some(cursor), false);
        self.state = if after.is_none() && last == 0 { State::Live } else { State::Replaying };
    }

    /// A page of history begins: it tells each hole above the cursor, though another page may have told it.
    pub(super) fn page(&mut self) {
        (self.holes, self.old_holes) = (Vec::new(), 0);
    }

    pub(super) fn replayed(&mut self, facts: &Facts, session: Who, message: &Message, now_ms: u64) {
        assert_eq!(self.state, State::Replaying, "{:?} is replayed only until it is live", self.filters);
        let own = facts.fact(message.position).is_some_and(|fact| fact.origin == Some(session));
        assert!(self.echo || !own, "a session that is deaf to itself gets none of its own");
        self.message(facts, message, now_ms);
    }

    pub(super) fn message(&mut self, facts: &Facts, message: &Message, now_ms: u64) {
        let Message { topic, position, .. } = message;
        let fact = facts.fact(*position).expect("what is delivered was numbered");
        assert!(self.filters.matches(topic.as_str()), "{topic} is foreign to {:?}", self.filters);
        assert!(self.got.insert(*position), "{:?} gets {position} twice", self.filters);
        let cursor = self.cursor.expect("it has begun");
        if self.last > 0 {
            self.is_back = cursor.seq >= position.seq;
        } else {
            assert!(cursor.seq < position.seq, "{:?}: {position} is not above {cursor}", self.filters);
        }
        assert!(!self.is_told(fact), "{:?}: {position} was told missing, and comes", self.filters);
        self.last = 0;
        self.cursor = Some(*position);
        self.settle(facts, now_ms);
    }

    pub(super) fn gap(&mut self, facts: &Facts, gap: &Gap, now_ms: u64) {
        let Gap { topic, from, to, count } = gap;
        assert!(facts.was(*to), "{:?}: {gap:?} ends where nobody ever was", self.filters);
        let Some(topic) = topic else { return self.jump(facts, *from, *to, count.is_some(), now_ms) };
        assert!(self.filters.matches(topic.as_str()), "{topic} is foreign to {:?}", self.filters);
        assert!(from.seq < to.seq, "{gap:?} stands for something");
        self.holes.push((topic.clone(), from.seq, *to));
    }

    pub(super) fn live(&mut self, facts: &Facts, cursor: Position, now_ms: u64) {
        assert_eq!(self.state, State::Replaying, "{:?} goes live once", self.filters);
        self.state = State::Live;
        self.last = 0;
        self.move_up(facts, cursor, now_ms);
    }

    /// The cursor of a ping, of `live` or of a page of history.
    pub(super) fn move_up(&mut self, facts: &Facts, cursor: Position, now_ms: u64) {
        assert!(facts.was(cursor), "{:?}: nobody ever was at the cursor {cursor}", self.filters);
        let before = self.cursor.expect("it has begun");
        assert!(before.seq <= cursor.seq, "{:?}: the cursor goes back, {before} to {cursor}", self.filters);
        self.cursor = Some(cursor);
        self.settle(facts, now_ms);
    }

    /// A gap of the whole filter: what may be missing is told, what lies before it is not.
    fn jump(&mut self, facts: &Facts, from: Position, to: Position, is_slow: bool, now_ms: u64) {
        let settled = self.settled.expect("it has begun");
        // What the client asked for at first may lie above all that was.
        let is_back = from.epoch == to.epoch && from.seq > to.seq && self.after != Some(from);
        assert!(!is_back, "{:?}: a gap goes back within a life, {from} to {to}", self.filters);
        if from.seq < to.seq && settled.seq < from.seq && facts.leads_to(from, to.epoch) {
            self.cursor = Some(from);
            self.settle(facts, now_ms);
        }
        if from.epoch != to.epoch {
            self.got.clear();
        }
        // What a slow subscriber missed ends no life, though it may reach from one into the next.
        self.holes.retain(|(_, _, end)| is_slow || from.epoch == to.epoch || end.seq <= to.seq);
        self.old_holes = self.holes.len();
        (self.cursor, self.settled, self.is_back) = (Some(to), Some(to), false);
    }

    /// The holes told since the last gap of the whole filter, with their ends.
    pub(super) fn new_holes(&self) -> impl Iterator<Item = (&Topic, Position)> {
        self.holes[self.old_holes..].iter().map(|(topic, _, end)| (topic, *end))
    }

    /// All that matches up to the cursor was got, or told missing; and the cursor continues what was before.
    fn settle(&mut self, facts: &Facts, now_ms: u64) {
        let (Some(settled), Some(cursor)) = (self.settled, self.cursor) else { return };
        if self.is_back && cursor.seq <= settled.seq {
            assert!(facts.leads_to(cursor, settled.epoch), "{:?}: {cursor} is of another past", self.filters);
            return;
        }
        self.is_back = false;
        assert!(
            facts.leads_to(settled, cursor.epoch),
            "{:?}: silently from {settled} to {cursor}, which does not continue it",
            self.filters
        );
        for fact in facts.between(settled.seq, cursor) {
            let owed = self.filters.matches(fact.topic.as_str()) && !self.got.contains(&fact.position);
            if owed && !self.is_told(fact) && !self.may_lack(facts, fact, now_ms) {
                panic!("{:?} lacks {fact:?} silently on its way from {settled} to {cursor}", self.filters);
            }
        }
        self.settled = Some(cursor);
    }

    fn is_told(&self, fact: &Fact) -> bool {
        let seq = fact.position.seq;
        self.holes.iter().any(|(topic, from, to)| *topic == fact.topic && *from < seq && seq <= to.seq)
    }

    fn may_lack(&self, facts: &Facts, fact: &Fact, now_ms: u64) -> bool {
        let replaced = || {
            // Also in a life that continues this one, and in one that took its place: the newest is of that.
            facts.lives().any(|life| {
                let from = if facts.leads_to(fact.position, life) { fact.position.seq } else { 0 };
                facts
                    .top(life)
                    .is_some_and(|top| facts.between(from, top).any(|later| later.topic == fact.topic))
            })
        };
        let on_slow = self.on_slow.unwrap_or_else(|| facts.rules.rule_for(fact.topic.as_str()).1);
        let conflated = on_slow == OnSlow::Latest && self.state == State::Live && replaced();
        let own = !self.echo && fact.origin.is_some_and(|origin| self.sessions.contains(&origin));
        conflated || fact.is_expired(now_ms) || own
    }
}
