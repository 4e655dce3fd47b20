//! Where a request may come from: the rule of `Host` and `Origin` that stands before every other check.
//!
//! A browser lets any page send requests anywhere and says in `Origin` which page it was. On loopback, where
//! there are no keys by default, a page could also have its own name resolve to this machine (DNS rebinding);
//! then `Host` gives it away.

use std::net::{IpAddr, Ipv6Addr};

use fanfare_protocol::ErrorCode;
use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use thiserror::Error;

/// Who may call, as configured.
#[derive(Debug)]
pub(crate) struct OriginRule {
    listed: Vec<Listed>,
    on_loopback: bool,
}

/// A configured entry that can match no page.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{0:?} in `origins` is no origin: write it as \"https://app.example\", without a path")]
pub(crate) struct BadOriginListed(String);

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum OriginError {
    /// A header that must be there, or not twice.
    #[error("there must be one header `Host`")]
    NotOneHost,
    /// A host that can't be read, or a target that contradicts it.
    #[error("`Host` {0:?} is no name or address with its port, or not the one that the request is sent to")]
    BadHost(String),
    /// A name of this machine that only a rebound one could be.
    #[error(
        "the broker listens on loopback and does not go by the name {0:?}: \
         if it should, set `origins = [\"https://{0}\"]`"
    )]
    ForeignHost(String),
    /// More than one `Origin`, or one that is no text.
    #[error("there must be at most one header `Origin`, in ASCII")]
    BadOrigin,
    /// A page that hides where it is from: a file, or a frame in a sandbox.
    #[error("pages without an origin, such as files, may not call: serve the page over HTTP")]
    NoOrigin,
    /// A page that is not listed.
    #[error("pages of {0:?} may not call: if they should, set `origins = [{0:?}]`")]
    ForeignOrigin(String),
}

/// One listed origin; lower case.
#[derive(Debug)]
struct Listed {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A host as written, an IPv6 address in its brackets, and a port.
#[derive(Debug, Clone, Copy)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

/// The scheme, host and port of a page; a port that is the scheme's own is left out.
#[derive(Debug, Clone, Copy)]
struct Page<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl OriginRule {
    /// The rule for the origins listed.
    pub(crate) fn new(listed: &[String], on_loopback: bool) -> Result<OriginRule, BadOriginListed> {
        let listed = listed.iter().map(|entry| Listed::parse(entry)).collect::<Result<_, _>>()?;
        Ok(OriginRule { listed, on_loopback })
    }

    /// Refuses a request that no listed page, no page of the broker's own and no program on its own sent.
    pub(crate) fn check(&self, target: &Uri, headers: &HeaderMap) -> Result<(), OriginError> {
        let host = host(target, headers)?;
        self.check_host(host)?;
        match single(headers, ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.allows(origin, host) => Ok(()),
            Ok(Some("null")) => Err(OriginError::NoOrigin),
            Ok(Some(origin)) => Err(OriginError::ForeignOrigin(origin.to_owned())),
            Err(NotOne) => Err(OriginError::BadOrigin),
        }
    }

    fn check_host(&self, host: Option<Authority<'_>>) -> Result<(), OriginError> {
        if !self.on_loopback {
            return Ok(());
        }
        let host = host.ok_or(OriginError::NotOneHost)?.host;
        if is_loopback(host) || self.listed.iter().any(|listed| listed.is_at(host)) {
            return Ok(());
        }
        Err(OriginError::ForeignHost(host.to_owned()))
    }

    fn allows(&self, origin: &str, host: Option<Authority<'_>>) -> bool {
        let Some(page) = Page::parse(origin) else { return false };
        host.is_some_and(|host| page.is_at(host)) || self.listed.iter().any(|listed| listed.is(page))
    }
}

impl OriginError {
    /// The stable word of the answer.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            OriginError::NotOneHost | OriginError::BadHost(_) => ErrorCode::BadRequest,
            OriginError::ForeignHost(_)
            | OriginError::BadOrigin
            | OriginError::NoOrigin
            | OriginError::ForeignOrigin(_) => ErrorCode::Forbidden,
        }
    }
}

impl Listed {
    fn parse(entry: &str) -> Result<Listed, BadOriginListed> {
        let page = Page::parse(entry).ok_or_else(|| BadOriginListed(entry.to_owned()))?;
        let scheme = page.scheme.to_ascii_lowercase();
        Ok(Listed { scheme, host: page.authority.host.to_ascii_lowercase(), port: page.authority.port })
    }

    fn is(&self, page: Page<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(page.scheme)
            && self.host.eq_ignore_ascii_case(page.authority.host)
            && self.port == page.authority.port
    }

    fn is_at(&self, name: &str) -> bool {
        self.host.eq_ignore_ascii_case(name)
    }
}

impl<'a> Page<'a> {
    fn parse(text: &'a str) -> Option<Page<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        let mut authority = Authority::parse(rest)?;
        authority.port = authority.port.filter(|port| default_port(scheme) != Some(*port));
        let rest_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        (is_scheme && scheme.bytes().all(rest_of_scheme)).then_some(Page { scheme, authority })
    }

    /// True if a browser shows the page from that host.
    fn is_at(self, host: Authority<'_>) -> bool {
        let Some(default) = default_port(self.scheme) else { return false };
        self.authority.host.eq_ignore_ascii_case(host.host)
            && self.authority.port.unwrap_or(default) == host.port.unwrap_or(default)
    }
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Authority<'a>> {
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) | None => return None,
        };
        is_host(host).then_some(Authority { host, port })
    }
}

/// More values than one, or one that is no text.
struct NotOne;

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, NotOne> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| NotOne),
        (Some(_), Some(_)) => Err(NotOne),
    }
}

/// The host that the request is sent to, by its target (HTTP/2's `:authority`) or its header; both must agree.
fn host<'a>(target: &'a Uri, headers: &'a HeaderMap) -> Result<Option<Authority<'a>>, OriginError> {
    let header = single(headers, HOST).map_err(|NotOne| OriginError::NotOneHost)?;
    let named = match (target.authority().map(|authority| authority.as_str()), header) {
        (Some(target), Some(header)) if !target.eq_ignore_ascii_case(header) => {
            return Err(OriginError::BadHost(header.to_owned()));
        }
        (target, header) => target.or(header),
    };
    let parse = |text: &'a str| Authority::parse(text).ok_or_else(|| OriginError::BadHost(text.to_owned()));
    named.map(parse).transpose()
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// True of a name, an IPv4 address or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let in_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !host.is_empty() && host.bytes().all(in_names)
        }
    }
}

/// True if no name server is asked to find this machine by that name.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next();
            last.is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
        }
    }
}

#[cfg(test)]
mod tests;
