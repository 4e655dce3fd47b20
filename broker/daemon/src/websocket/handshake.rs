//! The opening handshake (RFC 6455, section 4): who may switch to the subprotocol, and the switch itself.
//!
//! The library that builds the 101 looks at the key and the version only; what else the RFC asks for is checked
//! here. `Origin` and `Host` are checked before, for every request alike.

use std::fmt;

use bytes::Bytes;
use fanfare_protocol::{Encoding, ErrorCode};
use fastwebsockets::WebSocketError;
use http_body_util::Empty;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};

/// Before the JWT in an offered subprotocol that carries one.
const BEARER_PREFIX: &str = "fanfare.bearer.";

/// What a checked handshake agreed on.
#[derive(PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The client's first known offer.
    pub(crate) encoding: Encoding,
    /// The JWT among the offers; never echoed and never logged.
    pub(crate) token: Option<String>,
}

/// Why there is no upgrade; the answer to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The status to answer.
    pub(crate) status: StatusCode,
    /// The stable word in the body.
    pub(crate) code: ErrorCode,
    /// Why, for people.
    pub(crate) detail: String,
    /// What the status asks to be said in headers.
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

/// Checks everything in a request to upgrade but where it comes from.
pub(crate) fn check<B>(request: &Request<B>) -> Result<Accepted, Refused> {
    let headers = request.headers();
    check_request_line(request.version(), request.method())?;
    check_upgrade(headers)?;
    check_version(headers)?;
    check_key(headers)?;
    check_body(headers)?;
    choose(headers)
}

/// The socket to come and the 101 to answer, for a request that `check` accepted.
///
/// The socket is there once the answer is written, and with it may come bytes that were read past the request.
pub(crate) fn switch<B>(
    request: &mut Request<B>,
    encoding: Encoding,
) -> Result<(OnUpgrade, Response<Empty<Bytes>>), WebSocketError> {
    let socket = hyper::upgrade::on(&mut *request);
    let (mut response, _) = fastwebsockets::upgrade::upgrade(request)?;
    let subprotocol = HeaderValue::from_static(encoding.subprotocol());
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    Ok((socket, response))
}

fn check_request_line(version: Version, method: &Method) -> Result<(), Refused> {
    if version != Version::HTTP_11 {
        return Err(bad_request(format!(
            "the upgrade to a WebSocket is served over HTTP/1.1, not {version:?}"
        )));
    }
    if method != Method::GET {
        return Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: ErrorCode::MethodNotAllowed,
            detail: format!("a WebSocket is opened with GET, not {method}"),
            headers: &[("allow", "GET")],
        });
    }
    Ok(())
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), Refused> {
    let detail = if !has_token(headers, UPGRADE, "websocket") {
        "this address is a WebSocket's, and the request does not ask for the upgrade to one"
    } else if !has_token(headers, CONNECTION, "upgrade") {
        "the header \"Connection: Upgrade\" is missing; a proxy on the way may have dropped it"
    } else {
        return Ok(());
    };
    Err(upgrade_required(detail, &[("upgrade", "websocket"), ("connection", "upgrade")]))
}

fn check_version(headers: &HeaderMap) -> Result<(), Refused> {
    if sole(headers, SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13") {
        return Ok(());
    }
    Err(upgrade_required(
        "the header \"Sec-WebSocket-Version\" must be 13",
        &[("sec-websocket-version", "13")],
    ))
}

/// The key must be the base64 of 16 bytes: 22 characters and two signs of padding.
fn check_key(headers: &HeaderMap) -> Result<(), Refused> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let digits = sole(headers, SEC_WEBSOCKET_KEY).and_then(|key| key.as_bytes().strip_suffix(b"=="));
    if digits.is_some_and(|digits| digits.len() == 22 && digits.iter().all(|byte| is_base64(*byte))) {
        return Ok(());
    }
    Err(bad_request("there must be one header \"Sec-WebSocket-Key\", the base64 of 16 bytes"))
}

/// A body would be taken for frames.
fn check_body(headers: &HeaderMap) -> Result<(), Refused> {
    let is_empty = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    Err(bad_request("a request to upgrade has no body"))
}

/// Chooses among the subprotocols offered; what was offered stands in no refusal, for it may hold a token.
fn choose(headers: &HeaderMap) -> Result<Accepted, Refused> {
    let mut offers = Vec::new();
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let Ok(line) = line.to_str() else {
            return Err(bad_request("the header \"Sec-WebSocket-Protocol\" must be ASCII"));
        };
        offers.extend(line.split(',').map(str::trim));
    }
    let mut tokens = offers.iter().filter_map(|offer| offer.strip_prefix(BEARER_PREFIX));
    let token = tokens.next();
    if token.is_some_and(str::is_empty) || tokens.next().is_some() {
        return Err(bad_request(format!("\"{BEARER_PREFIX}<JWT>\" must be offered once and carry a token")));
    }
    let Some(encoding) = Encoding::choose(offers.iter().copied()) else {
        let [json, msgpack] = Encoding::ALL.map(Encoding::subprotocol);
        let detail = format!("the header \"Sec-WebSocket-Protocol\" must offer {json:?} or {msgpack:?}");
        return Err(bad_request(detail));
    };
    Ok(Accepted { encoding, token: token.map(str::to_owned) })
}

/// True if the lists of the header, over all its lines, have `token` in whatever case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The header's value if there is exactly one.
fn sole(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn bad_request(detail: impl Into<String>) -> Refused {
    let status = StatusCode::BAD_REQUEST;
    Refused { status, code: ErrorCode::BadRequest, detail: detail.into(), headers: &[] }
}

fn upgrade_required(detail: &str, headers: &'static [(&'static str, &'static str)]) -> Refused {
    let status = StatusCode::UPGRADE_REQUIRED;
    Refused { status, code: ErrorCode::BadRequest, detail: detail.to_owned(), headers }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(secret)");
        f.debug_struct("Accepted").field("encoding", &self.encoding).field("token", &token).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "WebSocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "fanfare.v1.json"),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/v1/ws");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// A good request in which the header `name` has the given lines.
    fn request_with(name: &str, lines: &[&str]) -> Request<()> {
        let others = GOOD.into_iter().filter(|(other, _)| *other != name);
        request(&others.chain(lines.iter().map(|line| (name, *line))).collect::<Vec<_>>())
    }

    fn refusal(request: &Request<()>) -> (u16, ErrorCode, &'static [(&'static str, &'static str)]) {
        let refused = check(request).unwrap_err();
        (refused.status.as_u16(), refused.code, refused.headers)
    }

    #[test]
    fn a_whole_handshake_is_accepted() {
        let accepted = Accepted { encoding: Encoding::Json, token: None };
        assert_eq!(check(&request(&GOOD)), Ok(accepted));
    }

    #[test]
    fn only_get_over_http_1_1_upgrades() {
        let mut posted = request(&GOOD);
        *posted.method_mut() = Method::POST;
        assert_eq!(refusal(&posted), (405, ErrorCode::MethodNotAllowed, &[("allow", "GET")][..]));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut request = request(&GOOD);
            *request.version_mut() = version;
            assert_eq!(refusal(&request), (400, ErrorCode::BadRequest, &[][..]), "{version:?}");
        }
    }

    #[test]
    fn a_plain_get_is_told_to_upgrade() {
        let headers = &[("upgrade", "websocket"), ("connection", "upgrade")][..];
        for (name, lines) in [
            ("Upgrade", &[][..]),
            ("Upgrade", &["h2c", "websockets"]),
            ("Connection", &[]),
            ("Connection", &["keep-alive"]),
        ] {
            assert_eq!(
                refusal(&request_with(name, lines)),
                (426, ErrorCode::BadRequest, headers),
                "{lines:?}"
            );
        }
        assert!(check(&request_with("Upgrade", &["h2c, websocket"])).is_ok());
        assert!(check(&request_with("Connection", &["keep-alive", "upgrade"])).is_ok());
    }

    #[test]
    fn another_version_is_told_which_is_spoken() {
        for lines in [&[][..], &["8"], &["013"], &["13, 8"], &["13", "13"]] {
            let expected = (426, ErrorCode::BadRequest, &[("sec-websocket-version", "13")][..]);
            assert_eq!(refusal(&request_with("Sec-WebSocket-Version", lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_key_is_one_base64_of_16_bytes() {
        let good = "dGhlIHNhbXBsZSBub25jZQ==";
        for lines in [
            &[][..],
            &[""],
            &["="],
            &["dGhlIHNhbXBsZSBub25jZQ="],
            &["dGhlIHNhbXBsZSBub25jZQ"],
            &["dGhlIHNhbXBsZSBub25jZQAA"],
            &["dGhlIHNhbXBsZSBub25jZQAA=="],
            &["dGhlIHNhbXBsZS-ub25jZQ=="],
            &[good, good],
        ] {
            let expected = (400, ErrorCode::BadRequest, &[][..]);
            assert_eq!(refusal(&request_with("Sec-WebSocket-Key", lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_body_is_refused() {
        for header in [("Content-Length", "1"), ("Transfer-Encoding", "chunked")] {
            let headers = [&GOOD[..], &[header]].concat();
            assert_eq!(refusal(&request(&headers)), (400, ErrorCode::BadRequest, &[][..]), "{header:?}");
        }
        assert!(check(&request(&[&GOOD[..], &[("Content-Length", "0")]].concat())).is_ok());
    }

    #[test]
    fn the_first_known_offer_and_the_token_are_taken() {
        for (lines, encoding, token) in [
            (&["fanfare.v1.msgpack"][..], Encoding::MessagePack, None),
            (&["fanfare.v2.json,fanfare.v1.json , fanfare.v1.msgpack"], Encoding::Json, None),
            (&["fanfare.v1.json", "fanfare.bearer.a.b-c._"], Encoding::Json, Some("a.b-c._")),
            (&["fanfare.bearer.a.b.c, fanfare.v1.msgpack"], Encoding::MessagePack, Some("a.b.c")),
        ] {
            let accepted = Accepted { encoding, token: token.map(str::to_owned) };
            assert_eq!(check(&request_with("Sec-WebSocket-Protocol", lines)), Ok(accepted), "{lines:?}");
        }
    }

    #[test]
    fn without_a_known_offer_the_two_are_named() {
        for lines in [&[][..], &[""], &["chat", "fanfare.v1.JSON"], &["fanfare.bearer.a.b.c"]] {
            let refused = check(&request_with("Sec-WebSocket-Protocol", lines)).unwrap_err();
            assert_eq!((refused.status.as_u16(), refused.code), (400, ErrorCode::BadRequest), "{lines:?}");
            assert!(Encoding::ALL.iter().all(|known| refused.detail.contains(known.subprotocol())));
        }
    }

    #[test]
    fn a_token_is_offered_once_and_never_told() {
        for lines in [
            &["fanfare.v1.json, fanfare.bearer."][..],
            &["fanfare.v1.json", "fanfare.bearer.secret", "fanfare.bearer.other"],
            &["fanfare.bearer.secret"],
        ] {
            let refused = check(&request_with("Sec-WebSocket-Protocol", lines)).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{lines:?}");
            assert!(!refused.detail.contains("secret"), "{lines:?}");
        }
        let offers = ["fanfare.v1.json, fanfare.bearer.hidden"];
        let accepted = check(&request_with("Sec-WebSocket-Protocol", &offers)).unwrap();
        assert!(!format!("{accepted:?}").contains("hidden"));
    }

    #[test]
    fn the_switch_answers_with_the_one_subprotocol() {
        let offers = ["fanfare.v1.msgpack, fanfare.v1.json, fanfare.bearer.a.b.c"];
        let mut request = request_with("Sec-WebSocket-Protocol", &offers);
        let (_, response) = switch(&mut request, Encoding::MessagePack).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        for (name, value) in [
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "fanfare.v1.msgpack"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
        ] {
            let lines: Vec<&HeaderValue> = response.headers().get_all(name).iter().collect();
            assert_eq!(lines, [value], "{name}");
        }
    }
}
