//! One publisher: a thread with one connection and one request at a time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::crowd::Board;
use super::latencies::Latencies;
use super::plan::{Plan, Template};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// A message that is published so much after its time is counted as late.
const LATE: Duration = Duration::from_millis(10);

/// What one publisher has met.
#[derive(Debug)]
pub(super) struct Answers {
    /// Messages that have their place, by topic.
    pub(super) accepted_by_topic: Vec<u64>,
    pub(super) refused: u64,
    pub(super) late: u64,
    pub(super) latencies: Latencies,
    /// The first refusal.
    pub(super) refusal: Option<String>,
}

/// When publishing began, and how much was begun, over all publishers.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Where the clock in the data begins.
    pub(super) begun: Instant,
    pub(super) first: Instant,
    pub(super) taken: AtomicU64,
}

impl Schedule {
    /// The number of the next publish and the time at which it is due; `None` when time is over.
    fn next(&self, plan: &Plan) -> Option<(u64, Instant)> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = match plan.rate {
            Some(rate) => self.first + Duration::from_secs_f64(number as f64 / f64::from(rate)),
            None => Instant::now(),
        };
        (due < self.first + plan.time).then_some((number, due))
    }
}

/// Publishes what is due, until time or the run is over.
///
/// A message says when it was due, so that a broker that keeps publishers waiting is not the better for it.
pub(super) fn publish(plan: &Plan, schedule: &Schedule, board: &Board) -> anyhow::Result<Answers> {
    let mut stream = connect(plan)?;
    let mut templates: Vec<Template> = (0..plan.topics).map(|topic| plan.template(topic)).collect();
    let mut answers = Answers {
        accepted_by_topic: vec![0; plan.topics],
        refused: 0,
        late: 0,
        latencies: Latencies::default(),
        refusal: None,
    };
    while let Some((number, due)) = schedule.next(plan) {
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() && board.is_over_within(wait) {
            break;
        }
        let topic = (number % plan.topics as u64) as usize;
        let asked = Instant::now();
        answers.late += u64::from(asked.saturating_duration_since(due) > LATE);
        let since_begun = due.saturating_duration_since(schedule.begun).as_nanos() as u64;
        let (status, body) = ask(&mut stream, templates[topic].at(since_begun))?;
        answers.latencies.add(asked.elapsed().as_nanos() as u64);
        let accepted = if status == 200 { count(&body, b"\"position\":") } else { 0 };
        answers.accepted_by_topic[topic] += accepted as u64;
        answers.refused += (plan.batch - accepted.min(plan.batch)) as u64;
        if accepted < plan.batch {
            answers.refusal.get_or_insert_with(|| String::from_utf8_lossy(&body).into_owned());
        }
        if status != 200 {
            // Who refuses a body may close instead of reading it.
            stream = connect(plan)?;
        }
    }
    Ok(answers)
}

fn connect(plan: &Plan) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(plan.server).context("a publisher can't connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}

/// Sends a request; its answer may come before all of it is sent.
fn ask(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let sent = stream.write_all(request);
    let answered = read_answer(stream);
    match (sent, answered) {
        (_, Ok(answer)) => Ok(answer),
        (Err(error), Err(_)) => Err(error).context("a publish can't be sent"),
        (Ok(()), Err(error)) => Err(error).context("a publish was not answered"),
    }
}

/// The status and body of the answer to one request.
pub(super) fn read_answer(stream: &mut TcpStream) -> anyhow::Result<(u16, Vec<u8>)> {
    let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        if let Some((status, start)) = whole(&answer)? {
            return Ok((status, answer.split_off(start)));
        }
        match stream.read(&mut chunk)? {
            0 => bail!("the broker closed the connection"),
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
}

/// The status of a whole answer and where its body begins; `None` while it is not whole.
fn whole(answer: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&answer[..end]).context("an answer's head is no text")?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).context("an answer has no status")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let start = end + 4;
    let length = length.context("an answer has no Content-Length")?;
    Ok((answer.len() >= start + length).then_some((status, start)))
}

fn count(body: &[u8], word: &[u8]) -> usize {
    body.windows(word.len()).filter(|found| *found == word).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_once_it_is_whole() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"position\":\"0\"}";
        assert_eq!(whole(&answer[..answer.len() - 1]).unwrap(), None);
        let (status, start) = whole(answer).unwrap().unwrap();
        assert_eq!((status, count(&answer[start..], b"\"position\":")), (200, 1));
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
