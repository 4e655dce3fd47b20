//! Where Redis is, and what is shown of it.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// The address of a Redis, with the user and password it is spoken to with; these are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Box<str>);

impl Address {
    /// The address that `written` is; an error continues the sentence "`redis = …`", without what was written.
    pub fn parse(written: &str) -> Result<Address, String> {
        let known = ["redis://", "rediss://", "redis+unix://", "unix://"];
        if !known.iter().any(|scheme| written.starts_with(scheme)) {
            return Err(
                "is no address such as \"redis://127.0.0.1:6379\" or \"rediss://user:password@host:6379\""
                    .to_owned(),
            );
        }
        let info = written.into_connection_info().map_err(|error| {
            // Its words are fixed; what was written may hold a password.
            let why = error.detail().unwrap_or_default();
            let why = if why.contains(written) { "" } else { why };
            format!("is no address of a Redis: {} {why}", error.category()).trim_end().to_owned()
        })?;
        if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
            return Err(
                "asks for TLS without checking the certificate (#insecure), which is not served".to_owned()
            );
        }
        Ok(Address(written.into()))
    }

    /// True if TLS is spoken there.
    pub(super) fn is_tls(&self) -> bool {
        self.0.starts_with("rediss://")
    }

    /// How to connect to it.
    pub(super) fn info(&self) -> ConnectionInfo {
        (&*self.0).into_connection_info().expect("it was checked when it was parsed")
    }
}

/// With `***` in the place of a password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("redis", &self.0));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A path of a socket may hold an `@`, and its query a password.
        if scheme.contains("unix") {
            let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, _)| (path, "?***"));
            return write!(f, "{scheme}://{path}{query}");
        }
        match rest[..end].rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').map_or(user, |(user, _)| user);
                write!(f, "{scheme}://{user}:***@{host}{}", &rest[end..])
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_shown() {
        for (written, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://127.0.0.1:6379/2", "redis://127.0.0.1:6379/2"),
            ("redis://:secret@host", "redis://:***@host"),
            ("rediss://me:secret@host:1/3", "rediss://me:***@host:1/3"),
            ("redis://me:se%40cret@host:1", "redis://me:***@host:1"),
            ("unix:///run/redis.sock?user=me&pass=secret", "unix:///run/redis.sock?***"),
        ] {
            let address = Address::parse(written).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("\"{shown}\""));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        for written in [
            "",
            "127.0.0.1:6379",
            "http://a",
            "redis://",
            "redis://a:port",
            "redis://:secret@a:b",
            "rediss://:secret@a#insecure",
            "redis://:secret@a/x",
        ] {
            let reason = Address::parse(written).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
            assert!(
                reason.starts_with("is no address") || reason.starts_with("asks for"),
                "{written}: {reason}"
            );
        }
    }
}
