//! Publishing a batch over HTTP.

use std::collections::VecDeque;
use std::time::Duration;

use fanfare_core::{Draft, Published, Publishing, Refusal, Ticket};
use fanfare_protocol::{ErrorCode, RequestError, Topic, decode_batch};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Answer;
use super::publish::{Failure, check_size, read_body, render};
use crate::node::Node;

type Outcome = Result<Published, Refusal>;

/// `POST /v1/publish`: each item its own success or error.
pub(super) async fn batch(node: &Node, body: axum::body::Body) -> Answer {
    let limits = &node.settings.limits;
    let patience = Duration::from_millis(limits.partial_frame_ms);
    let body = match read_body(body, limits.batch_bytes, "limits.batch_bytes", patience).await {
        Ok(body) => body,
        Err(failure) => return failure.answer(),
    };
    let items = match decode_batch(&body, limits.batch_items) {
        Ok(items) => items,
        Err(mut error) => {
            if error.code == ErrorCode::Limit {
                error.reason += " (limits.batch_items)";
            }
            return Failure::Request(error).answer();
        }
    };
    let mut drafts = VecDeque::with_capacity(items.len());
    let accept = |item: fanfare_protocol::BatchItem| -> Result<Topic, RequestError> {
        let (topic, publication) = item?;
        check_size(&publication, limits.frame_bytes)?;
        drafts.push_back(Draft { topic: topic.clone(), publication, origin: None, deaf: 0 });
        Ok(topic)
    };
    let accepted: Vec<_> = items.into_iter().map(accept).collect();
    let until = Instant::now() + Duration::from_millis(limits.publish_wait_ms);
    let mut outcomes = publish_all(node, drafts, until).await.into_iter();
    let mut out = Vec::with_capacity(accepted.len() * 96);
    out.extend_from_slice(b"{\"results\":[");
    for (index, topic) in accepted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let result = topic.map_err(Failure::Request).and_then(|topic| {
            let outcome = outcomes.next().expect("each draft has an outcome");
            outcome.map(|published| (topic, published)).map_err(Failure::Refused)
        });
        match result {
            Ok((topic, published)) => render(&topic, &published, &mut out),
            Err(failure) => out.extend_from_slice(failure.item().to_string().as_bytes()),
        }
    }
    out.extend_from_slice(b"]}");
    super::json(out.into())
}

/// Publishes in order, behind what ends the batch nothing; waits for all of them together until `until` if it must.
async fn publish_all(node: &Node, mut drafts: VecDeque<Draft>, until: Instant) -> Vec<Outcome> {
    let (began, count) = (Instant::now(), drafts.len());
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(count);
    while !drafts.is_empty() {
        let mut receivers = VecDeque::new();
        let begun = node.broker.publish_batch(node.clock.now(), &mut drafts, || {
            let (sender, receiver) = oneshot::channel();
            receivers.push_back(receiver);
            // Who waited may be gone; the message is published all the same.
            Box::new(move |_, outcome| _ = sender.send(outcome))
        });
        let first = outcomes.len();
        wait_for_all(node, begun, receivers, until, &mut outcomes).await;
        let now = &outcomes[first..];
        now.iter().for_each(|outcome| node.metrics.published(outcome.is_ok(), began.elapsed()));
        let ends = |outcome: &Outcome| outcome.as_ref().err().filter(|refusal| refusal.ends_batch()).cloned();
        if let Some(refusal) = now.iter().find_map(ends) {
            outcomes.resize(count, Err(refusal));
            break;
        }
    }
    outcomes
}

/// Adds what becomes of publishes, in order; those that are not answered until `until` are given up together.
async fn wait_for_all(
    node: &Node,
    begun: Vec<Publishing>,
    mut receivers: VecDeque<oneshot::Receiver<Outcome>>,
    until: Instant,
    outcomes: &mut Vec<Outcome>,
) {
    const KEPT: &str = "the broker keeps a completion until it calls it";
    let mut waits = VecDeque::with_capacity(receivers.len());
    for publishing in begun {
        match publishing {
            Publishing::Done(outcome) => outcomes.push(outcome),
            Publishing::Waits(ticket) => {
                waits.push_back((ticket, receivers.pop_front().expect("who waits has a completion")));
            }
        }
    }
    while let Some((_, receiver)) = waits.front_mut()
        && let Ok(outcome) = timeout_at(until, receiver).await
    {
        outcomes.push(outcome.expect(KEPT));
        waits.pop_front();
    }
    let tickets: Vec<Ticket> = waits.iter().map(|(ticket, _)| *ticket).collect();
    let cancelled = node.broker.cancel_batch(&tickets);
    for ((_, receiver), is_cancelled) in waits.into_iter().zip(cancelled) {
        outcomes.push(if is_cancelled {
            Err(node.broker.overdue(node.settings.limits.publish_wait_ms))
        } else {
            receiver.await.expect(KEPT)
        });
    }
}
