//! The HTTP edge: every request passes the origin rule, then goes to the hot paths by hand or to the router.

mod batch;
mod connection;
mod cors;
mod history;
mod lasting;
mod operate;
mod page;
mod publish;
mod router;
mod topics;

use std::rc::Rc;

use bytes::Bytes;
use fanfare_core::Limits;
use fanfare_protocol::ErrorCode;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::sse::{self, EventStream};
use crate::websocket;
use crate::worker::Local;
pub(crate) use connection::{Peer, serve};
pub(crate) use history::shorten;
pub(crate) use router::router;
pub(crate) use topics::Topics;

/// What stands before a topic in a path.
const TOPICS: &str = "/v1/topics/";

/// What is answered: bytes of our own, or what the router made.
pub(crate) type Answer = Response<Either<Full<Bytes>, axum::body::Body>>;

/// What goes out: a stream of events, or an answer.
pub(crate) type Reply = Response<Either<EventStream, Either<Full<Bytes>, axum::body::Body>>>;

async fn answer(local: Rc<Local>, peer: Rc<Peer>, request: Request<Incoming>) -> Reply {
    let _place = local.node.place_request();
    let answer = admit(&local, &peer, request).await;
    local.node.metrics.answered(answer.status());
    answer
}

/// Refuses what comes from where it may not; a listed page may read its answer.
async fn admit(local: &Rc<Local>, peer: &Rc<Peer>, request: Request<Incoming>) -> Reply {
    if let Err(error) = local.node.origin.check(request.uri(), request.headers()) {
        return problem(error.code(), &error.to_string(), None).map(Either::Right);
    }
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return reply(local, peer, request).await;
    };
    let mut answer = match cors::preflight(request.method(), request.headers()) {
        Some(answer) => answer.map(Either::Right),
        None => reply(local, peer, request).await,
    };
    cors::allow(origin, answer.headers_mut());
    answer
}

async fn reply(local: &Rc<Local>, peer: &Rc<Peer>, request: Request<Incoming>) -> Reply {
    if request.uri().path() != "/v1/sse" {
        return route(local, peer, request).await.map(Either::Right);
    }
    sse::open(local, peer, &request)
}

async fn route(local: &Rc<Local>, peer: &Rc<Peer>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path == "/v1/ws" {
        return websocket::upgrade(local, peer, request);
    }
    if path == "/v1/messages" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return history::read_several(local, request.uri().query().unwrap_or("")).await;
    }
    if let Some(name) = path.strip_prefix(TOPICS) {
        let (name, of) = match name.split_once('/') {
            Some((name, of)) => (name, Some(of)),
            None => (name, None),
        };
        match (request.method(), of) {
            (&Method::POST, None) => return publish::one(&local.node, request).await,
            (&Method::GET | &Method::HEAD, Some("messages")) => {
                return history::read(local, name, request.uri().query().unwrap_or("")).await;
            }
            (&Method::DELETE, Some("messages")) => return operate::clear(&local.node, name).await,
            (_, None | Some("messages")) => {}
            (_, Some("presence")) => {
                return problem(ErrorCode::Unsupported, "presence is not served yet", None);
            }
            (_, Some(_)) => {
                let detail = "the segments of a topic are parted by dots, as in orders.eu; \
                              a slash in its name is written %2F";
                return problem(ErrorCode::BadTopic, detail, None);
            }
        }
    }
    router::call(local.router.clone(), request).await
}

/// An error as RFC 9457 has it, with the protocol's stable word.
pub(crate) fn problem(code: ErrorCode, detail: &str, retry_after_ms: Option<u64>) -> Answer {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    problem_with(status, code, detail, retry_after_ms)
}

/// An error with a status that is not the code's own, and headers that it asks for.
pub(crate) fn refused(
    status: StatusCode,
    code: ErrorCode,
    detail: &str,
    headers: &'static [(&'static str, &'static str)],
) -> Answer {
    let mut answer = problem_with(status, code, detail, None);
    for (name, value) in headers {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

fn problem_with(status: StatusCode, code: ErrorCode, detail: &str, retry_after_ms: Option<u64>) -> Answer {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code.as_str(),
        "detail": detail,
    });
    if let Some(retry_after_ms) = retry_after_ms {
        body["retry_after_ms"] = retry_after_ms.into();
    }
    let mut answer = bytes(status, "application/problem+json", body.to_string().into());
    if let Some(retry_after_ms) = retry_after_ms {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000)));
    }
    answer
}

/// Whoever brings a token is told that it is not looked at.
pub(crate) fn tokens_unserved() -> Answer {
    problem(ErrorCode::Unsupported, "tokens are not served by this broker: come without one", None)
}

/// No further session may come from the address of `peer`.
pub(crate) fn too_many_sessions(limits: &Limits, peer: &Peer) -> Answer {
    let (address, limit) = (peer.address.ip(), limits.sessions_per_address);
    let detail =
        format!("{address} has {limit} sessions, the limit of one address (limits.sessions_per_address)");
    problem(ErrorCode::Limit, &detail, None)
}

/// A JSON answer that no cache keeps.
pub(crate) fn json(body: Bytes) -> Answer {
    bytes(StatusCode::OK, "application/json", body)
}

/// An answer with these bytes.
pub(crate) fn bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A body of these bytes.
pub(crate) fn full(body: Bytes) -> Either<Full<Bytes>, axum::body::Body> {
    Either::Left(Full::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_retry_is_told_in_seconds_rounded_up() {
        for (ms, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2")] {
            let answer = problem(ErrorCode::Overloaded, "no room", Some(ms));
            assert_eq!(answer.headers()[RETRY_AFTER], seconds, "{ms}");
        }
        assert!(!problem(ErrorCode::Limit, "too many", None).headers().contains_key(RETRY_AFTER));
    }
}
