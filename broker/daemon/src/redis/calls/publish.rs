//! Publishing: many messages in one call, in their order, each answered by itself.

use std::ops::Range;

use fanfare_core::{Published, Refusal, Unnumbered};
use fanfare_protocol::{Epoch, Position};
use redis::{Cmd, Pipeline, Value};

use super::{Calls, parse};
use crate::redis::envelope::{encode, fingerprint};
use crate::redis::fault::{Fault, accepted};
use crate::redis::scripts::Script;

/// The most messages that one call numbers, so that it holds the server up for less than a millisecond.
const MESSAGES_PER_CALL: usize = 32;
/// The bytes of data at which a call is full.
const BYTES_PER_CALL: usize = 64 * 1024;

/// What became of one publish.
type Outcome = Result<Published, Refusal>;

/// What the server said of one publish.
enum Answer {
    Done(Outcome),
    /// There are too many topics, by so many; some may be forgotten.
    Topics(usize),
}

/// How far a run of calls came.
enum Run {
    /// To its end, or to a call that did nothing since what the call before it has noted is gone.
    Ended,
    /// To a message for whose topic there is no room, nor for so many in all.
    Topics(usize),
    /// To a call whose script the server did not know.
    NoScript,
    /// To a call for which there was no memory.
    Full(Fault),
}

impl Calls {
    /// Publishes in order, none behind one for which the server had no memory: all from there on are refused. A fault
    /// concerns them all, and what became of them is then unknown. What `retain_awaited` takes away before a call is
    /// repeated is neither made nor answered.
    pub(in crate::redis) async fn publish(
        &self,
        publishes: &mut Vec<Unnumbered>,
        retain_awaited: impl Fn(&mut Vec<Unnumbered>),
    ) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = Vec::with_capacity(publishes.len());
        // Once no topic can be forgotten a message of a new one is refused by itself, and holds nothing up.
        let mut stops_at_topics = true;
        let mut loaded_at = None;
        while outcomes.len() < publishes.len() {
            match self.run(&publishes[outcomes.len()..], stops_at_topics, &mut outcomes).await? {
                Run::Ended => {}
                Run::Topics(count) => stops_at_topics = self.make_room(count).await? > 0,
                Run::NoScript if loaded_at == Some(outcomes.len()) => return Err(Fault::NoScript),
                Run::NoScript => {
                    self.load(Script::Publish).await?;
                    loaded_at = Some(outcomes.len());
                }
                Run::Full(fault) => {
                    let refusal = Refusal::BackplaneFull { reason: fault.to_string().into() };
                    outcomes.resize(publishes.len(), Err(refusal));
                }
            }
            if outcomes.len() < publishes.len() {
                // Who was told that it took too long may have published again, and that is perhaps made already.
                let mut rest = publishes.split_off(outcomes.len());
                retain_awaited(&mut rest);
                publishes.append(&mut rest);
            }
        }
        Ok(outcomes)
    }

    /// Sends the calls for all of them at once, and adds what became of those up to where the first call stopped. Each
    /// call but the first does nothing unless the one before has noted that it did all of its own.
    async fn run(
        &self,
        publishes: &[Unnumbered],
        stops_at_topics: bool,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Run, Fault> {
        let (run, parts) = (self.lives.number(), parts(publishes));
        let note =
            |at: usize| if at == 0 || at == publishes.len() { String::new() } else { format!("{run}:{at}") };
        let mut pipeline = Pipeline::with_capacity(parts.len());
        for Range { start, end } in parts.iter().cloned() {
            let notes = [note(start), note(end)];
            pipeline.add_command(self.command(&publishes[start..end], &notes, stops_at_topics));
        }
        for (part, value) in parts.iter().zip(self.ask_all(&pipeline).await?) {
            let answers = match accepted(value) {
                Ok(Value::Array(answers)) => answers,
                Ok(_) => return Err(Fault::odd("a publish")),
                Err(Fault::NoScript) => return Ok(Run::NoScript),
                Err(fault @ Fault::Full) => return Ok(Run::Full(fault)),
                Err(fault @ (Fault::Away(_) | Fault::Incompatible(_))) => return Err(fault),
            };
            let is_done = answers.len() == part.len();
            for answer in answers {
                match self.answer(answer)? {
                    Answer::Done(outcome) => outcomes.push(outcome),
                    Answer::Topics(count) if stops_at_topics => return Ok(Run::Topics(count)),
                    Answer::Topics(_) => {
                        outcomes.push(Err(Refusal::TooManyTopics { topics_max: self.bounds.topics }));
                    }
                }
            }
            if !is_done {
                break;
            }
        }
        Ok(Run::Ended)
    }

    /// The call for some of them, with what must be noted before it and what it notes.
    fn command(&self, publishes: &[Unnumbered], notes: &[String; 2], stops_at_topics: bool) -> Cmd {
        let mut keys = Vec::with_capacity(2 * publishes.len() + 1);
        for Unnumbered { topic, publication, .. } in publishes {
            let name = topic.as_str();
            keys.push(self.keys.list(name));
            keys.extend(publication.idempotency_key.as_deref().map(|key| self.keys.repeated(name, key)));
        }
        keys.extend(notes.iter().any(|note| !note.is_empty()).then(|| self.keys.run(self.node)));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.script(Script::Publish, &keys, |command| {
            command.arg(notes).arg(self.bounds.topics);
            command.arg(u8::from(stops_at_topics)).arg(self.bounds.idempotency_ms);
            for Unnumbered { topic, publication, origin, rule, .. } in publishes {
                command.arg(topic.as_str());
                command.arg(encode(topic, publication, origin.map(|session| (self.node, session))));
                command.arg(rule.count).arg(rule.age_ms);
                let is_keyed = publication.idempotency_key.is_some();
                command.arg(if is_keyed { fingerprint(topic, publication) } else { String::new() });
                let channels: Vec<String> = self.keys.channels(topic.as_str()).collect();
                command.arg(channels.len()).arg(channels);
            }
        })
    }

    fn answer(&self, value: Value) -> Result<Answer, Fault> {
        let Value::Array(values) = value else { return Err(Fault::odd("a publish")) };
        let mut values = values.into_iter();
        let said: String = parse(values.next().unwrap_or(Value::Nil), "a publish")?;
        let mut number = || parse::<u64>(values.next().unwrap_or(Value::Nil), "a publish");
        let repeated = match said.as_str() {
            "published" => false,
            "repeated" => true,
            "mismatch" => return Ok(Answer::Done(Err(Refusal::IdempotencyMismatch))),
            "topics" => return Ok(Answer::Topics(number()? as usize)),
            _ => return Err(Fault::odd("a publish")),
        };
        let (life, seq, heard) = (number()?, number()?, number()? > 0);
        self.seen.note(life, seq);
        let position = Position { epoch: Epoch { partition: self.partition, life }, seq };
        Ok(Answer::Done(Ok(Published { position, heard, receivers: None, repeated })))
    }
}

/// Which of them go in one call each.
fn parts(publishes: &[Unnumbered]) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (Vec::with_capacity(publishes.len().div_ceil(MESSAGES_PER_CALL)), 0);
    while start < publishes.len() {
        let end = start + leading(&publishes[start..], MESSAGES_PER_CALL, BYTES_PER_CALL);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// How many of the first are at most so many and, but for the last of them, have fewer bytes of data in all.
pub(in crate::redis) fn leading(publishes: &[Unnumbered], messages: usize, bytes: usize) -> usize {
    let mut size = 0;
    let fits = publishes.iter().take(messages).take_while(|publish| {
        let fits = size < bytes;
        size += data_bytes(publish);
        fits
    });
    fits.count()
}

/// The size of what is published.
pub(in crate::redis) fn data_bytes(publish: &Unnumbered) -> usize {
    publish.publication.payload.bytes().len()
}
