//! What a publisher sends: a frame's data and options, an HTTP body, an item of a batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::code::ErrorCode;
use crate::codec::element::{Element, Flaw, shortened};
use crate::codec::error::RequestError;
use crate::codec::{field, json};
use crate::payload::{
    HEADER_BYTES_MAX, HEADERS_MAX, Headers, IDEMPOTENCY_KEY_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, Payload,
    Publication, TEXT_TYPE,
};
use crate::topic::Topic;

impl Payload {
    /// The payload of a JSON text, without the white space around it.
    ///
    /// It must be UTF-8 and one value, nest at most [`crate::DEPTH_MAX`] deep, and have neither a number
    /// that no double holds nor half a surrogate pair: `bad_data`.
    pub fn json(bytes: Bytes) -> Result<Payload, RequestError> {
        let text = simdutf8::basic::from_utf8(&bytes).map_err(|_| bad_data("is not UTF-8"))?;
        let trimmed = text.trim_matches(json::is_space);
        json::check(trimmed).map_err(bad_flaw)?;
        let kept =
            if trimmed.len() == bytes.len() { bytes.clone() } else { bytes.slice_ref(trimmed.as_bytes()) };
        Ok(Payload::Json(kept))
    }
}

impl Publication {
    /// The publication of an HTTP body; its `Content-Type` says of which kind it is.
    ///
    /// Without one, or with the one that curl sends unasked, it is json if it is JSON, else text if it is
    /// UTF-8, else binary.
    pub fn from_body(content_type: Option<&str>, body: Bytes) -> Result<Publication, RequestError> {
        let media_type = content_type.unwrap_or_default().trim_matches([' ', '\t']);
        let essence = media_type.split(';').next().unwrap_or_default().trim_ascii_end().to_ascii_lowercase();
        if matches!(essence.as_str(), "" | "application/x-www-form-urlencoded") {
            return Ok(Publication::from_unnamed(body));
        }
        if essence == "application/json" || essence.ends_with("+json") {
            return Payload::json(body).map(Publication::new);
        }
        let payload = if essence.starts_with("text/") {
            simdutf8::basic::from_utf8(&body).map_err(|_| bad_data("is text, but not UTF-8"))?;
            Payload::Text(body)
        } else {
            Payload::Binary(body)
        };
        let named = essence != "application/octet-stream";
        let media_type = if named { Some(checked_media_type(media_type)?) } else { None };
        Ok(Publication { media_type, ..Publication::new(payload) })
    }

    fn from_unnamed(body: Bytes) -> Publication {
        if let Ok(payload) = Payload::json(body.clone()) {
            return Publication::new(payload);
        }
        if simdutf8::basic::from_utf8(&body).is_err() {
            return Publication::new(Payload::Binary(body));
        }
        Publication { media_type: Some(TEXT_TYPE.into()), ..Publication::new(Payload::Text(body)) }
    }
}

/// One item of a batch: what to publish where, or why it can't be.
pub type BatchItem = Result<(Topic, Publication), RequestError>;

/// The items of a batch, each with its own success or error; an error of all of them if it is no JSON
/// array (`bad_frame`) or has more than `items_max` (`limit`).
pub fn decode_batch(body: &[u8], items_max: usize) -> Result<Vec<BatchItem>, RequestError> {
    let unreadable = |flaw: Flaw| field::bad_frame(format!("batch {}", flaw.0));
    let batch = Element::whole(crate::Encoding::Json, body).map_err(unreadable)?;
    let mut items = Vec::new();
    let mut count = 0;
    let whole = batch.elements(|item| {
        count += 1;
        if count <= items_max {
            items.push(decode_item(item));
        }
    });
    whole.map_err(unreadable)?;
    if count > items_max {
        return Err(RequestError::new(
            ErrorCode::Limit,
            format!("batch has {count} items, the limit is {items_max}"),
        ));
    }
    Ok(items)
}

fn decode_item(item: Element<'_>) -> BatchItem {
    if !item.is_map() {
        return Err(field::wrong("item", item, "no object"));
    }
    let (mut topic, mut data, mut options) = (None, None, PublishOptions::default());
    field::map("item", Some(item), |key, value| match key {
        "data" => {
            data = Some(value);
            Ok(())
        }
        _ if value.is_null() => Ok(()),
        "topic" => {
            topic = Some(field::topic(value)?);
            Ok(())
        }
        _ => options.read(key, value),
    })?;
    let topic = topic.ok_or_else(|| field::missing("topic"))?;
    let publication = options.publication(data.ok_or_else(|| field::missing("data"))?)?;
    Ok((topic, publication))
}

/// What stands beside the data.
#[derive(Default)]
pub(super) struct PublishOptions {
    media_type: Option<Box<str>>,
    is_base64: bool,
    headers: Option<Box<Headers>>,
    ttl_s: Option<u32>,
    idempotency_key: Option<Box<str>>,
}

impl PublishOptions {
    /// Reads the value of a key, which may be none of these.
    pub(super) fn read(&mut self, key: &str, value: Element<'_>) -> Result<(), RequestError> {
        match key {
            _ if value.is_null() => {}
            "type" => self.media_type = Some(checked_media_type(&field::text(key, value)?)?),
            "encoding" if field::text(key, value)? == "base64" => self.is_base64 = true,
            "encoding" => return Err(field::wrong(key, value, "not \"base64\"")),
            "headers" => self.headers = headers(value)?,
            "ttl_s" => self.ttl_s = Some(field::count(key, value)?),
            "idempotency_key" => self.idempotency_key = Some(idempotency_key(&field::text(key, value)?)?),
            _ => field::ignored(key, value)?,
        }
        Ok(())
    }

    /// The publication of the data, which these options say how to read.
    pub(super) fn publication(self, data: Element<'_>) -> Result<Publication, RequestError> {
        let payload = self.payload(data)?;
        let PublishOptions { media_type, is_base64: _, headers, ttl_s, idempotency_key } = self;
        Ok(Publication { payload, media_type, headers, ttl_s, idempotency_key })
    }

    fn payload(&self, data: Element<'_>) -> Result<Payload, RequestError> {
        if self.is_base64 {
            let text = data.text().map_err(|_| bad_data("is no string, though encoding says base64"))?;
            let bytes = STANDARD.decode(text.as_bytes());
            return match bytes {
                Ok(bytes) => Ok(Payload::Binary(bytes.into())),
                Err(_) => Err(bad_data("is no base64 (RFC 4648, section 4)")),
            };
        }
        if let Some(bytes) = data.bin() {
            return Ok(Payload::Binary(Bytes::copy_from_slice(bytes)));
        }
        if let Some(media_type) = &self.media_type {
            let text = data.text().map_err(|_| {
                bad_data(&format!("is no string, though type says {:?}", shortened(media_type)))
            })?;
            return Ok(Payload::Text(Bytes::copy_from_slice(text.as_bytes())));
        }
        data.check().map_err(bad_flaw)?;
        Ok(match data {
            Element::Json(text) => Payload::Json(Bytes::copy_from_slice(text.as_bytes())),
            Element::MessagePack(bytes) => Payload::MessagePack(Bytes::copy_from_slice(bytes)),
        })
    }
}

fn checked_media_type(media_type: &str) -> Result<Box<str>, RequestError> {
    at_most("type", media_type.len(), MEDIA_TYPE_BYTES_MAX)?;
    if media_type.is_empty() || !media_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let reason = format!("type {media_type:?} is no media type");
        return Err(RequestError::new(ErrorCode::BadRequest, reason));
    }
    Ok(media_type.into())
}

fn idempotency_key(key: &str) -> Result<Box<str>, RequestError> {
    at_most("idempotency_key", key.len(), IDEMPOTENCY_KEY_BYTES_MAX)?;
    if key.is_empty() {
        return Err(RequestError::new(ErrorCode::BadRequest, "idempotency_key is empty".to_owned()));
    }
    Ok(key.into())
}

fn headers(value: Element<'_>) -> Result<Option<Box<Headers>>, RequestError> {
    let mut headers = Headers::new();
    field::map("headers", Some(value), |name, value| {
        let text = field::text(&format!("header {:?}", shortened(name)), value)?;
        at_most(&format!("header {:?}", shortened(name)), name.len() + text.len(), HEADER_BYTES_MAX)?;
        headers.insert(name.to_owned(), text.into_owned());
        if headers.len() > HEADERS_MAX {
            let reason = format!("headers has more than {HEADERS_MAX} entries");
            return Err(RequestError::new(ErrorCode::TooLarge, reason));
        }
        Ok(())
    })?;
    Ok((!headers.is_empty()).then(|| Box::new(headers)))
}

fn at_most(name: &str, bytes: usize, bytes_max: usize) -> Result<(), RequestError> {
    if bytes > bytes_max {
        let reason = format!("{name} has {bytes} bytes, the limit is {bytes_max}");
        return Err(RequestError::new(ErrorCode::TooLarge, reason));
    }
    Ok(())
}

fn bad_flaw(flaw: Flaw) -> RequestError {
    bad_data(&flaw.0)
}

fn bad_data(what: &str) -> RequestError {
    RequestError::new(ErrorCode::BadData, format!("data {what}"))
}
