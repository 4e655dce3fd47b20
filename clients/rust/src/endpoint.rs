//! Where a broker is.

use std::io;
use std::time::Duration;

use hyper::Uri;
use tokio::net::TcpStream;

use crate::outcome::ConnectError;

/// The port of a URL that names none.
const PORT: u16 = 80;
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A broker's address, read from a URL such as `http://127.0.0.1:8900`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    /// Host and port as written in the URL.
    pub(crate) authority: String,
    /// What stands before the broker's own paths, without a slash at its end.
    prefix: String,
}

impl Endpoint {
    /// The address that a URL with `http` or `ws`, or host and port alone, writes.
    pub(crate) fn parse(url: &str) -> Result<Endpoint, ConnectError> {
        let bad = |why| ConnectError::BadUrl { url: url.to_owned(), why };
        let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = whole.parse().map_err(|_| bad("is no URL such as http://127.0.0.1:8900"))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(bad("asks for TLS, which this client does not speak")),
            _ => return Err(bad("has a scheme that is none of http and ws")),
        }
        if uri.query().is_some() {
            return Err(bad("has a query, which is not used"));
        }
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("has a user in it, which is not used"));
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(bad("names no host"));
        }
        Ok(Endpoint {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(PORT),
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// One of the broker's own paths as it is asked for.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A connection of TCP.
    pub(crate) async fn connect(&self) -> Result<TcpStream, ConnectError> {
        let target = (self.host.as_str(), self.port);
        let connecting = async {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        within(CONNECT_MAX, connecting).await.map_err(|source| self.unreachable(source))
    }

    /// Nobody answered here.
    pub(crate) fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable { address: self.authority.clone(), source }
    }
}

/// What comes of `work`, or a time-out.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing happened within {time:?}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_a_broker_is() {
        for (url, host, port, path) in [
            ("http://127.0.0.1:8900", "127.0.0.1", 8900, "/v1/ws"),
            ("ws://example.com/", "example.com", 80, "/v1/ws"),
            ("localhost:8900", "localhost", 8900, "/v1/ws"),
            ("http://[::1]:8900/fanfare/", "::1", 8900, "/fanfare/v1/ws"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{url}");
            assert_eq!(endpoint.path("/v1/ws"), path, "{url}");
        }
    }

    #[test]
    fn what_is_no_broker_is_told_why() {
        for (url, why) in [
            ("https://example.com", "TLS"),
            ("ftp://example.com", "none of http and ws"),
            ("http://", "no URL"),
            ("http://a b", "no URL"),
            ("http://user@example.com", "user"),
            ("http://example.com/?a=b", "query"),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
