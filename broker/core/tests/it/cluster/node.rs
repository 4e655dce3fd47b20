//! A node: a broker with its workers, and its link to the backplane, slow and lossy.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_core::{
    Ask, Broker, Completion, Draft, Limits, Now, Publishing, Refusal, SessionKey, Ticket, Told, TopicRules,
    Unnumbered, Wake, Worker,
};
use fanfare_protocol::{Encoding, Frame, Payload, Position, Publication, Topic};

use super::redis::{Server, Truth};

pub(super) const WORKERS: usize = 2;

pub(super) struct Node {
    pub(super) broker: Arc<Broker>,
    pub(super) workers: Vec<Worker>,
    number: u64,
    traced: bool,
    woken: Vec<Arc<AtomicBool>>,
    pub(super) link: Option<Link>,
    /// The highest position that came from the backplane.
    seen: Option<Position>,
    /// What publishers here were answered.
    pub(super) answers: Answers,
    pub(super) acked: Option<Position>,
}

/// What publishes came to, by tag.
type Answers = Arc<Mutex<Vec<(usize, Result<Position, Refusal>)>>>;

/// The connections of a node.
pub(super) struct Link {
    pub(super) number: u64,
    /// The server to which commands go, and that from which messages come.
    pub(super) commands: usize,
    pub(super) messages: usize,
    /// Nothing comes or goes any more, and nobody has noticed.
    pub(super) is_broken: bool,
    asked: VecDeque<Ask>,
    asked_channels: VecDeque<Ask>,
    replies: VecDeque<Told>,
}

impl Node {
    pub(super) fn new(number: u64, rules: TopicRules, limits: Limits, traced: bool) -> Node {
        let woken: Vec<Arc<AtomicBool>> = (0..WORKERS).map(|_| Arc::default()).collect();
        let wake =
            |woken: Arc<AtomicBool>| -> Wake { Box::new(move || woken.store(true, Ordering::Relaxed)) };
        let wakes = woken.iter().cloned().map(wake).collect();
        let broker = Arc::new(Broker::joined(number, rules, limits, wakes, Box::new(|| ())));
        let workers = (0..WORKERS).map(|index| Worker::new(index, broker.clone())).collect();
        Node {
            broker,
            workers,
            number,
            traced,
            woken,
            link: None,
            seen: None,
            answers: Arc::default(),
            acked: None,
        }
    }

    pub(super) fn connect(
        &mut self,
        now: Now,
        server: usize,
        number: u64,
        servers: &mut [Server],
        truth: &mut Truth,
    ) {
        servers[server].connections.insert(number, Default::default());
        let record = servers[server].record(truth, self.seen);
        self.link = Some(Link {
            number,
            commands: server,
            messages: server,
            is_broken: false,
            asked: VecDeque::new(),
            asked_channels: VecDeque::new(),
            replies: VecDeque::new(),
        });
        self.tell(now, Told::Up(record));
    }

    /// The loss of the connections is noticed.
    pub(super) fn disconnect(&mut self, now: Now, servers: &mut [Server]) {
        let Some(link) = self.link.take() else { return };
        servers[link.messages].connections.remove(&link.number);
        self.broker.take_asks();
        self.tell(now, Told::Down("the connection was cut".to_owned()));
        self.broker.take_asks();
    }

    /// Takes over what the broker asks; true if its connections must be made anew.
    pub(super) fn take_asks(&mut self) -> bool {
        let mut is_lost = false;
        for ask in self.broker.take_asks() {
            if self.traced {
                eprintln!("    node {} asks {ask:?}", self.number);
            }
            let Some(link) = &mut self.link else { panic!("{ask:?} is asked of nobody") };
            match ask {
                Ask::Follow(_) | Ask::Leave(_) => link.asked_channels.push_back(ask),
                Ask::Reconnect(_) => is_lost = true,
                // Something may come between any two of a batch.
                Ask::Publish(batch) => {
                    link.asked.extend(batch.into_iter().map(|one| Ask::Publish(vec![one])));
                }
                Ask::Probe { .. } | Ask::Read { .. } | Ask::Clear { .. } => link.asked.push_back(ask),
            }
        }
        is_lost
    }

    /// A server does what was asked first, by one of the two connections; false if nothing was.
    pub(super) fn execute(
        &mut self,
        channels: bool,
        now_ms: u64,
        servers: &mut [Server],
        truth: &mut Truth,
    ) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| !link.is_broken) else { return false };
        let asked = if channels { &mut link.asked_channels } else { &mut link.asked };
        let Some(ask) = asked.pop_front() else { return false };
        let (server, seen) = (&mut servers[link.commands], self.seen);
        match ask {
            Ask::Publish(mut alone) => {
                let Some(one) = alone.pop() else { return false };
                let Unnumbered { ticket, topic, publication, origin, rule } = one;
                let tag = tag_of(&publication.payload);
                let origin = origin.map(|session| (self.number, session));
                let published = server.publish(truth, seen, &topic, &publication, origin, rule, tag, now_ms);
                link.replies.push_back(Told::Published { ticket, result: Ok(published) });
            }
            Ask::Clear { ticket, topic } => {
                let result = Ok(server.clear(truth, seen, &topic));
                link.replies.push_back(Told::ClearDone { ticket, result });
            }
            Ask::Read { read, channels, above } => {
                let result = Ok(server.read(truth, seen, &channels, above, now_ms));
                link.replies.push_back(Told::Read { read, result });
            }
            Ask::Probe { probe } => server.probe(truth, seen, link.number, probe),
            Ask::Follow(channels) => servers[link.messages].follow(link.number, channels),
            Ask::Leave(channels) => servers[link.messages].leave(link.number, &channels),
            Ask::Reconnect(_) => unreachable!("it is carried out when it is taken"),
        }
        true
    }

    /// The next reply comes; false if there is none.
    pub(super) fn hear_reply(&mut self, now: Now) -> bool {
        let link = self.link.as_mut().filter(|link| !link.is_broken);
        let Some(told) = link.and_then(|link| link.replies.pop_front()) else { return false };
        self.tell(now, told);
        true
    }

    /// The next message comes; false if there is none.
    pub(super) fn hear_message(&mut self, now: Now, servers: &mut [Server]) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| !link.is_broken) else { return false };
        let connection = servers[link.messages].connections.get_mut(&link.number);
        let Some(told) = connection.and_then(|connection| connection.queue.pop_front()) else { return false };
        self.tell(now, told);
        true
    }

    /// Replies and messages that wait.
    pub(super) fn is_quiet(&self, servers: &[Server]) -> bool {
        let Some(link) = &self.link else { return true };
        let queue = servers[link.messages]
            .connections
            .get(&link.number)
            .map_or(0, |connection| connection.queue.len());
        queue + link.replies.len() + link.asked.len() + link.asked_channels.len() == 0
    }

    /// True if the server does not know the node any more.
    pub(super) fn is_forgotten(&self, servers: &[Server]) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| !servers[link.messages].connections.contains_key(&link.number))
    }

    fn tell(&mut self, now: Now, told: Told) {
        if self.traced {
            eprintln!("    node {} is told {told:?}", self.number);
        }
        let seen = match &told {
            Told::Message(numbered) => Some(numbered.message.position),
            Told::Up(record) | Told::Probed { record, .. } | Told::Read { result: Ok((record, _)), .. } => {
                Some(Position { epoch: record.epoch, seq: record.seq })
            }
            Told::Published { result: Ok(published), .. } => Some(published.position),
            Told::Down(_)
            | Told::Confirmed(_)
            | Told::Cleared { .. }
            | Told::Read { .. }
            | Told::Published { .. }
            | Told::ClearDone { .. } => None,
        };
        if let Some(seen) = seen
            && self.seen.is_none_or(|before| before.epoch != seen.epoch || before.seq < seen.seq)
        {
            self.seen = Some(seen);
        }
        if let Told::Published { result: Ok(published), .. } = &told {
            self.acked = Some(published.position);
        }
        self.broker.told(now, told);
    }

    /// Publishes as an HTTP request does.
    pub(super) fn publish(&mut self, now: Now, topic: &Topic, tag: usize) -> Option<Ticket> {
        let publication = Publication::new(Payload::Json(tag.to_string().into()));
        let draft = Draft { topic: topic.clone(), publication, origin: None, deaf: 0 };
        let answers = self.answers.clone();
        let completion = || -> Completion {
            Box::new(move |_, result| {
                let result = result.map(|published| published.position);
                answers.lock().unwrap().push((tag, result));
            })
        };
        match self.broker.publish(now, draft, completion) {
            Publishing::Done(result) => {
                assert!(result.is_err(), "nothing is published without the backplane");
                None
            }
            Publishing::Waits(ticket) => Some(ticket),
        }
    }

    /// A pass of a worker, if its event loop would make one; true if there is more to do.
    pub(super) fn deliver(&mut self, worker: usize, now: Now) -> bool {
        let woken = self.woken[worker].swap(false, Ordering::Relaxed);
        let own = &mut self.workers[worker];
        if !woken && !own.has_work() {
            return false;
        }
        let moved = own.deliver(now);
        self.woken[worker].fetch_or(moved, Ordering::Relaxed);
        while let Some(key) = self.workers[worker].next_dirty() {
            if self.workers[worker].is_replaying(key) {
                self.workers[worker].pull(now, key);
            }
        }
        true
    }

    /// The next frame of a session; none: nothing waits. The flag tells of a close.
    pub(super) fn read(&mut self, worker: usize, key: SessionKey, now: Now) -> Option<Result<Frame, ()>> {
        let worker = &mut self.workers[worker];
        let session = worker.session(key)?;
        let mut slices = [IoSlice::new(&[]); 4];
        let count = session.outbox().gather(&mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
        let short = usize::from(*bytes.get(1)?);
        let (header, length) =
            if short < 126 { (2, short) } else { (4, usize::from(bytes[2]) << 8 | usize::from(bytes[3])) };
        let payload = &bytes[header..header + length];
        let read = if bytes[0] == 0x88 {
            Err(())
        } else {
            Ok(Frame::decode(Encoding::Json, payload).expect("what the broker writes can be read"))
        };
        worker.written(key, header + length);
        if worker.is_replaying(key) {
            worker.pull(now, key);
        }
        Some(read)
    }
}

/// What a payload says.
pub(super) fn tag_of(payload: &Payload) -> usize {
    std::str::from_utf8(payload.bytes()).unwrap().parse().unwrap()
}
