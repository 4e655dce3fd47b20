//! Chance against the codecs: round trips, another codec, and bytes that mean nothing.

use fanfare_protocol::{
    Cursor, Encoding, Epoch, Filter, Frame, Gap, Headers, LIFE_MAX, Message, OnSlow, PARTITIONS_MAX, Payload,
    Position, Publication, Request, SEQ_MAX, SubscribeOptions, Topic, decode_batch, decode_request,
};
use proptest::prelude::*;
use serde_json::Value;

use super::said;

proptest! {
    #[test]
    fn bytes_that_mean_nothing_are_refused_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for encoding in Encoding::ALL {
            drop(decode_request(encoding, &bytes));
            drop(Frame::decode(encoding, &bytes));
        }
        drop(decode_batch(&bytes, 10));
        drop(Publication::from_body(None, bytes.into()));
    }

    #[test]
    fn frames_with_one_byte_changed_are_read_or_refused(
        request in request(), frame in frame(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        for encoding in Encoding::ALL {
            let mut bytes = encoded(&request, encoding);
            let place = at.index(bytes.len());
            bytes[place] = byte;
            drop(decode_request(encoding, &bytes));
            let mut bytes = Vec::new();
            frame.encode(encoding, &mut bytes);
            let place = at.index(bytes.len());
            bytes[place] = byte;
            drop(Frame::decode(encoding, &bytes));
        }
    }

    #[test]
    fn requests_survive_both_encodings(request in request()) {
        for encoding in Encoding::ALL {
            let read = decode_request(encoding, &encoded(&request, encoding));
            prop_assert_eq!(read.as_ref().map(said::request), Ok(said::request(&request)));
        }
    }

    #[test]
    fn frames_survive_both_encodings(frame in frame()) {
        for encoding in Encoding::ALL {
            let mut bytes = Vec::new();
            frame.encode(encoding, &mut bytes);
            let read = Frame::decode(encoding, &bytes);
            prop_assert_eq!(read.as_ref().map(said::frame), Ok(said::frame(&frame)));
        }
    }

    #[test]
    fn another_codec_reads_what_is_transcoded(value in value()) {
        let json = Payload::json(serde_json::to_vec(&value).unwrap().into()).unwrap();
        let message_pack = data_of(json, Encoding::MessagePack);
        prop_assert_eq!(said::value_of(&message_pack), value.clone());
        let back = data_of(Payload::MessagePack(message_pack.into()), Encoding::Json);
        prop_assert_eq!(serde_json::from_slice::<Value>(&back).unwrap(), value);
    }

    #[test]
    fn what_another_codec_writes_is_read(value in value(), padding in 0usize..70_000) {
        let long = Value::String("x".repeat(padding));
        let written = rmpv_bytes(&serde_json::json!([value, long]));
        let frame = [b"\x94\xa7publish\x01\xa1a".as_slice(), &written].concat();
        let Ok(Request::Publish { publication, .. }) = decode_request(Encoding::MessagePack, &frame) else {
            panic!("it is published")
        };
        prop_assert_eq!(publication.payload.bytes(), &written);
    }
}

fn encoded(request: &Request, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(encoding, &mut out);
    out
}

/// The data as they are written in a message.
fn data_of(payload: Payload, encoding: Encoding) -> Vec<u8> {
    let (topic, position) = (Topic::parse("a").unwrap(), "0.a:1".parse().unwrap());
    let message =
        Message { topic, position, payload, media_type: None, time: None, user: None, headers: None };
    let mut out = Vec::new();
    message.encode(encoding, &mut out);
    let Ok(Frame::Message(read)) = Frame::decode(encoding, &out) else { panic!("it is a message") };
    read.payload.bytes().to_vec()
}

fn rmpv_bytes(value: &Value) -> Vec<u8> {
    fn converted(value: &Value) -> rmpv::Value {
        match value {
            Value::Null => rmpv::Value::Nil,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number.into(),
                (None, Some(number)) => number.into(),
                (None, None) => number.as_f64().unwrap().into(),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => rmpv::Value::Array(items.iter().map(converted).collect()),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| (key.as_str().into(), converted(value));
                rmpv::Value::Map(entries.iter().map(entry).collect())
            }
        }
    }
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &converted(value)).unwrap();
    out
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-200i64..200).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers", |float| float.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn topic() -> impl Strategy<Value = Topic> {
    "[a-z\"\\\\é]{1,8}(\\.[a-z0-9_-]{1,8}){0,3}".prop_map(|name| Topic::parse(&name).unwrap())
}

fn filter() -> impl Strategy<Value = Filter> {
    "([a-z]{1,8}|\\*)(\\.([a-z0-9]{1,8}|\\*)){0,3}(\\.>)?".prop_map(|name| Filter::parse(&name).unwrap())
}

fn position() -> impl Strategy<Value = Position> {
    (0..PARTITIONS_MAX, 0..=LIFE_MAX, 0..=SEQ_MAX)
        .prop_map(|(partition, life, seq)| Position { epoch: Epoch { partition, life }, seq })
}

fn cursor() -> impl Strategy<Value = Cursor> {
    proptest::collection::btree_map(0..PARTITIONS_MAX, position(), 1..4).prop_map(|positions| {
        let positions = positions.into_iter().map(|(partition, mut position)| {
            position.epoch.partition = partition;
            position
        });
        Cursor::new(positions.collect()).unwrap()
    })
}

fn headers() -> impl Strategy<Value = Option<Box<Headers>>> {
    proptest::option::of(
        proptest::collection::btree_map(any::<String>(), any::<String>(), 1..17).prop_map(Box::new),
    )
    .prop_filter("headers are short", |headers| {
        headers
            .iter()
            .flat_map(|headers| headers.iter())
            .all(|(name, value)| name.len() + value.len() <= 1024)
    })
}

fn payload() -> impl Strategy<Value = (Payload, Option<Box<str>>)> {
    let media_type =
        || "[a-z]{1,8}/[a-z+.-]{1,20}".prop_map(|media_type: String| media_type.into_boxed_str());
    prop_oneof![
        value().prop_map(|value| (Payload::Json(serde_json::to_vec(&value).unwrap().into()), None)),
        value().prop_map(|value| (Payload::MessagePack(rmpv_bytes(&value).into()), None)),
        (any::<String>(), media_type())
            .prop_map(|(text, media_type)| (Payload::Text(text.into()), Some(media_type))),
        (proptest::collection::vec(any::<u8>(), 0..300), proptest::option::of(media_type()))
            .prop_map(|(bytes, media_type)| (Payload::Binary(bytes.into()), media_type)),
    ]
}

fn publication() -> impl Strategy<Value = Publication> {
    let key = proptest::option::of("[ -~]{1,64}".prop_map(|key: String| key.into_boxed_str()));
    (payload(), headers(), proptest::option::of(1..=u32::MAX), key).prop_map(
        |((payload, media_type), headers, ttl_s, idempotency_key)| Publication {
            payload,
            media_type,
            headers,
            ttl_s,
            idempotency_key,
        },
    )
}

fn id() -> impl Strategy<Value = u64> {
    1..=fanfare_protocol::ID_MAX
}

fn request() -> impl Strategy<Value = Request> {
    let token = || proptest::option::of(any::<String>());
    let options = (
        proptest::option::of(cursor()),
        proptest::option::of(1..=u32::MAX),
        proptest::option::of(proptest::sample::select(&OnSlow::ALL)),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(after, last, on_slow, presence, echo)| SubscribeOptions {
            after,
            last,
            on_slow,
            presence,
            echo,
        });
    prop_oneof![
        (id(), token(), token()).prop_map(|(id, token, resume)| Request::Connect { id, token, resume }),
        (id(), filter(), options).prop_map(|(id, filter, options)| Request::Subscribe {
            id,
            filter,
            options
        }),
        (id(), filter()).prop_map(|(id, filter)| Request::Unsubscribe { id, filter }),
        (id(), topic(), publication()).prop_map(|(id, topic, publication)| Request::Publish {
            id,
            topic,
            publication
        }),
        (id(), topic(), proptest::option::of(cursor()), proptest::option::of(1..=u32::MAX))
            .prop_map(|(id, topic, after, limit)| Request::History { id, topic, after, limit }),
        (id(), topic()).prop_map(|(id, topic)| Request::Presence { id, topic }),
        (id(), any::<String>()).prop_map(|(id, token)| Request::Token { id, token }),
        Just(Request::Pong),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let message = (topic(), position(), payload(), proptest::option::of(any::<u64>()), headers()).prop_map(
        |(topic, position, (payload, media_type), time, headers)| {
            Frame::Message(Message { topic, position, payload, media_type, time, user: None, headers })
        },
    );
    let gap = (proptest::option::of(topic()), position(), position(), proptest::option::of(any::<u64>()))
        .prop_map(|(topic, from, to, count)| Frame::Gap(Gap { topic, from, to, count }));
    let inner = prop_oneof![message, gap].boxed();
    prop_oneof![
        inner.clone(),
        (filter(), inner).prop_map(|(filter, frame)| Frame::Replay { filter, frame: Box::new(frame) }),
        (proptest::option::of(filter()), cursor())
            .prop_map(|(filter, cursor)| Frame::Live { filter, cursor }),
        cursor().prop_map(|cursor| Frame::Ping { cursor }),
        (any::<u16>(), any::<String>(), proptest::option::of(any::<u64>())).prop_map(
            |(code, reason, reconnect_after_ms)| Frame::Goodbye { code, reason, reconnect_after_ms }
        ),
    ]
}
