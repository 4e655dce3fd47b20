//! Calls to Redis, each with a deadline: what goes into the scripts, and what their answers mean.

mod publish;
mod read;

use std::rc::Rc;
use std::time::Duration;

use fanfare_core::Record;
use fanfare_protocol::{Epoch, Topic};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

pub(super) use self::publish::{data_bytes, leading};
use super::connect::danger;
use super::envelope::{VERSION, encode_clearing, ended};
use super::fault::{Fault, accepted};
use super::keys::Keys;
use super::lives::Lives;
use super::scripts::{Hashes, Script};
use super::seen::Seen;

/// How long the server may take to answer anything.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// The most topics that one script looks at.
pub(super) const TOPICS_PER_CALL: usize = 1_000;
/// The most lists that one script reads.
const LISTS_PER_CALL: usize = 100;

/// The bounds that scripts are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most topics in the directory.
    pub(super) topics: usize,
    /// How long a repeated publish is known.
    pub(super) idempotency_ms: u64,
    /// The most bytes of one read.
    pub(super) read_bytes: usize,
    /// How long an idle topic without history keeps its place.
    pub(super) numbering_ttl_ms: u64,
}

/// The connection for calls, and what every call says.
#[derive(Clone)]
pub(super) struct Calls {
    connection: MultiplexedConnection,
    hashes: Rc<Hashes>,
    pub(super) keys: Keys,
    pub(super) partition: u16,
    pub(super) partitions: u16,
    /// This node's own number.
    pub(super) node: u64,
    pub(super) bounds: Bounds,
    /// What the scripts' fence compares.
    pub(super) seen: Seen,
    lives: Rc<Lives>,
}

/// A page of the directory: topics with their last seqs.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) record: Record,
    /// Above which seq the next page begins; none if there is no more.
    pub(super) next: Option<u64>,
    pub(super) topics: Vec<(Topic, u64)>,
}

impl Calls {
    /// Calls over `connection`, on which the scripts are loaded.
    pub(super) fn new(
        connection: MultiplexedConnection,
        hashes: Hashes,
        keys: Keys,
        node: u64,
        bounds: Bounds,
        seen: Seen,
    ) -> Calls {
        Calls {
            connection,
            hashes: Rc::new(hashes),
            keys,
            partition: 0,
            partitions: 1,
            node,
            bounds,
            seen,
            lives: Rc::default(),
        }
    }

    /// The record, after the life that is over has ended.
    pub(super) async fn record(&self) -> Result<Record, Fault> {
        self.find(u64::MAX >> 11, 1, &[]).await.map(|found| found.record)
    }

    /// Has the record sent to the node's own channel; false if nobody listened there.
    pub(super) async fn probe(&self, probe: u64) -> Result<bool, Fault> {
        let command = self.script(Script::Probe, &[], |command| {
            command.arg(self.keys.node(self.node)).arg(probe);
        });
        let heard: u64 = parse(self.call(command, Script::Probe).await?, "a probe")?;
        Ok(heard > 0)
    }

    /// Topics whose last seq is higher than `above`, beneath one of the prefixes; at most `limit` are looked at.
    pub(super) async fn find(&self, above: u64, limit: usize, prefixes: &[&str]) -> Result<Found, Fault> {
        let command = self.script(Script::Find, &[], |command| {
            command.arg(above).arg(limit).arg(prefixes);
        });
        type Answer = (u64, u64, u64, u64, String, Option<u64>, Vec<(String, u64)>);
        let (life, began, seq, floor, ended, next, found): Answer =
            parse(self.call(command, Script::Find).await?, "a search of topics")?;
        let record = self.noted(life, began, seq, floor, &ended)?;
        let topics = found.into_iter().filter_map(|(name, last)| Some((Topic::parse(&name).ok()?, last)));
        Ok(Found { record, next, topics: topics.collect() })
    }

    /// Takes away what is kept of a topic: how many messages went.
    pub(super) async fn clear(&self, topic: &Topic) -> Result<usize, Fault> {
        let list = self.keys.list(topic.as_str());
        let command = self.script(Script::Clear, &[&list], |command| {
            command.arg(topic.as_str()).arg(encode_clearing(topic));
            self.keys.channels(topic.as_str()).for_each(|channel| _ = command.arg(channel));
        });
        parse(self.call(command, Script::Clear).await?, "a clearing")
    }

    /// Forgets topics that were idle for too long.
    pub(super) async fn sweep(&self) -> Result<usize, Fault> {
        let ttl_ms = self.bounds.numbering_ttl_ms;
        let command = self.script(Script::Tick, &[&self.keys.clock()], |command| {
            command.arg((ttl_ms / 256).clamp(250, 60_000)).arg(ttl_ms);
        });
        let bound: u64 = parse(self.call(command, Script::Tick).await?, "a tick")?;
        let (mut above, mut forgotten) = (Some(0), 0);
        while let Some(from) = above.filter(|from| *from < bound) {
            let page = self.find(from, LISTS_PER_CALL, &[""]).await?;
            forgotten += self.forget(&page.topics, bound, LISTS_PER_CALL).await?;
            above = page.next;
        }
        Ok(forgotten)
    }

    /// Forgets the longest idle topics of which nothing is kept, at most so many: how many there were among the first.
    pub(super) async fn make_room(&self, most: usize) -> Result<usize, Fault> {
        let page = self.find(0, TOPICS_PER_CALL, &[""]).await?;
        let mut forgotten = 0;
        for topics in page.topics.chunks(LISTS_PER_CALL) {
            if forgotten == most {
                break;
            }
            forgotten += self.forget(topics, u64::MAX >> 11, most - forgotten).await?;
        }
        Ok(forgotten)
    }

    /// How many messages are kept of each topic, and when the newest of them was numbered.
    pub(super) async fn describe(&self, topics: &[Topic]) -> Result<Vec<(usize, Option<u64>)>, Fault> {
        let mut all = Vec::with_capacity(topics.len());
        for topics in topics.chunks(LISTS_PER_CALL) {
            let mut command = Cmd::new();
            command.arg("EVALSHA").arg(self.hashes.of(Script::Describe)).arg(topics.len());
            topics.iter().for_each(|topic| _ = command.arg(self.keys.list(topic.as_str())));
            let found: Vec<(usize, u64)> =
                parse(self.call(command, Script::Describe).await?, "a description")?;
            all.extend(found.into_iter().map(|(kept, time)| (kept, Some(time).filter(|time| *time > 0))));
        }
        Ok(all)
    }

    /// Why the server may lose what it is given, if it may.
    pub(super) async fn danger(&self) -> Result<Option<String>, Fault> {
        let mut command = Cmd::new();
        command.arg("INFO").arg("memory");
        let memory: String = parse(self.ask(&command).await?, "a question about its memory")?;
        Ok(danger(&memory))
    }

    /// How often idle topics are looked for.
    pub(super) fn sweep_interval(&self) -> Duration {
        Duration::from_millis((self.bounds.numbering_ttl_ms / 8).clamp(500, 60_000))
    }

    async fn forget(&self, topics: &[(Topic, u64)], bound: u64, most: usize) -> Result<usize, Fault> {
        let lists: Vec<String> = topics.iter().map(|(topic, _)| self.keys.list(topic.as_str())).collect();
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        let command = self.script(Script::Forget, &lists, |command| {
            command.arg(bound).arg(most);
            topics.iter().for_each(|(topic, _)| _ = command.arg(topic.as_str()));
        });
        parse(self.call(command, Script::Forget).await?, "a sweep")
    }

    /// A script's call: the record, the directory and `keys`, what the fence needs, and what `arguments` adds.
    fn script(&self, script: Script, keys: &[&str], arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(self.hashes.of(script)).arg(2 + keys.len());
        command.arg(self.keys.record()).arg(self.keys.directory()).arg(keys);
        command.arg(self.seen.written()).arg(self.lives.draw()).arg(VERSION).arg(self.partitions);
        arguments(&mut command);
        command
    }

    /// Calls a script; one that the server has lost is loaded again.
    async fn call(&self, command: Cmd, script: Script) -> Result<Value, Fault> {
        match self.ask(&command).await {
            Err(Fault::NoScript) => {
                self.load(script).await?;
                self.ask(&command).await
            }
            answer => answer,
        }
    }

    async fn load(&self, script: Script) -> Result<(), Fault> {
        let mut command = Cmd::new();
        command.arg("SCRIPT").arg("LOAD").arg(script.source());
        self.ask(&command).await.map(drop)
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut connection = self.connection.clone();
        let answer = tokio::time::timeout(DEADLINE, connection.send_packed_command(command)).await;
        accepted(answer.map_err(|_| silent())??)
    }

    /// The answers to commands that are sent together, errors among them.
    async fn ask_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        let mut connection = self.connection.clone();
        let asked = connection.send_packed_commands(pipeline, 0, pipeline.len());
        Ok(tokio::time::timeout(DEADLINE, asked).await.map_err(|_| silent())??)
    }

    /// The record that an answer tells, remembered for the next call.
    fn noted(&self, life: u64, began: u64, seq: u64, floor: u64, lives: &str) -> Result<Record, Fault> {
        self.seen.note(life, seq);
        let ended = ended(self.partition, lives).map_err(|_| Fault::odd("the record"))?;
        Ok(Record { epoch: Epoch { partition: self.partition, life }, began, seq, floor, ended })
    }
}

/// The fault of a server that lets a deadline pass.
pub(super) fn silent() -> Fault {
    Fault::Away(format!("Redis has not answered for {} s", DEADLINE.as_secs()))
}

fn parse<T: FromRedisValue>(value: Value, what: &str) -> Result<T, Fault> {
    T::from_redis_value(value).map_err(|_| Fault::odd(what))
}
