//! What can go wrong with Redis, in an operator's words.

use std::fmt::Display;

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

use super::envelope::VERSION;

/// Why a call, or the connection as a whole, came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The server can't be used as it is; it is connected to again.
    #[error("{0}")]
    Away(String),
    /// The server does not know the script; nothing was done.
    #[error("Redis does not know the script")]
    NoScript,
    /// The server has no memory left; nothing was done.
    #[error("Redis has no memory left (maxmemory)")]
    Full,
    /// What is there was made by brokers that this one can't work with.
    #[error("{0}")]
    Incompatible(String),
}

impl Fault {
    /// The fault of a Redis on which a version that is too far away has written.
    pub(super) fn of_version(found: impl Display) -> Fault {
        Fault::Incompatible(format!(
            "what is on Redis has version {found}, and this broker works with {} to {}: \
             bring all brokers to one version, or set another backplane.prefix",
            VERSION.saturating_sub(1),
            VERSION + 1
        ))
    }

    /// The fault of an answer that is not what was asked for.
    pub(super) fn odd(what: &str) -> Fault {
        Fault::Away(format!("Redis gave an unreadable answer to {what}"))
    }
}

impl From<ServerError> for Fault {
    fn from(error: ServerError) -> Fault {
        let details = error.details().unwrap_or_default();
        match error.code() {
            "OOM" => return Fault::Full,
            "WRONGPASS" | "NOAUTH" => return unknown_user(),
            // So says the script that stands before each.
            "VERSION" => return Fault::of_version(details.split(' ').next().unwrap_or_default()),
            _ => {}
        }
        match error.kind() {
            Some(ServerErrorKind::NoScript) => Fault::NoScript,
            Some(ServerErrorKind::ReadOnly) => {
                Fault::Away("Redis is a read-only replica; the address must be that of a primary".to_owned())
            }
            Some(ServerErrorKind::BusyLoading) => {
                Fault::Away("Redis is loading its data; it will take a moment".to_owned())
            }
            Some(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::CrossSlot
                | ServerErrorKind::TryAgain,
            ) => Fault::Away(format!("Redis is a part of a cluster, which is not served: {details}")),
            Some(ServerErrorKind::NoPerm) => {
                Fault::Away(format!("the user at Redis lacks a right: {details}"))
            }
            Some(_) | None => Fault::Away(format!("Redis refuses: {} {details}", error.code())),
        }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Fault {
        let kind = error.kind();
        if kind == ErrorKind::AuthenticationFailed {
            return unknown_user();
        }
        let told = if kind == ErrorKind::RESP3NotSupported {
            "Redis is too old: version 7 or later is needed".to_owned()
        } else if error.is_connection_refusal() {
            "Redis can't be reached: the connection is refused".to_owned()
        } else if error.is_timeout() {
            "Redis does not answer".to_owned()
        } else if error.is_connection_dropped() {
            "Redis has closed the connection".to_owned()
        } else {
            match ServerError::try_from(error) {
                Ok(error) => return error.into(),
                Err(error) => format!("Redis can't be reached: {error}"),
            }
        };
        Fault::Away(told)
    }
}

/// The value of an answer that is no error.
pub(super) fn accepted(value: Value) -> Result<Value, Fault> {
    if let Value::ServerError(error) = value { Err(error.into()) } else { Ok(value) }
}

fn unknown_user() -> Fault {
    Fault::Away("Redis does not accept the user or password in backplane.redis".to_owned())
}
