//! Remembered publishes, so that a retry yields one message.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use fanfare_protocol::{Payload, Position, Publication, Topic};

use crate::spare::shrink;

/// A key in its scope.
type Scoped = (Topic, Box<str>);

/// The keys of the last publishes that carried one; scope: topic and key.
#[derive(Debug)]
pub(crate) struct IdempotencyWindow {
    publishes_by_key: BTreeMap<Arc<Scoped>, Remembered>,
    oldest_first: VecDeque<(u64, Arc<Scoped>)>,
    window_ms: u64,
    keys_max: usize,
}

#[derive(Debug)]
struct Remembered {
    fingerprint: u64,
    position: Position,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Never seen, or long ago.
    New,
    /// The same publish; its first position.
    Repeated(Position),
    /// Another publish had this key.
    Mismatch,
    /// Never seen, and there is no room to remember it.
    Full,
}

impl IdempotencyWindow {
    pub(crate) fn new(window_ms: u64, keys_max: usize) -> IdempotencyWindow {
        IdempotencyWindow {
            publishes_by_key: BTreeMap::new(),
            oldest_first: VecDeque::new(),
            window_ms,
            keys_max,
        }
    }

    pub(crate) fn look_up(
        &mut self,
        topic: &Topic,
        key: &str,
        publication: &Publication,
        now_ms: u64,
    ) -> Lookup {
        self.forget_old(now_ms, usize::MAX);
        match self.publishes_by_key.get(&(topic.clone(), key.into())) {
            Some(known) if known.fingerprint == fingerprint(publication) => Lookup::Repeated(known.position),
            Some(_) => Lookup::Mismatch,
            None if self.publishes_by_key.len() >= self.keys_max => Lookup::Full,
            None => Lookup::New,
        }
    }

    /// Remembers a publish that was numbered; its key was [`Lookup::New`].
    pub(crate) fn store(
        &mut self,
        topic: &Topic,
        publication: &Publication,
        position: Position,
        now_ms: u64,
    ) {
        let Some(key) = &publication.idempotency_key else { return };
        let scoped = Arc::new((topic.clone(), key.clone()));
        self.oldest_first.push_back((now_ms + self.window_ms, scoped.clone()));
        let remembered = Remembered { fingerprint: fingerprint(publication), position };
        let known = self.publishes_by_key.insert(scoped, remembered);
        assert!(known.is_none(), "only a new key is stored");
    }

    /// Forgets keys whose window is over, at most `keys_max` of them; true if no more is due.
    pub(crate) fn forget_old(&mut self, now_ms: u64, keys_max: usize) -> bool {
        for _ in 0..keys_max {
            let Some((_, scoped)) = self.oldest_first.pop_front_if(|(until, _)| *until <= now_ms) else {
                return true;
            };
            self.publishes_by_key.remove(&scoped);
            shrink(&mut self.oldest_first);
        }
        false
    }
}

/// A hash of all that makes two publishes the same, but for the key.
fn fingerprint(publication: &Publication) -> u64 {
    let mut hasher = DefaultHasher::new();
    let kind = match &publication.payload {
        Payload::Json(_) => 0u8,
        Payload::MessagePack(_) => 1,
        Payload::Text(_) => 2,
        Payload::Binary(_) => 3,
    };
    kind.hash(&mut hasher);
    publication.payload.bytes().hash(&mut hasher);
    publication.media_type.hash(&mut hasher);
    publication.headers.hash(&mut hasher);
    publication.ttl_s.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn publication(data: &'static str) -> Publication {
        let payload = Payload::Json(Bytes::from_static(data.as_bytes()));
        Publication { idempotency_key: Some("k".into()), ..Publication::new(payload) }
    }

    #[test]
    fn a_key_is_remembered_for_its_window_and_never_forgotten_early() {
        let mut window = IdempotencyWindow::new(100, 1);
        let (topic, position) = (Topic::parse("t").unwrap(), "0.a:7".parse().unwrap());
        let (one, two) = (publication("1"), publication("2"));
        assert_eq!(window.look_up(&topic, "k", &one, 0), Lookup::New);
        window.store(&topic, &one, position, 0);
        assert_eq!(window.look_up(&topic, "k", &one, 99), Lookup::Repeated(position));
        assert_eq!(window.look_up(&topic, "k", &two, 99), Lookup::Mismatch);
        assert_eq!(window.look_up(&topic, "other", &one, 99), Lookup::Full);
        assert_eq!(window.look_up(&Topic::parse("u").unwrap(), "k", &one, 99), Lookup::Full);
        assert_eq!(window.look_up(&topic, "k", &two, 100), Lookup::New);
    }

    #[test]
    fn old_keys_are_forgotten_some_at_a_time_though_nobody_asks_for_one() {
        let mut window = IdempotencyWindow::new(100, 10);
        for name in ["a", "b", "c"] {
            window.store(&Topic::parse(name).unwrap(), &publication("1"), "0.a:7".parse().unwrap(), 0);
        }
        assert!(window.forget_old(99, 2), "nothing is due");
        assert!(!window.forget_old(100, 2));
        assert_eq!((window.publishes_by_key.len(), window.oldest_first.len()), (1, 1));
        assert!(window.forget_old(100, 2));
        assert_eq!((window.publishes_by_key.len(), window.oldest_first.len()), (0, 0));
    }
}
