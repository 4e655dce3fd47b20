//! What is answered when a request can't be read, and what a client meets when a frame can't.

use thiserror::Error;

use crate::code::ErrorCode;

/// Why a request, body or item was refused before anything was done with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {reason}", code.as_str())]
pub struct RequestError {
    /// The request's id, where it could be read.
    pub id: Option<u64>,
    /// The stable word.
    pub code: ErrorCode,
    /// For a person: the field, the value, the limit.
    pub reason: String,
}

/// Why a client can't use a frame from the broker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Bytes that are no frame; what is wrong with them.
    #[error("frame is unreadable: {0}")]
    Malformed(String),
    /// A frame of a later version, which a client skips; its op.
    #[error("op {0:?} is unknown")]
    UnknownOp(String),
}

impl RequestError {
    /// An error of a request whose id is not known here.
    pub(super) fn new(code: ErrorCode, reason: String) -> RequestError {
        RequestError { id: None, code, reason }
    }

    /// The same error of the request `id`.
    pub(super) fn of(self, id: u64) -> RequestError {
        RequestError { id: Some(id), ..self }
    }
}
