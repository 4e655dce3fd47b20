//! What waits, cut, dropped and written in pieces.

use std::str::FromStr as _;

use fanfare_protocol::Encoding;

use super::*;

fn live(topic: &str, seq: u64) -> Arc<Entry> {
    Arc::new(Entry::sample(topic, seq, 0))
}

/// Writes at most `bytes`, in pieces of at most `slices`.
fn write(outbox: &mut Outbox, bytes: usize, slices: usize) -> Vec<u8> {
    let mut pieces = vec![IoSlice::new(&[]); slices];
    let count = outbox.gather(&mut pieces);
    let written: Vec<u8> =
        pieces[..count].iter().flat_map(|piece| piece.iter().copied()).take(bytes).collect();
    outbox.advance(written.len());
    written
}

/// The payloads of all frames that wait, read as text.
fn frames(mut outbox: Outbox) -> Vec<String> {
    let mut bytes = write(&mut outbox, usize::MAX, 100);
    assert!(outbox.is_empty() && outbox.bytes() == 0);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let frame: Vec<u8> = bytes.drain(..2 + usize::from(bytes[1])).skip(2).collect();
        frames.push(String::from_utf8(frame).unwrap());
    }
    frames
}

fn mixed() -> Outbox {
    let mut outbox = Outbox::new(Encoding::Json);
    outbox.push_live(live("a", 1));
    outbox.push_replayed(&Filter::parse("a.>").unwrap(), live("a.b", 2));
    outbox.push_own(|out| out.extend_from_slice(b"own"));
    outbox
}

const MIXED: [&str; 3] =
    [r#"["message","a","0.1:1",1]"#, r#"["replay","a.>",["message","a.b","0.1:2",2]]"#, "own"];

#[test]
fn frames_come_out_whole_however_they_are_cut() {
    assert_eq!(frames(mixed()), MIXED);
    let whole = write(&mut mixed(), usize::MAX, 100);
    for (bytes, slices) in [(1, 1), (3, 2), (7, 5), (29, 1), (1_000, 1), (1_000, 3)] {
        let (mut outbox, mut written) = (mixed(), Vec::new());
        while !outbox.is_empty() {
            assert_eq!(outbox.bytes(), whole.len() - written.len());
            written.extend(write(&mut outbox, bytes, slices));
        }
        assert_eq!(written, whole, "{bytes} bytes, {slices} pieces at once");
        assert_eq!(outbox.bytes(), 0);
    }
}

#[test]
fn messages_are_counted_when_they_are_written_whole() {
    let mut outbox = mixed();
    let first = live("a", 1).frame(Encoding::Json).bytes().len();
    assert_eq!(outbox.advance(first - 1), 0);
    assert_eq!(outbox.advance(1), 1);
    let rest = outbox.bytes();
    assert_eq!(outbox.advance(rest), 1, "a reply is no message");
}

#[test]
fn a_cut_keeps_only_the_rest_of_a_half_written_frame() {
    let mut outbox = mixed();
    outbox.cut();
    assert!(outbox.is_empty() && outbox.bytes() == 0);
    let mut outbox = mixed();
    let mut written = write(&mut outbox, 5, 1);
    outbox.cut();
    assert_eq!(outbox.items(), 1);
    written.extend(write(&mut outbox, usize::MAX, 9));
    assert_eq!(written, live("a", 1).frame(Encoding::Json).bytes());
}

#[test]
fn one_gap_stands_for_the_oldest_run_and_neighbours_merge() {
    let mut outbox = Outbox::new(Encoding::Json);
    outbox.push_own(|out| out.extend_from_slice(b"own"));
    for seq in [3, 5] {
        outbox.push_live(live("a", seq));
    }
    outbox.push_own(|out| out.extend_from_slice(b"other"));
    outbox.push_live(live("a", 7));
    assert_eq!((outbox.drop_oldest(), outbox.drop_oldest(), outbox.drop_oldest()), (2, 1, 0));
    outbox.push_live(live("a", 9));
    assert_eq!(outbox.drop_oldest(), 1);
    let gaps = [r#"["gap",null,"0.1:2","0.1:5",{"count":2}]"#, r#"["gap",null,"0.1:6","0.1:9",{"count":2}]"#];
    assert_eq!(frames(outbox), ["own", gaps[0], "other", gaps[1]]);
}

#[test]
fn what_is_half_written_is_never_dropped() {
    let mut outbox = Outbox::new(Encoding::Json);
    outbox.push_live(live("a", 1));
    outbox.push_live(live("a", 2));
    let written = write(&mut outbox, 3, 1);
    assert_eq!(outbox.drop_same_topic(&live("a", 3)), 1);
    assert_eq!((outbox.items(), outbox.drop_oldest()), (1, 0));
    let rest = write(&mut outbox, usize::MAX, 9);
    assert_eq!([written, rest].concat(), live("a", 1).frame(Encoding::Json).bytes());
}

#[test]
fn a_message_takes_the_place_of_those_of_its_topic_alone() {
    let mut outbox = Outbox::new(Encoding::Json);
    let mut last = std::collections::BTreeMap::new();
    let mut next = |topic: &'static str, seq: u64| {
        let mut entry = Entry::sample(topic, seq, 0);
        entry.prev = last.insert(topic, seq).unwrap_or(0);
        Arc::new(entry)
    };
    for (topic, seq) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("a", 6)] {
        outbox.push_own(|out| out.extend_from_slice(b"own "));
        outbox.push_live(next(topic, seq));
    }
    let waiting = outbox.bytes();
    assert_eq!(outbox.drop_outdated(|entry| entry.message.topic.as_str() == "b"), 1);
    assert_eq!(waiting - outbox.bytes(), live("b", 2).frame(Encoding::Json).bytes().len());
    next("c", 7);
    assert_eq!(outbox.drop_same_topic(&next("a", 8)), 3);
    assert_eq!(outbox.drop_same_topic(&next("c", 9)), 1, "the one between was not for this session");
    assert_eq!(outbox.drop_same_topic(&next("d", 10)), 0, "none waits");
    let waiting = outbox.bytes();
    let seqs = frames(outbox).iter().map(|frame| frame[frame.len() - 2..].to_owned()).collect::<String>();
    assert_eq!(seqs.replace("n ", ""), "5]");
    assert_eq!(waiting, 6 * 6 + live("b", 5).frame(Encoding::Json).bytes().len());
}

#[test]
fn a_message_of_another_life_does_not_take_the_place_of_another_topic() {
    let mut outbox = Outbox::new(Encoding::Json);
    outbox.push_live(live("a", 40));
    let mut next = Entry::sample("b", 22, 0);
    next.prev = 40;
    outbox.push_live(Arc::new(next));
    assert_eq!(outbox.drop_outdated(|_| true), 0, "no later message of a waits");
}

#[test]
fn a_stream_of_events_comes_out_whole_and_without_line_breaks_in_its_data() {
    let broken = |seq: u64| {
        let mut entry = Entry::sample("a", seq, 0);
        entry.message.payload = fanfare_protocol::Payload::Json("[1,\r\n\t2]".into());
        Arc::new(entry)
    };
    let events = || {
        let mut outbox = Outbox::new(Edge::Events);
        outbox.push_control(b"retry: 9\n\n".to_vec());
        outbox.push_replayed(&Filter::parse("a").unwrap(), broken(1));
        outbox.push_live(broken(2));
        outbox.push_frame(&Frame::Ping { cursor: Position::from_str("0.1:7").unwrap().into() });
        outbox
    };
    let event = |seq| format!("id: 0.1:{seq}\ndata: [\"message\",\"a\",\"0.1:{seq}\",[1,  \t2]]\n\n");
    let whole = format!("retry: 9\n\n{}{}id: 0.1:7\n\n", event(1), event(2));
    for bytes in [1, 7, 50, 1_000] {
        let (mut outbox, mut written) = (events(), Vec::new());
        assert_eq!(outbox.bytes(), whole.len());
        assert_eq!(outbox.live_bytes(&broken(2)), event(2).len());
        while !outbox.is_empty() {
            let before = written.len();
            outbox.copy(bytes, &mut written);
            outbox.advance(written.len() - before);
        }
        assert_eq!(String::from_utf8(written).unwrap(), whole, "{bytes} bytes at once");
    }
}
