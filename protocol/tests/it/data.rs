//! What a subscriber gets of what a publisher sent: every pair of them, and every turn of transcoding.

use fanfare_protocol::{
    Encoding, Frame, Message, Payload, Position, Publication, Request, Topic, decode_request,
};
use serde_json::Value;

use super::said;
use super::vectors::{DATA, TRANSCODED, from_hex, load_list, name, shown, string};

#[test]
fn every_subscriber_gets_what_every_publisher_sent() {
    let vectors = load_list(DATA);
    assert_eq!(vectors.len(), 36, "twelve publishers, three subscribers");
    for vector in vectors {
        let message = message(published(&vector["publisher"]));
        let subscriber = string(&vector["subscriber"]);
        let encoding = if subscriber == "msgpack" { Encoding::MessagePack } else { Encoding::Json };
        let mut out = Vec::new();
        message.encode(encoding, &mut out);
        let read = Frame::decode(encoding, &out).unwrap();
        let Frame::Message(Message { payload, media_type, .. }) = &read else { panic!("it is a message") };
        assert_eq!(said::data(payload, media_type.as_deref()), vector["is"], "{}", name(&vector));
        let sent = if subscriber == "sse" {
            format!("id: {}\ndata: {}\n\n", message.position, shown(encoding, &out))
        } else {
            shown(encoding, &out)
        };
        assert_eq!(sent, string(&vector["frame"]), "{}", name(&vector));
    }
}

#[test]
fn json_and_message_pack_say_the_same() {
    for vector in load_list(TRANSCODED) {
        let payload = payload_of(&vector["from"]);
        let (encoding, expected) = match vector["to"].get("json") {
            Some(json) => (Encoding::Json, string(json)),
            None => (Encoding::MessagePack, string(&vector["to"]["msgpack"])),
        };
        let message = message(Publication::new(payload));
        assert_eq!(shown(encoding, &data_of(message, encoding)), expected, "{}", name(&vector));
    }
}

#[test]
fn what_was_never_checked_is_sent_as_null() {
    for (payload, encoding) in [
        (Payload::Json("[1,".into()), Encoding::MessagePack),
        (Payload::Json("\"\\ud800\"".into()), Encoding::MessagePack),
        (Payload::MessagePack(b"\x92\x01"[..].into()), Encoding::Json),
        (Payload::MessagePack(b"\xd4\x00\x00"[..].into()), Encoding::Json),
    ] {
        let mut out = Vec::new();
        message(Publication::new(payload.clone())).encode(encoding, &mut out);
        let Ok(Frame::Message(read)) = Frame::decode(encoding, &out) else { panic!("{payload:?}") };
        let null = match encoding {
            Encoding::Json => Payload::Json("null".into()),
            Encoding::MessagePack => Payload::MessagePack(b"\xc0"[..].into()),
        };
        assert_eq!(read.payload, null, "{payload:?}");
    }
}

fn published(publisher: &Value) -> Publication {
    if let Some(http) = publisher.get("http") {
        let body = from_hex(string(&http["body"])).into();
        return Publication::from_body(http["content_type"].as_str(), body).unwrap();
    }
    let request = match publisher.get("json") {
        Some(json) => decode_request(Encoding::Json, string(json).as_bytes()),
        None => decode_request(Encoding::MessagePack, &from_hex(string(&publisher["msgpack"]))),
    };
    let Ok(Request::Publish { publication, .. }) = request else { panic!("{publisher} publishes") };
    publication
}

fn payload_of(from: &Value) -> Payload {
    match from.get("json") {
        Some(json) => Payload::json(string(json).to_owned().into()).unwrap(),
        None => {
            let data = from_hex(string(&from["msgpack"]));
            let mut frame = b"\x94\xa7publish\x01\xa1a".to_vec();
            frame.extend(data);
            let Ok(Request::Publish { publication, .. }) = decode_request(Encoding::MessagePack, &frame)
            else {
                panic!("{from} is published")
            };
            publication.payload
        }
    }
}

/// The data in a message frame as they are written.
fn data_of(message: Message, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(encoding, &mut out);
    let Ok(Frame::Message(read)) = Frame::decode(encoding, &out) else { panic!("it is a message") };
    read.payload.bytes().to_vec()
}

fn message(publication: Publication) -> Message {
    let Publication { payload, media_type, headers, .. } = publication;
    let position: Position = "0.k3f9a:10492".parse().unwrap();
    let topic = Topic::parse("orders.eu.42").unwrap();
    let mut message = Message { topic, position, payload, media_type, time: None, user: None, headers };
    message.time = Some(1_763_000_000_000);
    message
}
