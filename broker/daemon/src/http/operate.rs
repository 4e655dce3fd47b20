//! What operators ask: topics, sessions, health and figures.

use bytes::Bytes;
use fanfare_core::{Broker, ClearCompletion, Clearing, SessionId, SessionInfo, TopicInfo};
use fanfare_protocol::{Epoch, ErrorCode, Filter, Position};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::history::shorten;
use super::{Answer, problem};
use crate::metrics::Fill;
use crate::node::{Command, Node};
use crate::redis::Backplane;

/// The most topics or sessions of one answer.
const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 100;

/// `GET /healthz`: the process answers.
pub(super) fn healthz() -> Answer {
    super::json(Bytes::from_static(b"{\"status\":\"ok\"}"))
}

/// `GET /readyz`: the node can deliver.
pub(super) fn readyz(node: &Node) -> Answer {
    if node.is_draining() {
        return problem(ErrorCode::Unavailable, "the broker is stopping", Some(1_000));
    }
    let limits = &node.settings.limits;
    if node.connections() >= limits.connections {
        let detail = format!("{} connections are open, the limit (limits.connections)", limits.connections);
        return problem(ErrorCode::Unavailable, &detail, Some(1_000));
    }
    let Some(backplane) = &node.backplane else {
        return super::json(json!({ "status": "ready", "backplane": "memory" }).to_string().into());
    };
    let trouble = backplane.health.trouble().or_else(|| node.broker.readiness(node.clock.now()).err());
    match trouble {
        Some(reason) => problem(ErrorCode::Unavailable, &reason, Some(1_000)),
        None => super::json(json!({ "status": "ready", "backplane": "redis" }).to_string().into()),
    }
}

/// `GET /metrics`, in the text format of Prometheus.
pub(super) async fn metrics(node: &Node) -> Answer {
    let mut all = Fill::default();
    for door in &node.workers {
        let (sender, receiver) = oneshot::channel();
        if door.ask(Command::Fill(sender)).is_err() {
            return busy();
        }
        let Ok(fill) = receiver.await else { return busy() };
        all.sessions += fill.sessions;
        all.streams += fill.streams;
        all.outbox_bytes += fill.outbox_bytes;
        all.outbox_items += fill.outbox_items;
    }
    let text = node.metrics.render(node, all);
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    super::bytes(StatusCode::OK, media_type, text.into())
}

/// `GET /v1/topics?filter=&after=&limit=`
pub(super) async fn topics(node: &Node, query: &str) -> Answer {
    let (mut filter, mut after, mut limit) = (None, None, LIMIT_DEFAULT);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "filter" => match Filter::parse(&value) {
                Ok(parsed) => filter = Some(parsed),
                Err(error) => {
                    let detail = format!("filter {} {error}", shorten(&value));
                    return problem(ErrorCode::BadFilter, &detail, None);
                }
            },
            "after" => after = Some(value.into_owned()),
            "limit" => match parse_limit(&value) {
                Ok(parsed) => limit = parsed,
                Err(detail) => return problem(ErrorCode::BadRequest, &detail, None),
            },
            _ => {
                let detail = format!(
                    "unknown parameter {}; `filter`, `after` and `limit` are known here",
                    shorten(&name)
                );
                return problem(ErrorCode::BadRequest, &detail, None);
            }
        }
    }
    let all = Filter::parse(">").expect("`>` is a filter");
    if let Some(backplane) = &node.backplane {
        return topics_everywhere(&node.broker, backplane, filter.unwrap_or(all), after, limit).await;
    }
    let mut found = node.broker.list_topics(filter.as_ref().unwrap_or(&all), after.as_deref(), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let topics: Vec<Value> = found.iter().map(topic).collect();
    super::json(json!({ "topics": topics, "more": more }).to_string().into())
}

/// The topics of all nodes, as the backplane knows them.
async fn topics_everywhere(
    broker: &Broker,
    backplane: &Backplane,
    filter: Filter,
    after: Option<String>,
    limit: usize,
) -> Answer {
    let page = match backplane.topics(filter, after, limit).await {
        Ok(page) => page,
        Err(reason) => return problem(ErrorCode::Unavailable, &reason, Some(1_000)),
    };
    let followers = broker.followers(page.topics.iter().map(|found| &found.name));
    let topics = page.topics.into_iter().zip(followers).map(|(found, followers)| {
        let epoch = Epoch { partition: 0, life: found.life };
        let position = Position { epoch, seq: found.last };
        json!({
            "topic": found.name.as_str(),
            "position": position.to_string(),
            "kept": found.kept,
            "time": found.time,
            "subscriptions": followers,
        })
    });
    let topics: Vec<Value> = topics.collect();
    super::json(json!({ "topics": topics, "more": page.more }).to_string().into())
}

/// `DELETE /v1/topics/{topic}/messages`
pub(super) async fn clear(node: &Node, name: &str) -> Answer {
    let topic = match super::history::topic(name) {
        Ok(topic) => topic,
        Err(error) => return problem(error.code, &error.reason, None),
    };
    let (sender, receiver) = oneshot::channel();
    // Who asked may be gone; the topic is cleared all the same.
    let completion = || Box::new(move |_, result| _ = sender.send(result)) as ClearCompletion;
    let cleared = match node.broker.clear_everywhere(node.clock.now(), &topic, completion) {
        Clearing::Done(cleared) => Ok(cleared),
        Clearing::Refused(refusal) => Err(refusal),
        Clearing::Waits(_) => receiver.await.expect("the broker keeps a completion until it calls it"),
    };
    match cleared {
        Ok(cleared) => super::json(json!({ "topic": topic.as_str(), "cleared": cleared }).to_string().into()),
        Err(refusal) => problem(refusal.code(), &refusal.to_string(), refusal.retry_after_ms()),
    }
}

/// `GET /v1/sessions?after=&limit=`
pub(super) async fn sessions(node: &Node, query: &str) -> Answer {
    let (after, limit) = match page_of_sessions(query) {
        Ok(page) => page,
        Err(detail) => return problem(ErrorCode::BadRequest, &detail, None),
    };
    let mut found = Vec::new();
    for door in &node.workers {
        let (sender, receiver) = oneshot::channel();
        let asked = door.ask(Command::Sessions(sender)).is_ok();
        match receiver.await {
            Ok(infos) if asked => found.extend(infos.into_iter().filter(|info| Some(info.id) > after)),
            _ => return busy(),
        }
    }
    found.sort_by_key(|info| info.id);
    let more = found.len() > limit;
    let sessions: Vec<Value> = found.iter().take(limit).map(session).collect();
    super::json(json!({ "sessions": sessions, "more": more }).to_string().into())
}

/// `DELETE /v1/sessions/{id}`
pub(super) async fn disconnect(node: &Node, id: &str) -> Answer {
    let absent = || problem(ErrorCode::NotFound, &format!("there is no session {}", shorten(id)), None);
    let Ok(number) = id.parse() else { return absent() };
    for door in &node.workers {
        let (sender, receiver) = oneshot::channel();
        if door.ask(Command::Disconnect(SessionId(number), sender)).is_err() {
            return busy();
        }
        match receiver.await {
            Ok(true) => {
                return super::json(json!({ "session": id, "disconnected": true }).to_string().into());
            }
            Ok(false) => {}
            Err(_) => return busy(),
        }
    }
    absent()
}

/// After which session, and at most how many.
fn page_of_sessions(query: &str) -> Result<(Option<SessionId>, usize), String> {
    let (mut after, mut limit) = (None, LIMIT_DEFAULT);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "after" => match value.parse() {
                Ok(number) => after = Some(SessionId(number)),
                Err(_) => {
                    return Err(format!(
                        "after {} is no session: it is a number, as in a list",
                        shorten(&value)
                    ));
                }
            },
            "limit" => limit = parse_limit(&value)?,
            _ => {
                let name = shorten(&name);
                return Err(format!("unknown parameter {name}; `after` and `limit` are known here"));
            }
        }
    }
    Ok((after, limit))
}

fn parse_limit(value: &str) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("limit {} is no whole number from 1 to {LIMIT_MAX}", shorten(value)))
}

fn busy() -> Answer {
    problem(ErrorCode::Unavailable, "a worker has too much to do to answer", Some(1_000))
}

fn topic(info: &TopicInfo) -> Value {
    json!({
        "topic": info.name.as_str(),
        "position": info.position.to_string(),
        "published": info.published,
        "kept": info.kept,
        "time": info.time,
        "subscriptions": info.followers,
    })
}

fn session(info: &SessionInfo) -> Value {
    json!({
        "session": info.id.0.to_string(),
        "protocol": info.edge.protocol(),
        "open_ms": info.open_ms,
        "subscriptions": info.filters.iter().map(Filter::as_str).collect::<Vec<_>>(),
        "outbox_bytes": info.outbox_bytes,
        "outbox_items": info.outbox_items,
    })
}
