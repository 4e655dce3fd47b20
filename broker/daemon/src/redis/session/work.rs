//! What a session has under way: calls that end in something to be told.

use std::time::{Duration, Instant};

use fanfare_core::{Channel, Refusal, Ticket, Told, Unnumbered};
use fanfare_protocol::Topic;
use futures_util::FutureExt;

use super::Session;
use crate::redis::calls::{Calls, TOPICS_PER_CALL, data_bytes, leading};
use crate::redis::connect::follow;
use crate::redis::fault::Fault;
use crate::redis::{Core, Page, Question, TopicFound};

/// The most messages of a batch in one write.
const WRITE_MESSAGES: usize = 256;
/// The bytes of data at which a write is full.
const WRITE_BYTES: usize = 256 * 1024;
/// The most publishes that are of no batch in one write, which answers them all at once.
const TOGETHER_MAX: usize = 64;
/// The most writes of publishes under way at once.
const WRITES_MAX: usize = 4;
/// The most channels that are followed by one write.
const CHANNELS_PER_CALL: usize = 500;

/// The most reads that ask the server at once.
pub(super) const READS_MAX: usize = 16;

/// How something under way ended.
pub(super) enum Done {
    Nothing,
    Told(Told),
    /// A write of publishes, what is left of their batch, and how long it took.
    Published {
        told: Vec<Told>,
        rest: Vec<Unnumbered>,
        took: Duration,
    },
    /// Why what is on the server is in danger, if it is.
    Checked(Option<String>),
    /// The connection can't be used any more.
    Broke(Fault),
}

impl<C: Core> Session<'_, C> {
    /// Sends what waits to be published, many at a time while others are under way.
    pub(super) fn send_publishes(&mut self) {
        while self.writes < WRITES_MAX
            && let Some((mut write, mut rest)) = self.next_write()
        {
            self.writes += 1;
            let (calls, core) = (self.calls.clone(), self.link.core.clone());
            self.start(async move {
                let began = Instant::now();
                let mut outcomes = calls.publish(&mut write, |rest| core.retain_awaited(rest)).await?;
                if let Some(Err(refusal)) = outcomes.last()
                    && refusal.ends_batch()
                {
                    let refusal = refusal.clone();
                    write.append(&mut rest);
                    outcomes.resize(write.len(), Err(refusal));
                }
                let told =
                    |(publish, result): (Unnumbered, _)| Told::Published { ticket: publish.ticket, result };
                let told = write.into_iter().zip(outcomes).map(told).collect();
                Ok(Done::Published { told, rest, took: began.elapsed() })
            });
        }
    }

    /// What goes out together next, publishes each by itself or the beginning of a batch, and the rest of that batch.
    fn next_write(&mut self) -> Option<(Vec<Unnumbered>, Vec<Unnumbered>)> {
        while let Some(mut write) = self.outgoing.pop_front() {
            if let [alone] = &write[..] {
                let mut bytes = data_bytes(alone);
                while write.len() < TOGETHER_MAX
                    && bytes < WRITE_BYTES
                    && let Some([_]) = self.outgoing.front().map(Vec::as_slice)
                {
                    let next = self.outgoing.pop_front().into_iter().flatten();
                    write.extend(next.inspect(|publish| bytes += data_bytes(publish)));
                }
            }
            // Who waited for too long was told that it is not known what became of the publish: it is not made any more.
            self.link.core.retain_awaited(&mut write);
            let rest = write.split_off(leading(&write, WRITE_MESSAGES, WRITE_BYTES));
            if !write.is_empty() {
                return Some((write, rest));
            }
        }
        None
    }

    pub(super) fn start_following(&mut self, command: &'static str, names: Vec<String>) {
        for names in names.chunks(CHANNELS_PER_CALL) {
            let (subscription, names) = (self.subscription.clone(), names.to_vec());
            self.start(async move { follow(&subscription, command, &names).await.map(|()| Done::Nothing) });
        }
    }

    pub(super) fn start_probe(&mut self, probe: u64) {
        let calls = self.calls.clone();
        self.start(async move {
            if calls.probe(probe).await? {
                return Ok(Done::Nothing);
            }
            Err(Fault::Away("Redis does not know any more what this node follows".to_owned()))
        });
    }

    pub(super) fn start_read(&mut self, read: u64, channels: Vec<Channel>, above: u64) {
        self.link.health.figures.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (calls, places) = (self.calls.clone(), self.places.clone());
        self.start(async move {
            // Who waits here does not wait for the server, so the deadline of its calls does not run.
            let _place = places.acquire().await;
            let result = calls.read(&channels, above).await?;
            Ok(Done::Told(Told::Read { read, result: Ok(result) }))
        });
    }

    pub(super) fn start_clear(&mut self, ticket: Ticket, topic: Topic) {
        let calls = self.calls.clone();
        self.start(async move {
            let result: Result<usize, Refusal> = Ok(calls.clear(&topic).await?);
            Ok(Done::Told(Told::ClearDone { ticket, result }))
        });
    }

    pub(super) fn start_check(&mut self) {
        let calls = self.calls.clone();
        self.start(async move { calls.danger().await.map(Done::Checked) });
    }

    pub(super) fn start_sweep(&mut self) {
        let calls = self.calls.clone();
        self.start(async move {
            let forgotten = calls.sweep().await?;
            if forgotten > 0 {
                tracing::debug!(forgotten, "idle topics without history are forgotten");
            }
            Ok(Done::Nothing)
        });
    }

    pub(super) fn on_question(&mut self, question: Question) {
        let calls = self.calls.clone();
        self.start(async move {
            let page = page(&calls, &question).await?;
            // Who asked may be gone.
            _ = question.answer.send(Ok(page));
            Ok(Done::Nothing)
        });
    }

    fn start(&mut self, work: impl Future<Output = Result<Done, Fault>> + 'static) {
        self.under_way.push(work.map(|result| result.unwrap_or_else(Done::Broke)).boxed_local());
    }
}

/// The topics that match, by name, behind a name.
async fn page(calls: &Calls, question: &Question) -> Result<Page, Fault> {
    let Question { filter, after, limit, .. } = question;
    let (mut names, mut above, mut life) = (Vec::new(), Some(0), 0);
    while let Some(from) = above {
        let found = calls.find(from, TOPICS_PER_CALL, &[""]).await?;
        (above, life) = (found.next, found.record.epoch.life);
        let matching = found.topics.into_iter().filter(|(name, _)| {
            filter.matches(name.as_str()) && after.as_deref().is_none_or(|after| name.as_str() > after)
        });
        names.extend(matching);
        // A topic that is published to meanwhile is found again further up.
        names.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then(other.cmp(one)));
        names.dedup_by(|(a, _), (b, _)| a == b);
        names.truncate(limit + 1);
    }
    let more = names.len() > *limit;
    names.truncate(*limit);
    let topics: Vec<Topic> = names.iter().map(|(name, _)| name.clone()).collect();
    let described = calls.describe(&topics).await?;
    let topics = names.into_iter().zip(described).map(|((name, last), (kept, time))| TopicFound {
        name,
        life,
        last,
        kept,
        time,
    });
    Ok(Page { topics: topics.collect(), more })
}
