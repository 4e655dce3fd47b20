//! Answers of HTTP: their bodies, and what they say of a failure.

use bytes::Bytes;
use fanfare_protocol::ErrorCode;
use http_body_util::{BodyExt as _, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;

use crate::outcome::Refusal;

/// The longest body of an answer that is read.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A problem of RFC 9457, or the error of one item of a batch.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
    retry_after_ms: Option<u64>,
}

impl Problem {
    /// A code of a later version is read as `internal`, its word put before the detail.
    pub(crate) fn into_refusal(self) -> Refusal {
        let Problem { code: word, detail, retry_after_ms } = self;
        match ErrorCode::parse(&word) {
            Some(code) => Refusal { code, detail, retry_after_ms },
            None => {
                Refusal { code: ErrorCode::Internal, detail: format!("{word}: {detail}"), retry_after_ms }
            }
        }
    }
}

/// The whole body, or why it could not be read.
pub(crate) async fn read_body(body: &mut Incoming) -> Result<Bytes, String> {
    let whole = Limited::new(body, BODY_BYTES_MAX).collect().await;
    Ok(whole.map_err(|error| format!("the answer could not be read: {error}"))?.to_bytes())
}

/// What an answer that is no success says, for a person.
pub(crate) fn problem_detail(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => format!("HTTP {status}"),
    }
}
