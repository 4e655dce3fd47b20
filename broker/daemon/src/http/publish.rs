//! Publishing one message over HTTP, and what a batch shares with that.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::{Draft, Published, Publishing, Refusal};
use fanfare_protocol::{ErrorCode, IDEMPOTENCY_KEY_BYTES_MAX, Publication, RequestError, Topic};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::{HeaderMap, Request, Uri};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Answer, problem};
use crate::node::Node;

/// `POST /v1/topics/{topic}`
pub(super) async fn one(node: &Node, request: Request<Incoming>) -> Answer {
    match publish_one(node, request).await {
        Ok(answer) => answer,
        Err(error) => error.answer(),
    }
}

/// Why a publish by HTTP failed.
pub(super) enum Failure {
    Request(RequestError),
    Refused(Refusal),
}

async fn publish_one(node: &Node, request: Request<Incoming>) -> Result<Answer, Failure> {
    let (head, body) = request.into_parts();
    let name = head.uri.path().strip_prefix(super::TOPICS).expect("the path was matched");
    let topic = parse_topic(node, name)?;
    let limits = &node.settings.limits;
    let patience = Duration::from_millis(limits.partial_frame_ms);
    let body = read_body(body, limits.frame_bytes, "limits.frame_bytes", patience).await?;
    let content_type = header(&head.headers, "Content-Type")?;
    let mut publication = Publication::from_body(content_type, body)?;
    publication.idempotency_key = idempotency_key(&head.headers)?;
    publication.ttl_s = ttl_s(&head.uri)?;
    let until = Instant::now() + Duration::from_millis(limits.publish_wait_ms);
    let published = publish(node, topic.clone(), publication, until).await.map_err(Failure::Refused)?;
    let mut out = Vec::with_capacity(128);
    render(&topic, &published, &mut out);
    Ok(super::json(out.into()))
}

/// Publishes, and waits for room until `until` if it must.
async fn publish(
    node: &Node,
    topic: Topic,
    publication: Publication,
    until: Instant,
) -> Result<Published, Refusal> {
    let (began, mut outcome) = (Instant::now(), None);
    let draft = Draft { topic, publication, origin: None, deaf: 0 };
    let publishing = node.broker.publish(node.clock.now(), draft, || {
        let (sender, receiver) = oneshot::channel();
        outcome = Some(receiver);
        // Who waited may be gone; the message is published all the same.
        Box::new(move |_, result| _ = sender.send(result))
    });
    let (ticket, mut outcome) = match (publishing, outcome) {
        (Publishing::Waits(ticket), Some(outcome)) => (ticket, outcome),
        (Publishing::Waits(_), None) => unreachable!("a publish that waits has a completion"),
        (Publishing::Done(result), _) => {
            node.metrics.published(result.is_ok(), began.elapsed());
            return result;
        }
    };
    let result = match tokio::time::timeout_at(until, &mut outcome).await {
        Ok(result) => result,
        Err(_) if node.broker.cancel(ticket) => {
            Ok(Err(node.broker.overdue(node.settings.limits.publish_wait_ms)))
        }
        Err(_) => outcome.await,
    };
    let result = result.expect("the broker keeps a completion until it calls it");
    node.metrics.published(result.is_ok(), began.elapsed());
    result
}

fn parse_topic(node: &Node, name: &str) -> Result<Topic, RequestError> {
    if let Some(topic) = node.broker.known_topic(name) {
        return Ok(topic);
    }
    super::history::topic(name)
}

/// The whole body, at most `limit` bytes; nothing is allocated for what is only declared.
pub(super) async fn read_body<B>(
    body: B,
    limit: usize,
    name: &str,
    patience: Duration,
) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = |size: String| {
        let reason = format!("the body has {size} bytes, the limit is {limit} ({name})");
        Failure::Request(RequestError { id: None, code: ErrorCode::TooLarge, reason })
    };
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        return Err(too_large(declared.to_string()));
    }
    let collected = tokio::time::timeout(patience, Limited::new(body, limit).collect()).await;
    let Ok(collected) = collected else {
        return Err(bad(format!("the body did not arrive within {patience:?} (limits.partial_frame)")));
    };
    match collected {
        // A copy, since the bytes are a part of hyper's far larger buffer, and a message may be kept for long.
        Ok(collected) => Ok(Bytes::copy_from_slice(&collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(format!("more than {limit}"))),
        Err(error) => Err(bad(format!("the body can't be read: {error}"))),
    }
}

pub(super) fn check_size(publication: &Publication, limit: usize) -> Result<(), RequestError> {
    let size = publication.payload.bytes().len();
    if size <= limit {
        return Ok(());
    }
    let reason = format!("data has {size} bytes, the limit is {limit} (limits.frame_bytes)");
    Err(RequestError { id: None, code: ErrorCode::TooLarge, reason })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Failure> {
    let Some(key) = header(headers, "Idempotency-Key")? else { return Ok(None) };
    if key.is_empty() {
        return Err(bad("header Idempotency-Key is empty".to_owned()));
    }
    if key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let length = key.len();
        let reason =
            format!("header Idempotency-Key has {length} bytes, the limit is {IDEMPOTENCY_KEY_BYTES_MAX}");
        return Err(RequestError { id: None, code: ErrorCode::TooLarge, reason }.into());
    }
    Ok(Some(key.into()))
}

/// The value of a header that may stand once at most: of two nobody knows which was meant.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let count = 1 + values.count();
    if count > 1 {
        return Err(bad(format!("header {name} stands {count} times, the limit is 1")));
    }
    value.to_str().map(Some).map_err(|_| bad(format!("header {name} is not ASCII")))
}

fn ttl_s(uri: &Uri) -> Result<Option<u32>, Failure> {
    let mut ttl_s = None;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        if name != "ttl_s" {
            let name = super::history::shorten(&name);
            return Err(bad(format!("unknown parameter {name}; `ttl_s` is known here")));
        }
        let Ok(seconds @ 1..) = value.parse::<u32>() else {
            let (value, most) = (super::history::shorten(&value), u32::MAX);
            return Err(bad(format!("ttl_s {value} is no whole number of seconds from 1 to {most}")));
        };
        ttl_s = Some(seconds);
    }
    Ok(ttl_s)
}

/// Appends the answer to one publish.
pub(super) fn render(topic: &Topic, published: &Published, out: &mut Vec<u8>) {
    let Published { position, heard, receivers, repeated } = *published;
    out.extend_from_slice(b"{\"topic\":");
    serde_json::to_writer(&mut *out, topic.as_str()).expect("a string is written to memory");
    let rest = write!(out, ",\"position\":\"{position}\",\"heard\":{heard}");
    rest.expect("memory takes what is written");
    if let Some(receivers) = receivers {
        write!(out, ",\"receivers\":{receivers}").expect("memory takes what is written");
    }
    if repeated {
        out.extend_from_slice(b",\"repeated\":true");
    }
    out.push(b'}');
}

fn bad(reason: String) -> Failure {
    Failure::Request(RequestError { id: None, code: ErrorCode::BadRequest, reason })
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Failure {
        Failure::Request(error)
    }
}

impl Failure {
    fn parts(&self) -> (ErrorCode, String, Option<u64>) {
        match self {
            Failure::Request(error) => (error.code, error.reason.clone(), None),
            Failure::Refused(refusal) => (refusal.code(), refusal.to_string(), refusal.retry_after_ms()),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let (code, detail, retry_after_ms) = self.parts();
        problem(code, &detail, retry_after_ms)
    }

    /// The error of one item of a batch.
    pub(super) fn item(&self) -> Value {
        let (code, detail, retry_after_ms) = self.parts();
        let mut error = json!({ "code": code.as_str(), "detail": detail });
        if let Some(retry_after_ms) = retry_after_ms {
            error["retry_after_ms"] = retry_after_ms.into();
        }
        json!({ "error": error })
    }
}
