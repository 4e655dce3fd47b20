//! Events as people and programs read them.

use std::io::Write as _;

use fanfare_client::Event;
use fanfare_protocol::{Encoding, Filter, Frame, Gap, Message, Payload};

/// Appends what an event is on standard output: `topic position data`, or a frame as JSON.
pub(super) fn line(filter: &Filter, event: Event, json: bool, out: &mut Vec<u8>) {
    match (event, json) {
        (Event::Message(message), false) => human(&message, out),
        (Event::Message(message), true) => one_line(out, |out| message.encode(Encoding::Json, out)),
        (Event::Gap(gap), true) => gap.encode(Encoding::Json, out),
        (Event::Live(cursor), true) => {
            Frame::Live { filter: Some(filter.clone()), cursor }.encode(Encoding::Json, out);
        }
        (Event::Gap(_) | Event::Live(_), false) | (Event::Unsubscribed { .. } | Event::Closed { .. }, _) => {}
    }
}

/// What an event is on standard error.
pub(super) fn told(filter: &Filter, event: &Event) -> Option<String> {
    match event {
        Event::Message(_) | Event::Live(_) => None,
        Event::Gap(gap) => Some(missed(filter, gap)),
        Event::Unsubscribed { code, reason } => {
            Some(format!("{filter} is not followed: {reason} ({})", code.as_str()))
        }
        Event::Closed { code, reason } => {
            Some(format!("{filter} is not followed any more: {reason} ({code})"))
        }
    }
}

fn missed(filter: &Filter, gap: &Gap) -> String {
    let Gap { topic, from, to, count } = gap;
    let messages = match count {
        Some(1) => "1 message".to_owned(),
        Some(count) => format!("{count} messages"),
        None => "messages".to_owned(),
    };
    let (name, verb) = match topic {
        Some(topic) => (topic.as_str(), if *count == Some(1) { "is" } else { "are" }),
        None => (filter.as_str(), "may be"),
    };
    format!("{messages} of {name} {verb} missing, after {from} up to {to}")
}

fn human(message: &Message, out: &mut Vec<u8>) {
    let Message { topic, position, payload, media_type, .. } = message;
    write!(out, "{topic} {position} ").expect("a vector takes everything");
    match payload {
        Payload::Json(json) => one_line(out, |out| out.extend_from_slice(json)),
        Payload::Text(text) => escaped(&String::from_utf8_lossy(text), out),
        Payload::Binary(bytes) | Payload::MessagePack(bytes) => {
            let media_type = media_type.as_deref().map(|media_type| format!(" of {media_type}"));
            let media_type = media_type.unwrap_or_default();
            write!(out, "({} bytes{media_type})", bytes.len()).expect("a vector takes everything");
        }
    }
}

/// Appends JSON without the line ends between its tokens; within strings JSON has none.
fn one_line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    write(out);
    for byte in &mut out[before..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Appends text with its control characters escaped: a line stays one, and a terminal does what its user says.
fn escaped(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default().to_string().as_bytes());
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(frame: &str) -> Event {
        let frame = Frame::decode(Encoding::Json, frame.as_bytes()).unwrap();
        if let Frame::Message(message) = frame {
            Event::Message(message)
        } else if let Frame::Gap(gap) = frame {
            Event::Gap(gap)
        } else if let Frame::Live { cursor, .. } = frame {
            Event::Live(cursor)
        } else {
            panic!("{frame:?} is no event")
        }
    }

    fn printed(frame: &str, json: bool) -> String {
        let mut out = Vec::new();
        line(&Filter::parse("a.>").unwrap(), event(frame), json, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_one_line_for_people() {
        for (frame, line) in [
            (r#"["message","a.b","0.k:7",{"x": 1},{"time":1}]"#, r#"a.b 0.k:7 {"x": 1}"#),
            ("[\"message\",\"a.b\",\"0.k:7\",{\n\"x\":\"\\n\"}]", r#"a.b 0.k:7 { "x":"\n"}"#),
            (r#"["message","a.b","0.k:7","ä\u001b[2J\n",{"type":"text/plain"}]"#, r"a.b 0.k:7 ä\u{1b}[2J\n"),
            (r#"["message","a.b","0.k:7","AAH/",{"encoding":"base64"}]"#, "a.b 0.k:7 (3 bytes)"),
            (
                r#"["message","a.b","0.k:7","AA==",{"encoding":"base64","type":"image/png"}]"#,
                "a.b 0.k:7 (1 bytes of image/png)",
            ),
            (r#"["gap","a.b","0.k:7","0.k:9",{"count":2}]"#, ""),
            (r#"["live","a.>","0.k:7"]"#, ""),
        ] {
            assert_eq!(printed(frame, false), line, "{frame}");
        }
    }

    #[test]
    fn frames_are_one_line_of_json_for_programs() {
        for frame in [
            r#"["message","a.b","0.k:7",{"x":1},{"time":1}]"#,
            r#"["message","a.b","0.k:7","AAH/",{"encoding":"base64"}]"#,
            r#"["gap",null,"0.k:7","0.k:9"]"#,
            r#"["live","a.>","0.k:7"]"#,
        ] {
            assert_eq!(printed(frame, true), frame);
        }
        let broken = "[\"message\",\"a.b\",\"0.k:7\",[1,\r\n2]]";
        assert_eq!(printed(broken, true), r#"["message","a.b","0.k:7",[1,  2]]"#);
    }

    #[test]
    fn what_is_missing_is_told() {
        for (frame, sentence) in [
            (
                r#"["gap","a.b","0.k:7","0.k:9",{"count":2}]"#,
                "2 messages of a.b are missing, after 0.k:7 up to 0.k:9",
            ),
            (
                r#"["gap","a.b","0.k:7","0.k:9",{"count":1}]"#,
                "1 message of a.b is missing, after 0.k:7 up to 0.k:9",
            ),
            (r#"["gap",null,"0.k:7","0.m:0"]"#, "messages of a.> may be missing, after 0.k:7 up to 0.m:0"),
        ] {
            assert_eq!(told(&Filter::parse("a.>").unwrap(), &event(frame)).as_deref(), Some(sentence));
        }
    }
}
