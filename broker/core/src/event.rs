//! Frames as server-sent events (WHATWG HTML, section 9.2).

use std::fmt::Write as _;

use fanfare_protocol::{CloseCode, Encoding, Frame, Position};

use crate::entry::Entry;

/// Which of the pieces of a message's event is the shared frame.
pub(crate) const SHARED: usize = 1;
/// Ends an event.
const TAIL: &[u8] = b"\n\n";
/// A browser waits as long after each cut that follows, so that less would have it knock without a pause.
const RETRY_MS_MIN: u64 = 1_000;

/// What stands before the shared frame of a message in its event.
pub(crate) fn head(position: Position) -> Vec<u8> {
    format!("id: {position}\ndata: ").into_bytes()
}

/// The event of a message, around the shared frame.
pub(crate) fn pieces(entry: &Entry) -> [&[u8]; 3] {
    let frame = entry.frame(Encoding::Json);
    [frame.event_head(), frame.payload(), TAIL]
}

/// How long a browser is to wait before it comes back after a cut.
pub(crate) fn retry(ms: u64) -> Vec<u8> {
    format!("retry: {}\n\n", ms.max(RETRY_MS_MIN)).into_bytes()
}

/// A goodbye to one who is given no stream: to come back after this time.
pub fn goodbye_event(code: CloseCode, reason: &str, reconnect_after_ms: u64) -> Vec<u8> {
    let (code, reason) = (code.as_u16(), reason.to_owned());
    let mut out = Vec::new();
    write(&Frame::Goodbye { code, reason, reconnect_after_ms: Some(reconnect_after_ms) }, &mut out);
    out
}

/// Appends the event of a frame that is no message. A heartbeat has no data, and so is no event to a browser, which
/// keeps its id all the same.
pub(crate) fn write(frame: &Frame, out: &mut Vec<u8>) {
    let mut lines = String::new();
    let written = match frame {
        Frame::Gap(gap) if gap.topic.is_none() => write!(lines, "id: {}\ndata: ", gap.to),
        Frame::Live { cursor, .. } => write!(lines, "id: {cursor}\ndata: "),
        Frame::Ping { cursor } => {
            out.extend_from_slice(format!("id: {cursor}\n\n").as_bytes());
            return;
        }
        Frame::Goodbye { reconnect_after_ms: Some(ms), .. } if *ms > 0 => {
            write!(lines, "retry: {}\ndata: ", ms.max(&RETRY_MS_MIN))
        }
        Frame::Welcome { .. }
        | Frame::Ok { .. }
        | Frame::Error { .. }
        | Frame::Message(_)
        | Frame::Gap(_)
        | Frame::Replay { .. }
        | Frame::Unsubscribed { .. }
        | Frame::Goodbye { .. } => write!(lines, "data: "),
    };
    written.expect("writing to a string does not fail");
    out.extend_from_slice(lines.as_bytes());
    frame.encode(Encoding::Json, out);
    out.extend_from_slice(TAIL);
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::{Cursor, Gap, Topic};

    use super::*;

    fn written(frame: &Frame) -> String {
        let mut out = Vec::new();
        write(frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_has_an_id_where_its_frame_moves_the_cursor() {
        let [from, to]: [Position; 2] = ["0.1:3", "0.1:5"].map(|position| position.parse().unwrap());
        let gap = |topic| Frame::Gap(Gap { topic, from, to, count: None });
        let cursor = Cursor::from(to);
        let goodbye = |ms| Frame::Goodbye { code: 1012, reason: "x\ny".to_owned(), reconnect_after_ms: ms };
        for (frame, expected) in [
            (gap(None), "id: 0.1:5\ndata: [\"gap\",null,\"0.1:3\",\"0.1:5\"]\n\n"),
            (gap(Some(Topic::parse("a").unwrap())), "data: [\"gap\",\"a\",\"0.1:3\",\"0.1:5\"]\n\n"),
            (
                Frame::Live { filter: None, cursor: cursor.clone() },
                "id: 0.1:5\ndata: [\"live\",null,\"0.1:5\"]\n\n",
            ),
            (Frame::Ping { cursor }, "id: 0.1:5\n\n"),
            (
                goodbye(Some(1_850)),
                "retry: 1850\ndata: [\"goodbye\",1012,\"x\\ny\",{\"reconnect_after_ms\":1850}]\n\n",
            ),
            (
                goodbye(Some(7)),
                "retry: 1000\ndata: [\"goodbye\",1012,\"x\\ny\",{\"reconnect_after_ms\":7}]\n\n",
            ),
            (goodbye(None), "data: [\"goodbye\",1012,\"x\\ny\"]\n\n"),
        ] {
            assert_eq!(written(&frame), expected);
        }
    }
}
