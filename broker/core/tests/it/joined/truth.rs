//! What was to be published, and what came of it on all servers.

use fanfare_core::Numbered;
use fanfare_protocol::{Epoch, Position, Publication, Topic};

use super::redis::KEY_MS;
use crate::it::facts::{Fact, Facts, tag_of};

/// Something that was to be published; its place among the drafts is its tag.
#[derive(Debug)]
pub(super) struct Drafted {
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    /// Where it was numbered, in each life once at most if it has a key, else once.
    pub(super) positions: Vec<Position>,
    pub(super) is_refused: bool,
    /// How often it was asked for.
    pub(super) attempts: usize,
}

impl Drafted {
    pub(super) fn new(topic: Topic, publication: Publication) -> Drafted {
        Drafted { topic, publication, positions: Vec::new(), is_refused: false, attempts: 1 }
    }
}

#[derive(Default)]
pub(super) struct Truth {
    pub(super) facts: Facts,
    pub(super) drafts: Vec<Drafted>,
    replids: u64,
}

impl Truth {
    pub(super) fn next_replid(&mut self) -> u64 {
        self.replids += 1;
        self.replids
    }

    /// A life begins, where another ended or from nothing.
    pub(super) fn begin_life(&mut self, end: Option<Position>) -> Epoch {
        let epoch = Epoch { partition: 0, life: 1 + self.facts.lives().count() as u64 };
        self.facts.begin_life(epoch, end);
        epoch
    }

    pub(super) fn number(&mut self, numbered: &Numbered, now_ms: u64) {
        let Numbered { message, origin, .. } = numbered;
        let (position, tag) = (message.position, tag_of(&message.payload));
        let draft = &mut self.drafts[tag];
        let keyed = draft.publication.idempotency_key.is_some();
        assert!(!draft.is_refused, "what was refused for good is published all the same: {draft:?}");
        let numbered_ms = |earlier| self.facts.fact(earlier).map_or(0, |fact| fact.numbered_ms);
        let may_repeat =
            |earlier: &Position| earlier.epoch != position.epoch || numbered_ms(*earlier) + KEY_MS <= now_ms;
        assert!(
            draft.positions.iter().all(|earlier| keyed && may_repeat(earlier)),
            "{tag} becomes a second message, {position}: {draft:?}"
        );
        draft.positions.push(position);
        if let Some(session) = origin {
            self.facts.note_turn(*session, tag);
        }
        self.facts.number(Fact {
            position,
            topic: message.topic.clone(),
            publication: draft.publication.clone(),
            tag,
            origin: *origin,
            numbered_ms: now_ms,
        });
    }
}
