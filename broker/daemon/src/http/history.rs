//! Reading the history of one topic or of several filters, at once or as a long poll.

use std::rc::Rc;
use std::time::Duration;

use fanfare_core::{Filters, History, HistoryError, Pass, PollKey, Preparing, Refusal, Ticket};
use fanfare_protocol::{Cursor, Encoding, ErrorCode, Filter, RequestError, Topic, encode_history_body};
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::topics::Topics;
use super::{Answer, problem};
use crate::worker::Local;

/// What may stand in the query.
struct Query {
    topics: Topics,
    after: Option<Cursor>,
    limit: usize,
    wait: Duration,
}

/// Why there is no history to answer with.
enum Failure {
    Request(RequestError),
    Refused(Refusal),
}

/// Ends a wait for the backplane when it is dropped, be it because its client went away.
struct Awaiting<'a> {
    local: &'a Local,
    ticket: Ticket,
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.local.node.broker.cancel(self.ticket);
    }
}

/// Ends a long poll when it is dropped, be it because its client went away.
struct Waiting {
    local: Rc<Local>,
    key: PollKey,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.local.worker.borrow_mut().end_poll(self.key);
    }
}

/// `GET /v1/topics/{topic}/messages?after=&limit=&wait=`
pub(super) async fn read(local: &Rc<Local>, name: &str, query: &str) -> Answer {
    let asked = topic(name).and_then(|topic| {
        let query = Query::parse(local, query, false)?;
        Ok((Filters::from(Filter::from(&topic)), query))
    });
    answered(local, asked).await
}

/// `GET /v1/messages?topic=&topic=&after=&limit=&wait=`
pub(super) async fn read_several(local: &Rc<Local>, query: &str) -> Answer {
    let asked = Query::parse(local, query, true).and_then(|mut query| {
        let filters = std::mem::take(&mut query.topics).filters()?;
        Ok((filters, query))
    });
    answered(local, asked).await
}

async fn answered(local: &Rc<Local>, asked: Result<(Filters, Query), RequestError>) -> Answer {
    let answer = match asked {
        Ok((filters, query)) => answer(local, filters, query).await,
        Err(error) => Err(Failure::Request(error)),
    };
    match answer {
        Ok(answer) => answer,
        Err(Failure::Request(error)) => problem(error.code, &error.reason, None),
        Err(Failure::Refused(refusal)) => {
            problem(refusal.code(), &refusal.to_string(), refusal.retry_after_ms())
        }
    }
}

/// The topic whose name stands, percent-encoded, in a path.
pub(super) fn topic(name: &str) -> Result<Topic, RequestError> {
    let bad = |reason| RequestError { id: None, code: ErrorCode::BadTopic, reason };
    let name = percent_decode_str(name).decode_utf8();
    let name = name.map_err(|_| bad("the topic in the path is not UTF-8".to_owned()))?;
    Topic::parse(&name).map_err(|error| bad(format!("topic {} {error}", shorten(&name))))
}

async fn answer(local: &Rc<Local>, filters: Filters, query: Query) -> Result<Answer, Failure> {
    let count = filters.len();
    if !query.wait.is_zero() && !local.node.broker.has_room_for_filters(count) {
        let limit = local.node.settings.limits.filters;
        let reason = format!(
            "to wait for {count} topics is over the limit of {limit} subscriptions of all (limits.filters)"
        );
        return Err(Failure::Request(RequestError { id: None, code: ErrorCode::Limit, reason }));
    }
    let until = Instant::now() + query.wait;
    loop {
        let pass = prepare(local, &filters, query.after.as_ref()).await?;
        let (sender, ready) = oneshot::channel();
        let polled = local.worker.borrow_mut().poll_with(
            pass,
            local.node.clock.now(),
            &filters,
            query.after.as_ref(),
            query.limit,
            Box::new(move || _ = sender.send(())),
        );
        let (history, key) = polled?;
        let Some(key) = key else { return Ok(render(&history)) };
        let _waiting = Waiting { local: local.clone(), key };
        let is_over = query.wait.is_zero() || local.node.is_draining();
        if is_over || tokio::time::timeout_at(until, ready).await.is_err() {
            return Ok(render(&history));
        }
    }
}

/// Waits for what the history needs of the backplane.
async fn prepare(local: &Local, filters: &Filters, after: Option<&Cursor>) -> Result<Pass, Failure> {
    let (sender, admitted) = oneshot::channel();
    let broker = &local.node.broker;
    let now = local.node.clock.now();
    let preparing = broker.prepare(now, filters, after, Pass::default(), || {
        // Who waited may be gone.
        Box::new(move |_, result| _ = sender.send(result))
    });
    match preparing.map_err(HistoryError::from)? {
        Preparing::Ready(pass) => Ok(pass),
        Preparing::Refused(refusal) => Err(Failure::Refused(refusal)),
        Preparing::Waits(ticket) => {
            let _awaiting = Awaiting { local, ticket };
            let admitted = admitted.await.expect("the broker keeps a completion until it calls it");
            admitted.map_err(Failure::Refused)
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Failure {
        Failure::Request(error)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Failure {
        match error {
            HistoryError::BadCursor(error) => {
                let reason = format!("after: {error}");
                Failure::Request(RequestError { id: None, code: ErrorCode::BadCursor, reason })
            }
            HistoryError::Refused(refusal) => Failure::Refused(refusal),
        }
    }
}

impl Query {
    /// Reads a query, in which topics stand only where they do not stand in the path.
    fn parse(local: &Local, query: &str, has_topics: bool) -> Result<Query, RequestError> {
        let limits = &local.node.settings.limits;
        let bad = |code, reason| Err(RequestError { id: None, code, reason });
        let limit = limits.history_frames as usize;
        let mut parsed = Query { topics: Topics::default(), after: None, limit, wait: Duration::ZERO };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "topic" if has_topics => parsed.topics.add(&value)?,
                "after" => match value.parse() {
                    Ok(cursor) => parsed.after = Some(cursor),
                    Err(error) => {
                        return bad(ErrorCode::BadCursor, format!("after {} {error}", shorten(&value)));
                    }
                },
                "limit" => match value.parse::<u32>() {
                    Ok(limit @ 1..) => parsed.limit = limit.min(limits.history_frames) as usize,
                    _ => {
                        let most = u32::MAX;
                        let reason = format!("limit {} is no whole number from 1 to {most}", shorten(&value));
                        return bad(ErrorCode::BadRequest, reason);
                    }
                },
                "wait" => match value.parse::<u64>() {
                    Ok(wait_s) if wait_s <= limits.poll_wait_ms / 1_000 => {
                        parsed.wait = Duration::from_secs(wait_s)
                    }
                    _ => {
                        let most = limits.poll_wait_ms / 1_000;
                        let reason = format!(
                            "wait {} is no whole number of seconds from 0 to {most} (limits.poll_wait)",
                            shorten(&value)
                        );
                        return bad(ErrorCode::BadRequest, reason);
                    }
                },
                _ => {
                    let topic = if has_topics { "`topic`, " } else { "" };
                    let known = format!("{topic}`after`, `limit` and `wait` are known here");
                    let reason = format!("unknown parameter {}; {known}", shorten(&name));
                    return bad(ErrorCode::BadRequest, reason);
                }
            }
        }
        Ok(parsed)
    }
}

fn render(history: &History) -> Answer {
    let frames: Vec<Vec<u8>> = history.events.iter().map(|event| event.frame(Encoding::Json)).collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut body = Vec::new();
    encode_history_body(&frames, &Cursor::from(history.cursor), history.more, &mut body);
    super::json(body.into())
}

/// A value as it stands in an error: quoted, and at most 64 characters of it.
pub(crate) fn shorten(value: &str) -> String {
    let shown: String = value.chars().take(64).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    format!("\"{shown}{dots}\"")
}
