//! `POST /v1/publish`: many messages in one body.

use fanfare_protocol::{Encoding, Publication, Request, Topic};
use hyper::header::HeaderValue;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use serde_json::value::{RawValue, Value};

use super::connections::Ask;
use super::{Placed, unclear};
use crate::answer::Problem;
use crate::outcome::{PublishError, Published, Refusal};

/// The frame of a publish: op, id, topic, data and, if there are any, options.
#[derive(Deserialize)]
struct Written<'a>(
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    #[serde(borrow)] &'a RawValue,
    #[serde(default)] Map<String, Value>,
);

#[derive(Serialize)]
struct Item<'a> {
    topic: &'a str,
    data: &'a RawValue,
    #[serde(flatten)]
    options: Map<String, Value>,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Refused { error: Problem },
    Placed(Placed),
}

/// The request that publishes all of them.
pub(super) fn ask(items: &[(Topic, Publication)]) -> Ask {
    let mut body = vec![b'['];
    for (index, (topic, publication)) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        append(topic, publication, &mut body);
    }
    body.push(b']');
    let content_type = HeaderValue::from_static("application/json");
    Ask { path: "/v1/publish".to_owned(), content_type, idempotency_key: None, body: body.into() }
}

/// An item says what a JSON frame says, by name.
fn append(topic: &Topic, publication: &Publication, body: &mut Vec<u8>) {
    let request = Request::Publish { id: 1, topic: topic.clone(), publication: publication.clone() };
    let mut frame = Vec::new();
    request.encode(Encoding::Json, &mut frame);
    match serde_json::from_slice::<Written<'_>>(&frame) {
        Ok(Written(_, _, _, data, options)) => {
            let item = Item { topic: topic.as_str(), data, options };
            serde_json::to_writer(body, &item).expect("what was JSON can be written again");
        }
        // Data that were said to be JSON and are not: the broker says what is wrong with this item alone.
        Err(_) => {
            let item = serde_json::json!({ "topic": topic.as_str() });
            serde_json::to_writer(body, &item).expect("a name can be written");
        }
    }
}

/// The result of each message.
pub(super) fn results(body: &[u8]) -> Result<Vec<Result<Published, Refusal>>, PublishError> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| unclear(format!("the answer could not be read: {error}")))?;
    let results = answer.results.into_iter().map(|outcome| match outcome {
        Outcome::Refused { error } => Ok(Err(error.into_refusal())),
        Outcome::Placed(placed) => placed.published().map(Ok),
    });
    results.collect()
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::{Headers, Payload, decode_batch};

    use super::*;

    #[test]
    fn the_broker_reads_what_was_meant() {
        let topic = Topic::parse("a.b").unwrap();
        let headers = Headers::from([("trace".to_owned(), "4bf\"92f".to_owned())]);
        let publications = [
            crate::json(&serde_json::json!({"order": 42, "big": 1e300})).unwrap(),
            Publication { media_type: Some("text/plain".into()), ..crate::text("hi \"there\"\n") },
            Publication { media_type: Some("image/png".into()), ..crate::binary(&b"\x00\xff"[..]) },
            Publication {
                headers: Some(Box::new(headers)),
                ttl_s: Some(60),
                idempotency_key: Some("k1".into()),
                ..crate::binary(&b""[..])
            },
        ];
        let items: Vec<_> = publications.iter().map(|each| (topic.clone(), each.clone())).collect();
        let read = decode_batch(&ask(&items).body, 10).unwrap();
        let expected: Vec<_> = items.into_iter().map(Ok).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn data_that_are_no_json_spoil_no_other_item() {
        let topic = Topic::parse("a.b").unwrap();
        let broken = Publication::new(Payload::Json((&b"{"[..]).into()));
        let items = [(topic.clone(), broken), (topic, crate::text("hi"))];
        let read = decode_batch(&ask(&items).body, 10).unwrap();
        assert!(matches!(read[..], [Err(_), Ok(_)]), "{read:?}");
    }

    #[test]
    fn each_message_has_its_own_result() {
        let body = br#"{"results": [
            {"topic": "a", "position": "0.k3f9a:7", "heard": true, "receivers": 2},
            {"error": {"code": "overloaded", "detail": "no room", "retry_after_ms": 1000}},
            {"error": {"code": "later", "detail": "new"}}]}"#;
        let [Ok(published), Err(overloaded), Err(later)] = &results(body).unwrap()[..] else {
            panic!("three results")
        };
        assert_eq!((published.position.seq, published.receivers, published.repeated), (7, Some(2), false));
        assert_eq!((overloaded.code.as_str(), overloaded.retry_after_ms), ("overloaded", Some(1000)));
        assert_eq!((later.code.as_str(), later.detail.as_str()), ("internal", "later: new"));
    }
}
