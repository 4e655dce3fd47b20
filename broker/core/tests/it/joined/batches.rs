//! Batches as HTTP publishes them: in their order or not on, whatever befalls the servers meanwhile.

use std::collections::VecDeque;

use fanfare_core::{Completion, Draft, Published, Publishing, Refusal, Ticket};
use fanfare_protocol::{ErrorCode, Position};

use super::steps;
use super::world::World;

/// A batch that is not answered as a whole.
pub(super) struct Batch {
    pub(super) node: usize,
    tags: Vec<usize>,
    /// The publishes that were begun, in the order of the tags.
    tickets: Vec<Ticket>,
    /// What became of the first of them.
    outcomes: Vec<Result<Position, ErrorCode>>,
    /// What is begun once all that was begun is answered.
    rest: VecDeque<Draft>,
    until_ms: u64,
}

/// Some are published together.
pub(super) fn publish_batch(world: &mut World) {
    let count = world.chance.pick(&[2, 3, 8, 20]);
    let node = steps::pick_publisher(world);
    let tags: Vec<usize> = (0..count).map(|_| steps::draft(world)).collect();
    let draft = |tag: &usize| {
        let drafted = &world.truth.drafts[*tag];
        let (topic, publication) = (drafted.topic.clone(), drafted.publication.clone());
        Draft { topic, publication, origin: None, deaf: 0 }
    };
    let rest = tags.iter().map(draft).collect();
    world.trace(|| format!("batch of {tags:?} on node {node}"));
    let until_ms = world.now_ms + 5_000;
    let batch = Batch { node, tags, tickets: Vec::new(), outcomes: Vec::new(), rest, until_ms };
    world.go_on(batch);
    world.settle();
}

impl World {
    /// Begins what may be begun of a batch, and keeps it while something is left of it.
    fn go_on(&mut self, mut batch: Batch) {
        let (completions, node) = (self.completions.clone(), batch.node);
        let mut begun = batch.tags[batch.tickets.len()..].iter().copied();
        let completion = || -> Completion {
            let (tag, completions) = (begun.next().expect("it has a tag"), completions.clone());
            Box::new(move |_, result| completions.lock().unwrap().push((node, tag, result)))
        };
        let now = self.nodes[node].now(self.now_ms);
        let begun = self.nodes[node].driven.broker.publish_batch(now, &mut batch.rest, completion);
        self.trace(|| format!("of a batch on node {node} these go out: {begun:?}"));
        for publishing in begun {
            match publishing {
                Publishing::Waits(ticket) => batch.tickets.push(ticket),
                Publishing::Done(result) => {
                    assert!(batch.tickets.len() == batch.outcomes.len(), "it waits with those before it");
                    let refusal = result.expect_err("a joined node numbers nothing");
                    return self.end(&batch, refusal.code());
                }
            }
        }
        self.batches.push(batch);
    }

    /// Notes an answer, if it is to one of a batch, and goes on with what may go out then.
    pub(super) fn answer_batch(&mut self, tag: usize, result: &Result<Published, Refusal>) {
        let Some(index) = self.batches.iter().position(|batch| batch.tags.contains(&tag)) else { return };
        let mut batch = self.batches.swap_remove(index);
        assert_eq!(batch.tags[batch.outcomes.len()], tag, "a batch is answered in its order");
        let result = result.as_ref().map(|published| published.position).map_err(Refusal::code);
        let (before, now) = (batch.outcomes.last().copied(), result);
        match (before, now) {
            (Some(Err(code)), Ok(position)) => {
                panic!("{tag} is at {position} behind one refused as {code:?}")
            }
            (Some(Ok(before)), Ok(position)) if before.epoch == position.epoch => {
                assert!(before.seq < position.seq, "{tag} is at {position}, behind the one at {before}");
            }
            _ => {}
        }
        batch.outcomes.push(result);
        if batch.outcomes.len() < batch.tickets.len() {
            self.batches.push(batch);
        } else if let Err(code) = result {
            self.end(&batch, code);
        } else if !batch.rest.is_empty() {
            self.go_on(batch);
        }
    }

    /// Gives up the batches that are meant: nothing more of them is published than what is on its way.
    pub(super) fn give_up_batches(&mut self, is_meant: impl Fn(&Batch, u64) -> bool) {
        let now_ms = self.now_ms;
        let ended: Vec<Batch> = self.batches.extract_if(.., |batch| is_meant(batch, now_ms)).collect();
        for batch in ended {
            let open = &batch.tickets[batch.outcomes.len()..];
            let cancelled = self.nodes[batch.node].driven.broker.cancel_batch(open);
            assert!(cancelled.iter().all(|is_cancelled| *is_cancelled), "what is answered was told");
            self.unknown.extend(&batch.tags[batch.outcomes.len()..batch.tickets.len()]);
            self.end(&batch, ErrorCode::Unavailable);
        }
    }

    /// The batch ended, be it by this refusal or by its deadline: what was not begun is nowhere.
    fn end(&mut self, batch: &Batch, code: ErrorCode) {
        for tag in &batch.tags[batch.tickets.len()..] {
            assert!(self.truth.drafts[*tag].positions.is_empty(), "{tag} was not to go out");
            self.answered(batch.node, *tag, Err(code));
        }
    }
}

impl Batch {
    pub(super) fn is_overdue(&self, now_ms: u64) -> bool {
        self.until_ms <= now_ms
    }
}
