//! Publishes by HTTP, and what their publishers must be told.

use std::collections::BTreeSet;

use fanfare_core::{Publishing, Refusal};
use fanfare_protocol::{ErrorCode, Filter, Topic};

use super::world::{Wait, World};

impl World {
    /// Publishes as an HTTP request does.
    pub(super) fn publish(&mut self, tag: usize) {
        let draft = &self.model.drafts[tag];
        let (topic, publication) = (draft.topic.clone(), draft.publication.clone());
        let expected = self.followers(&topic);
        let key = publication.idempotency_key.clone().map(|key| (topic.clone(), key));
        let known =
            key.and_then(|key| self.model.keys.get(&key)).filter(|known| known.until_ms > self.now_ms);
        let known = known.map(|known| (known.tag, known.position));
        let completions = self.completions.clone();
        let completion = || -> fanfare_core::Completion {
            Box::new(move |_, result| completions.lock().unwrap().push((tag, result)))
        };
        let is_full = self.model.is_full_for(&topic);
        let draft = fanfare_core::Draft { topic, publication, origin: None, deaf: 0 };
        let before = self.driven.broker.stats();
        let publishing = self.driven.broker.publish(self.now(), draft, completion);
        self.trace(|| format!("publish of {tag} by HTTP: {publishing:?}"));
        match (publishing, known) {
            (Publishing::Done(Ok(published)), Some((first, position))) => {
                assert!(published.repeated && first == tag, "a known key is no new message");
                assert_eq!(published.position, position, "a repeat has its first position");
            }
            (Publishing::Done(Ok(published)), None) => {
                assert!(!published.repeated, "an unknown key is no repeat");
                assert_eq!((published.heard, published.receivers), expected, "it is known who hears");
                assert!(!is_full, "there is no topic over the limit");
                self.numbered.push((published.position, tag));
            }
            (Publishing::Done(Err(refusal)), known) => {
                match refusal {
                    Refusal::TooManyTopics { .. } => assert!(is_full, "another topic can be had"),
                    Refusal::IdempotencyMismatch => assert!(known.is_some_and(|(first, _)| first != tag)),
                    Refusal::TooManyKeys { keys_max } => assert!(self.keys() >= keys_max, "a key has place"),
                    Refusal::Unavailable { .. } | Refusal::BackplaneFull { .. } => {
                        panic!("there is no backplane: {refusal}")
                    }
                    Refusal::Overloaded { .. } | Refusal::TooManyWaiting { .. } => {
                        assert_eq!(
                            before.waiting_publishes, self.settings.limits.waiting_publishes,
                            "more may wait"
                        );
                    }
                }
                self.answers.push((tag, Err(refusal.code())));
            }
            (Publishing::Waits(_), Some(_)) => panic!("a known key needs no room"),
            (Publishing::Waits(ticket), None) => {
                assert!(
                    before.waiting_publishes + before.inbox_bytes > 0,
                    "there is room, and nobody waits for it"
                );
                let until_ms = self.now_ms + self.settings.limits.publish_wait_ms;
                self.model.waiting.push(tag);
                self.waits.push(Wait { tag, ticket, until_ms });
            }
        }
    }

    /// What HTTP publishes have waited for too long is refused.
    pub(super) fn give_up(&mut self) {
        let now_ms = self.now_ms;
        for wait in self.waits.extract_if(.., |wait| wait.until_ms <= now_ms) {
            if self.driven.broker.cancel(wait.ticket) {
                self.model.waiting.retain(|tag| *tag != wait.tag);
                self.answers.push((wait.tag, Err(ErrorCode::Overloaded)));
            }
        }
    }

    /// How many follow a topic: whether anyone does, and how many where one filter at most matches.
    fn followers(&self, topic: &Topic) -> (bool, Option<u64>) {
        let waiting =
            self.polls.iter().filter(|poll| !poll.is_ready.get()).flat_map(|poll| poll.filters.iter());
        let followed = self.links().flat_map(|link| &link.subscribed).chain(waiting);
        let matching: Vec<&Filter> = followed.filter(|filter| filter.matches(topic.as_str())).collect();
        let is_counted = matching.iter().collect::<BTreeSet<_>>().len() <= 1;
        (!matching.is_empty(), is_counted.then_some(matching.len() as u64))
    }

    fn keys(&self) -> usize {
        self.model.keys.values().filter(|known| known.until_ms > self.now_ms).count()
    }
}
