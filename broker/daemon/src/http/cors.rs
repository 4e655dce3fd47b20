//! What lets a listed page read the answers (the Fetch standard's CORS protocol).
//!
//! Requests from elsewhere never come this far: the origin rule refused them. The broker's own pages need no headers.

use fanfare_protocol::ErrorCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};

use super::{Answer, problem};

/// The headers that a page may send, and those that it may read.
const SENT: &str = "authorization, content-type, idempotency-key, last-event-id";
const READ: &str = "retry-after";
/// How long a browser may remember the answer to its preflight, in seconds.
const MAX_AGE_S: &str = "600";

/// The answer to a preflight; none, if the request is not one.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Answer> {
    if method != Method::OPTIONS {
        return None;
    }
    if !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return Some(problem(
            ErrorCode::MethodNotAllowed,
            "OPTIONS is served to the preflights of pages alone",
            None,
        ));
    }
    let mut answer = super::bytes(StatusCode::NO_CONTENT, "text/plain", bytes::Bytes::new());
    let allowed: [(HeaderName, &str); 3] = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, SENT),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
    ];
    for (name, value) in allowed {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(answer)
}

/// Lets the page of `origin`, which the origin rule let pass, read the answer.
pub(super) fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    headers.append(VARY, HeaderValue::from_static(ORIGIN.as_str()));
}
