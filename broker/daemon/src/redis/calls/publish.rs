//! Publishing: many messages in one write, each answered by itself.

use fanfare_core::{HistoryRule, Published, Refusal, SessionId, Ticket};
use fanfare_protocol::{Epoch, Position, Publication, Topic};
use redis::{Cmd, Pipeline, Value};

use super::{Calls, parse};
use crate::redis::envelope::{encode, fingerprint};
use crate::redis::fault::Fault;
use crate::redis::fault::accepted;
use crate::redis::scripts::Script;

/// A message that is to be numbered.
#[derive(Debug)]
pub(in crate::redis) struct Publish {
    /// Names the publish.
    pub(in crate::redis) ticket: Ticket,
    pub(in crate::redis) topic: Topic,
    pub(in crate::redis) publication: Publication,
    pub(in crate::redis) origin: Option<SessionId>,
    pub(in crate::redis) rule: HistoryRule,
}

/// What became of one publish.
type Outcome = Result<Published, Refusal>;

/// What the server said of one publish.
enum Answer {
    Done(Outcome),
    /// There are too many topics; one may be forgotten.
    Topics,
}

impl Calls {
    /// Publishes in order; a fault concerns them all, and what became of them is then unknown.
    pub(in crate::redis) async fn publish(&self, batch: &[Publish]) -> Result<Vec<Outcome>, Fault> {
        let mut answers = self.attempt(batch).await?;
        if answers.iter().any(|answer| matches!(answer, Err(Fault::NoScript))) {
            self.load(Script::Publish).await?;
            let again: Vec<usize> = of(&answers, |answer| matches!(answer, Err(Fault::NoScript)));
            self.repeat(batch, &mut answers, &again).await?;
        }
        for at in of(&answers, |answer| matches!(answer, Ok(Answer::Topics))) {
            if self.make_room().await? {
                self.repeat(batch, &mut answers, &[at]).await?;
            }
        }
        let topics_max = self.bounds.topics;
        let outcome = |answer| match answer {
            Ok(Answer::Done(outcome)) => Ok(outcome),
            Ok(Answer::Topics) => Ok(Err(Refusal::TooManyTopics { topics_max })),
            Err(fault @ Fault::Full) => Ok(Err(Refusal::BackplaneFull { reason: fault.to_string().into() })),
            Err(fault) => Err(fault),
        };
        answers.into_iter().map(outcome).collect()
    }

    /// Tries those of the batch once more.
    async fn repeat(
        &self,
        batch: &[Publish],
        answers: &mut [Result<Answer, Fault>],
        again: &[usize],
    ) -> Result<(), Fault> {
        let mut pipeline = Pipeline::with_capacity(again.len());
        again.iter().for_each(|at| _ = pipeline.add_command(self.command(&batch[*at])));
        for (at, value) in again.iter().zip(self.ask_all(&pipeline).await?) {
            answers[*at] = self.answer(value);
        }
        Ok(())
    }

    async fn attempt(&self, batch: &[Publish]) -> Result<Vec<Result<Answer, Fault>>, Fault> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        batch.iter().for_each(|publish| _ = pipeline.add_command(self.command(publish)));
        let values = self.ask_all(&pipeline).await?;
        Ok(values.into_iter().map(|value| self.answer(value)).collect())
    }

    fn command(&self, publish: &Publish) -> Cmd {
        let Publish { topic, publication, origin, rule, .. } = publish;
        let name = topic.as_str();
        let (list, key) = (self.keys.list(name), publication.idempotency_key.as_deref());
        let repeated = key.map(|key| self.keys.repeated(name, key));
        let keys: Vec<&str> = [Some(list.as_str()), repeated.as_deref()].into_iter().flatten().collect();
        self.script(Script::Publish, &keys, |command| {
            command.arg(name).arg(encode(topic, publication, origin.map(|session| (self.node, session))));
            command.arg(rule.count).arg(rule.age_ms).arg(self.bounds.topics);
            let fingerprint = key.map_or(String::new(), |_| fingerprint(topic, publication));
            command.arg(fingerprint).arg(self.bounds.idempotency_ms);
            self.keys.channels(name).for_each(|channel| _ = command.arg(channel));
        })
    }

    fn answer(&self, value: Value) -> Result<Answer, Fault> {
        let Value::Array(values) = accepted(value)? else { return Err(Fault::odd("a publish")) };
        let mut values = values.into_iter();
        let said: String = parse(values.next().unwrap_or(Value::Nil), "a publish")?;
        let repeated = match said.as_str() {
            "published" => false,
            "repeated" => true,
            "mismatch" => return Ok(Answer::Done(Err(Refusal::IdempotencyMismatch))),
            "topics" => return Ok(Answer::Topics),
            _ => return Err(Fault::odd("a publish")),
        };
        let mut number = || parse::<u64>(values.next().unwrap_or(Value::Nil), "a publish");
        let (life, seq, heard) = (number()?, number()?, number()? > 0);
        if !repeated {
            self.saw(life, seq);
        }
        let position = Position { epoch: Epoch { partition: self.partition, life }, seq };
        Ok(Answer::Done(Ok(Published { position, heard, receivers: None, repeated })))
    }
}

/// Where the answers are for which `holds`.
fn of(answers: &[Result<Answer, Fault>], holds: impl Fn(&Result<Answer, Fault>) -> bool) -> Vec<usize> {
    answers.iter().enumerate().filter(|(_, answer)| holds(answer)).map(|(at, _)| at).collect()
}
