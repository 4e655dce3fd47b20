//! Envelopes are read as they were written, and nothing that is not one is taken for one.

use super::*;

/// A publication that says all that one can say.
fn full(payload: Payload) -> Publication {
    Publication {
        media_type: Some("text/markdown".into()),
        headers: Some(Box::new(Headers::from([("a".into(), "1".into()), ("b".into(), String::new())]))),
        ttl_s: Some(30),
        ..Publication::new(payload)
    }
}

fn name() -> Topic {
    Topic::parse("orders.eu").unwrap()
}

/// The head that the script writes before the fields.
fn with_head(version: u8, fields: &[u8]) -> Bytes {
    let mut out = vec![version, KIND_MESSAGE];
    for number in [7u64, 12, 5, 1_000] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(fields);
    out.into()
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let data = Bytes::from_static(b"\"x\"");
    for payload in [
        Payload::Json(data.clone()),
        Payload::MessagePack(data.clone()),
        Payload::Text(data.clone()),
        Payload::Binary(Bytes::new()),
    ] {
        for (publication, origin) in
            [(Publication::new(payload.clone()), None), (full(payload.clone()), Some((3, SessionId(4))))]
        {
            let bytes = with_head(VERSION, &encode(&name(), &publication, origin));
            let Envelope::Message(read) = decode(bytes, 2, Some(1_250)).unwrap() else { panic!("a message") };
            assert_eq!(read.message.position, "2.7:12".parse().unwrap());
            assert_eq!((read.prev, read.age_ms, read.message.time), (5, 250, Some(1_000)));
            assert_eq!((&read.message.topic, &read.message.payload), (&name(), &publication.payload));
            assert_eq!(read.message.media_type, publication.media_type);
            assert_eq!(read.message.headers, publication.headers);
            assert_eq!((read.ttl_s, read.origin), (publication.ttl_s, origin));
        }
    }
}

#[test]
fn the_next_version_is_read_and_what_it_adds_is_skipped() {
    let mut fields = Vec::new();
    field(&mut fields, TAG_NEXT, b"news");
    fields.extend(encode(&name(), &full(Payload::Json("1".into())), None));
    for version in [VERSION - 1, VERSION, VERSION + 1] {
        let Ok(Envelope::Message(read)) = decode(with_head(version, &fields), 0, None) else {
            panic!("version {version}")
        };
        assert_eq!((read.ttl_s, read.age_ms), (Some(30), 0));
    }
    let found = VERSION + 2;
    assert_eq!(decode(with_head(found, &fields), 0, None), Err(EnvelopeError::Version { found }));
    assert_eq!(decode(with_head(VERSION, &[200, 1]), 0, None), Err(EnvelopeError::Unknown(200)));
    assert_eq!(decode(vec![VERSION, 9].into(), 0, None), Err(EnvelopeError::Unknown(9)));
}

#[test]
fn what_the_next_version_adds_to_a_clearing_is_skipped() {
    let with_head = |fields: &[u8]| {
        let mut out = vec![VERSION + 1, KIND_CLEARED];
        [7u64, 12].iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
        out.extend_from_slice(fields);
        Bytes::from(out)
    };
    let mut fields = Vec::new();
    field(&mut fields, TAG_NEXT, b"news");
    assert_eq!(decode(with_head(&fields), 0, None), Err(EnvelopeError::Garbled("topic")));
    fields.extend(encode_clearing(&name()));
    let to = Position { epoch: Epoch { partition: 0, life: 7 }, seq: 12 };
    assert_eq!(decode(with_head(&fields), 0, None), Ok(Envelope::Cleared { topic: name(), to }));
    let cut = with_head(&fields[..fields.len() - 1]);
    assert_eq!(decode(cut, 0, None), Err(EnvelopeError::Garbled("field")));
    fields.push(200);
    assert_eq!(decode(with_head(&fields), 0, None), Err(EnvelopeError::Unknown(200)));
}

#[test]
fn a_part_of_an_envelope_is_none() {
    let head = with_head(VERSION, &[]).len();
    let fields = encode(&name(), &full(Payload::Json("".into())), Some((1, SessionId(1))));
    let whole = with_head(VERSION, &fields);
    for end in 0..whole.len() {
        let read = decode(whole.slice(..end), 0, None);
        assert!(matches!(read, Err(EnvelopeError::Garbled(_))), "{end} of {head}: {read:?}");
    }
    let no_topic = decode(with_head(VERSION, &[TAG_JSON, b'1']), 0, None);
    assert_eq!(no_topic, Err(EnvelopeError::Garbled("topic")));
}

#[test]
fn publishes_that_differ_in_anything_but_their_origin_have_different_fingerprints() {
    let one = full(Payload::Text("1".into()));
    let mut seen = vec![fingerprint(&name(), &one)];
    for other in [
        Publication { ttl_s: Some(31), ..one.clone() },
        Publication { media_type: None, ..one.clone() },
        Publication { headers: None, ..one.clone() },
        full(Payload::Binary("1".into())),
        full(Payload::Text("2".into())),
    ] {
        seen.push(fingerprint(&name(), &other));
    }
    seen.push(fingerprint(&Topic::parse("orders.us").unwrap(), &one));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    let again = Publication { idempotency_key: Some("k".into()), ..one.clone() };
    assert_eq!(fingerprint(&name(), &again), fingerprint(&name(), &one));
}

#[test]
fn ended_lives_are_read_in_order() {
    let epoch = |life| Epoch { partition: 1, life };
    assert_eq!(ended(1, ""), Ok(vec![]));
    assert_eq!(ended(1, "5:10 6:0"), Ok(vec![(epoch(5), 10), (epoch(6), 0)]));
    assert!(ended(1, "5").is_err() && ended(1, "a:1").is_err());
}
