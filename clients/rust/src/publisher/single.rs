//! `POST /v1/topics/{topic}`: the body is the data.

use fanfare_protocol::{Payload, Publication, Topic};
use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::connections::Ask;
use super::{Placed, unclear};
use crate::outcome::{PublishError, Published};

/// What a path can't have as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request that publishes it; `None` if only a batch can say it.
pub(super) fn ask(topic: &Topic, publication: &Publication) -> Option<Ask> {
    let Publication { payload, headers, ttl_s, idempotency_key, .. } = publication;
    if headers.is_some() {
        return None;
    }
    let content_type = HeaderValue::from_str(content_type(publication)?).ok()?;
    let idempotency_key = match idempotency_key {
        Some(key) if key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some(HeaderValue::from_str(key).ok()?)
        }
        Some(_) => return None,
        None => None,
    };
    let query = ttl_s.map(|ttl_s| format!("?ttl_s={ttl_s}")).unwrap_or_default();
    let path = format!("/v1/topics/{}{query}", utf8_percent_encode(topic.as_str(), ENCODED));
    Some(Ask { path, content_type, idempotency_key, body: payload.bytes().clone() })
}

/// The `Content-Type` that means this kind of data.
fn content_type(publication: &Publication) -> Option<&str> {
    let media_type = publication.media_type.as_deref();
    let is_text = |media_type: &str| media_type.to_ascii_lowercase().starts_with("text/");
    match &publication.payload {
        Payload::Json(_) => Some("application/json"),
        Payload::MessagePack(_) => None,
        Payload::Text(_) => Some(media_type.unwrap_or("text/plain")).filter(|media_type| is_text(media_type)),
        Payload::Binary(_) => match media_type {
            None => Some("application/octet-stream"),
            // What stands for another kind in a header, or for no type at all, is said beside the data.
            Some(media_type) if is_text(media_type) || means_another_kind(media_type) => None,
            media_type => media_type,
        },
    }
}

fn means_another_kind(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("json")
        || matches!(essence.as_str(), "" | "application/octet-stream" | "application/x-www-form-urlencoded")
}

/// What the answer says.
pub(super) fn published(body: &[u8]) -> Result<Published, PublishError> {
    let placed: Placed = serde_json::from_slice(body)
        .map_err(|error| unclear(format!("the answer could not be read: {error}")))?;
    placed.published()
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Headers;

    use super::*;

    fn asked(publication: &Publication) -> Option<(String, String)> {
        let ask = ask(&Topic::parse("orders.eü").unwrap(), publication)?;
        Some((ask.path, ask.content_type.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_content_type_says_the_kind_or_a_batch_does() {
        let binary = |media_type: &str| Publication {
            media_type: Some(media_type.into()),
            ..crate::binary(&b"\x00"[..])
        };
        for (publication, content_type) in [
            (crate::json(&42).unwrap(), Some("application/json")),
            (crate::text("hi"), Some("text/plain")),
            (Publication { media_type: Some("text/html".into()), ..crate::text("hi") }, Some("text/html")),
            (Publication { media_type: Some("image/svg+xml".into()), ..crate::text("hi") }, None),
            (crate::binary(&b"\x00"[..]), Some("application/octet-stream")),
            (binary("image/png"), Some("image/png")),
            (binary("text/plain"), None),
            (binary("application/geo+json; v=1"), None),
            (Publication::new(Payload::MessagePack((&b"\x01"[..]).into())), None),
        ] {
            let found = asked(&publication).map(|(_, content_type)| content_type);
            assert_eq!(found.as_deref(), content_type, "{publication:?}");
        }
    }

    #[test]
    fn the_path_is_encoded_and_has_the_ttl() {
        let publication = Publication { ttl_s: Some(60), ..crate::text("hi") };
        assert_eq!(asked(&publication).unwrap().0, "/v1/topics/orders.e%C3%BC?ttl_s=60");
    }

    #[test]
    fn what_no_header_can_say_goes_as_a_batch() {
        let headers = Headers::from([("trace".to_owned(), "4bf92f".to_owned())]);
        let publication = Publication { headers: Some(Box::new(headers)), ..crate::text("hi") };
        assert_eq!(asked(&publication), None);
        let publication = Publication { idempotency_key: Some("ü".into()), ..crate::text("hi") };
        assert_eq!(asked(&publication), None);
    }
}
