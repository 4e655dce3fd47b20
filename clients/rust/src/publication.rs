//! Publications by the kind of their data.

use bytes::Bytes;
use fanfare_protocol::{Payload, Publication};
use serde::Serialize;

/// A publication of a value as JSON.
///
/// It fails as [`serde_json::to_vec`] does. What JSON can say and a broker refuses, such as nesting over 64, the
/// broker refuses.
pub fn json(value: &impl Serialize) -> Result<Publication, serde_json::Error> {
    Ok(Publication::new(Payload::Json(serde_json::to_vec(value)?.into())))
}

/// A publication of text, as `text/plain`.
pub fn text(text: impl Into<String>) -> Publication {
    Publication::new(Payload::Text(text.into().into()))
}

/// A publication of bytes, without a media type.
pub fn binary(bytes: impl Into<Bytes>) -> Publication {
    Publication::new(Payload::Binary(bytes.into()))
}
