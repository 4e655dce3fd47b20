//! Batches: what of one may go out together, and what ends it.

use std::collections::VecDeque;

use super::{Broker, Publishing};
use crate::backplane::Unnumbered;
use crate::clock::Now;
use crate::partition::{Draft, Refusal};
use crate::waiting::{Completion, Ticket};

impl Broker {
    /// Publishes the first of a batch's drafts, in order: as many as may be under way before one of them is answered, one
    /// at least, if there is any. Those that wait are the last. What stays in `drafts` may go out once these are answered
    /// and none of them has [ended the batch](Refusal::ends_batch).
    pub fn publish_batch(
        &self,
        now: Now,
        drafts: &mut VecDeque<Draft>,
        mut completion: impl FnMut() -> Completion,
    ) -> Vec<Publishing> {
        let state = self.lock();
        if state.joined.is_some() {
            return self.ask_batch(state, now, drafts, completion);
        }
        drop(state);
        let mut begun = Vec::new();
        while let Some(draft) = drafts.pop_front() {
            let publishing = self.publish(now, draft, &mut completion);
            // Behind one that waits for room nothing may be published that has room.
            let goes_on = match &publishing {
                Publishing::Done(Ok(_)) => true,
                Publishing::Done(Err(refusal)) => !refusal.ends_batch(),
                Publishing::Waits(_) => false,
            };
            begun.push(publishing);
            if !goes_on {
                break;
            }
        }
        begun
    }

    /// Leaves only those publishes whose outcome somebody still waits for.
    pub fn retain_awaited(&self, publishes: &mut Vec<Unnumbered>) {
        if let Some(joined) = &self.lock().joined {
            publishes.retain(|publish| joined.awaits_publish(publish.ticket));
        }
    }

    /// Ends the waits of a batch at once, so that what was answered is its beginning; whether each ended by this.
    pub fn cancel_batch(&self, tickets: &[Ticket]) -> Vec<bool> {
        // From the end: answers come in order, and one that comes meanwhile is of a publish before all that are cancelled.
        let mut cancelled: Vec<bool> = tickets.iter().rev().map(|ticket| self.cancel(*ticket)).collect();
        cancelled.reverse();
        cancelled
    }
}

impl Refusal {
    /// True if nothing of a batch is published behind a publish that was refused so: one that was not refused would have
    /// overtaken one that is to be tried again.
    pub fn ends_batch(&self) -> bool {
        match self {
            Refusal::Overloaded { .. }
            | Refusal::TooManyWaiting { .. }
            | Refusal::TooManyKeys { .. }
            | Refusal::Unavailable { .. }
            | Refusal::BackplaneFull { .. } => true,
            Refusal::TooManyTopics { .. } | Refusal::IdempotencyMismatch => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fanfare_protocol::{Epoch, Filter, Payload, Position, Publication, Topic};

    use super::*;
    use crate::backplane::{Ask, Record, Told};
    use crate::limits::{Limits, TopicRules};
    use crate::partition::Published;

    const NOW: Now = Now { us: 0, unix_ms: 0 };

    fn drafts(topics: &[&str]) -> VecDeque<Draft> {
        let draft = |topic: &&str| {
            let publication = Publication::new(Payload::Json("1".into()));
            Draft { topic: Topic::parse(topic).unwrap(), publication, origin: None, deaf: 0 }
        };
        topics.iter().map(draft).collect()
    }

    /// A node whose backplane is there.
    fn joined(limits: Limits) -> Broker {
        let (wakes, link): (Vec<super::super::Wake>, super::super::Wake) =
            (vec![Box::new(|| ())], Box::new(|| ()));
        let broker = Broker::joined(1, TopicRules::default(), limits, wakes, link);
        let epoch = Epoch { partition: 0, life: 1 };
        broker.told(NOW, Told::Up(Record { epoch, began: 0, seq: 0, floor: 0, ended: Vec::new() }));
        broker.take_asks();
        broker
    }

    /// What is asked to be published, by the topics of each ask.
    fn asked(broker: &Broker) -> Vec<Vec<String>> {
        let publishes = broker.take_asks().into_iter().filter_map(|ask| match ask {
            Ask::Publish(publishes) => Some(publishes),
            Ask::Follow(_) | Ask::Leave(_) | Ask::Probe { .. } | Ask::Read { .. } => None,
            Ask::Clear { .. } | Ask::Reconnect(_) => None,
        });
        publishes.map(|all| all.iter().map(|one| one.topic.as_str().to_owned()).collect()).collect()
    }

    fn tickets(begun: &[Publishing]) -> Vec<Ticket> {
        let ticket = |publishing: &Publishing| match publishing {
            Publishing::Waits(ticket) => *ticket,
            Publishing::Done(result) => panic!("{result:?} came at once"),
        };
        begun.iter().map(ticket).collect()
    }

    fn published(ticket: Ticket, seq: u64) -> Told {
        let position = Position { epoch: Epoch { partition: 0, life: 1 }, seq };
        let result = Ok(Published { position, heard: false, receivers: None, repeated: false });
        Told::Published { ticket, result }
    }

    #[test]
    fn a_joined_node_asks_for_all_of_a_batch_at_once_and_for_no_more_than_may_wait() {
        let broker = joined(Limits { waiting_publishes: 3, ..Limits::default() });
        let mut batch = drafts(&["a", "b", "c", "d"]);
        let begun = broker.publish_batch(NOW, &mut batch, || Box::new(|_, _| ()));
        assert_eq!((begun.len(), batch.len()), (3, 1));
        assert_eq!(asked(&broker), [["a", "b", "c"]]);
        let refused = broker.publish_batch(NOW, &mut drafts(&["x"]), || Box::new(|_, _| ()));
        assert!(matches!(refused[..], [Publishing::Done(Err(Refusal::TooManyWaiting { waiting_max: 3 }))]));
        broker.told(NOW, published(tickets(&begun)[0], 1));
        assert_eq!(broker.publish_batch(NOW, &mut batch, || Box::new(|_, _| ())).len(), 1);
        assert_eq!((asked(&broker), batch.len()), (vec![vec!["d".to_owned()]], 0));
    }

    #[test]
    fn a_batch_is_refused_once_while_the_backplane_is_away() {
        let broker = joined(Limits::default());
        broker.told(NOW, Told::Down("gone".to_owned()));
        let mut batch = drafts(&["a", "b"]);
        let begun = broker.publish_batch(NOW, &mut batch, || Box::new(|_, _| ()));
        let [Publishing::Done(Err(refusal))] = &begun[..] else { panic!("{begun:?}") };
        assert!(refusal.ends_batch() && asked(&broker).is_empty());
    }

    #[test]
    fn what_was_answered_of_a_batch_that_is_given_up_is_its_beginning() {
        let broker = joined(Limits::default());
        let told = Arc::new(Mutex::new(0));
        let begun = broker.publish_batch(NOW, &mut drafts(&["a", "b", "c", "d"]), || {
            let told = told.clone();
            Box::new(move |_, _| *told.lock().unwrap() += 1)
        });
        let tickets = tickets(&begun);
        let Ask::Publish(mut asked) = broker.take_asks().remove(0) else { panic!("it asks to publish") };
        broker.told(NOW, published(tickets[0], 1));
        broker.told(NOW, published(tickets[1], 2));
        assert_eq!(broker.cancel_batch(&tickets), [false, false, true, true]);
        broker.retain_awaited(&mut asked);
        assert!(asked.is_empty(), "nobody waits for them any more");
        broker.told(NOW, published(tickets[2], 3));
        assert_eq!(*told.lock().unwrap(), 2);
    }

    #[test]
    fn without_a_backplane_nothing_of_a_batch_overtakes_what_waits_for_room() {
        let limits = Limits { inbox_bytes: 1, ..Limits::default() };
        let broker = Broker::new(1, TopicRules::default(), limits, vec![Box::new(|| ())]);
        broker.lock().partition.interest.add_live(&Filter::parse("a").unwrap(), 0);
        let mut batch = drafts(&["a", "b", "a", "b"]);
        let begun = broker.publish_batch(NOW, &mut batch, || Box::new(|_, _| ()));
        let [Publishing::Done(Ok(_)), Publishing::Done(Ok(_)), Publishing::Waits(_)] = &begun[..] else {
            panic!("{begun:?}")
        };
        assert_eq!(batch.len(), 1, "there would be room for it");
    }
}
