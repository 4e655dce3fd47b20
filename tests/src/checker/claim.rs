//! What a history can show to be broken.

use std::collections::BTreeMap;
use std::fmt;

/// The most violations of one name that are told one by one.
const TOLD_MAX: usize = 20;

/// A broken promise, by a name that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A message that matches and lies between two others did not come, and no gap told so.
    SilentGap,
    /// At the end of it all a session was not at the end, was not told, and was not closed.
    Stuck,
    /// A publish was answered with a position at which nothing is kept, though it should be.
    LostWrite,
    /// A position names two messages.
    TwoMessagesAtOnePosition,
    /// A message has two positions.
    OneMessageAtTwoPositions,
    /// A message came again to a filter.
    Duplicate,
    /// What came lies before what had come, or came live to a filter that was still being replayed.
    Reordered,
    /// Numbering went over to another life and nobody was told what that cost.
    SilentEpochChange,
    /// It was said that nothing is missing, and something was.
    FalseRecovered,
    /// A message came that nobody had published, or whose publish was refused.
    Phantom,
    /// A message came under a topic that is not its own or that the session does not follow.
    WrongTopic,
    /// A message was delivered that no history has, though it should.
    Ghost,
    /// A message came behind the end of its subscription.
    DeliveredAfterUnsubscribe,
    /// A node said that it is ready while it could not deliver, or that it is not long after it could.
    ReadinessLie,
    /// A subscription began below what the same node had answered to a publisher before it was asked for.
    StaleJoin,
    /// A publish that began after another's answer got a lower seq of the same life.
    SeqWentBack,
    /// It was said that something is missing, and no gap told what.
    UnexplainedLoss,
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub claim: Claim,
    /// The lines that show it, from 1.
    pub lines: Vec<usize>,
    /// What they show.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many lines were read.
    pub lines: usize,
    /// How many violations of each name there are.
    pub counts: BTreeMap<Claim, usize>,
    /// The first of each name, in order of their lines.
    pub violations: Vec<Violation>,
}

impl Claim {
    /// All of them.
    pub const ALL: [Claim; 17] = [
        Claim::SilentGap,
        Claim::Stuck,
        Claim::LostWrite,
        Claim::TwoMessagesAtOnePosition,
        Claim::OneMessageAtTwoPositions,
        Claim::Duplicate,
        Claim::Reordered,
        Claim::SilentEpochChange,
        Claim::FalseRecovered,
        Claim::Phantom,
        Claim::WrongTopic,
        Claim::Ghost,
        Claim::DeliveredAfterUnsubscribe,
        Claim::ReadinessLie,
        Claim::StaleJoin,
        Claim::SeqWentBack,
        Claim::UnexplainedLoss,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Claim::SilentGap => "silent gap",
            Claim::Stuck => "stuck",
            Claim::LostWrite => "lost write",
            Claim::TwoMessagesAtOnePosition => "two messages at one position",
            Claim::OneMessageAtTwoPositions => "one message at two positions",
            Claim::Duplicate => "duplicate",
            Claim::Reordered => "reordered",
            Claim::SilentEpochChange => "silent epoch change",
            Claim::FalseRecovered => "false recovered",
            Claim::Phantom => "phantom",
            Claim::WrongTopic => "wrong topic",
            Claim::Ghost => "ghost",
            Claim::DeliveredAfterUnsubscribe => "delivered after unsubscribe",
            Claim::ReadinessLie => "readiness lie",
            Claim::StaleJoin => "stale join",
            Claim::SeqWentBack => "seq went back",
            Claim::UnexplainedLoss => "unexplained loss",
        }
    }
}

impl Report {
    pub(super) fn of(lines: usize) -> Report {
        Report { lines, ..Report::default() }
    }

    /// Notes a violation; `what` is only asked for if it will be told.
    pub(super) fn add(&mut self, claim: Claim, lines: &[usize], what: impl FnOnce() -> String) {
        let count = self.counts.entry(claim).or_default();
        *count += 1;
        if *count <= TOLD_MAX {
            self.violations.push(Violation { claim, lines: lines.to_vec(), what: what() });
        }
    }

    pub(super) fn sort(&mut self) {
        self.violations.sort_by(|a, b| a.lines.cmp(&b.lines));
    }

    /// True if no promise was seen broken.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// True if a violation of this name was found.
    pub fn has(&self, claim: Claim) -> bool {
        self.counts.contains_key(&claim)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(usize::to_string).collect();
        write!(f, "line {}: {}: {}", lines.join(", "), self.claim, self.what)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        let counts: Vec<String> =
            self.counts.iter().map(|(claim, count)| format!("{claim}: {count}")).collect();
        let outcome = if counts.is_empty() { "nothing broken".to_owned() } else { counts.join(", ") };
        write!(f, "{} lines: {outcome}", self.lines)
    }
}
