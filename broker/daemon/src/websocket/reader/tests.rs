use super::*;

const LIMITS: ReaderLimits = ReaderLimits { frame_bytes_max: 1000, fragments_max: 128 };
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const FINAL: u8 = 0x80;

/// An event that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Seen {
        match event {
            Event::Message(payload) => Seen::Message(payload.to_vec()),
            Event::Ping(payload) => Seen::Ping(payload.to_vec()),
            Event::Pong => Seen::Pong,
            Event::Close(code) => Seen::Close(code),
        }
    }
}

fn text_reader() -> Reader {
    Reader::new(LIMITS, true)
}

/// A masked client frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = match payload.len() {
        len @ 0..=125 => vec![first, FINAL | len as u8],
        len @ 126..=0xffff => [&[first, FINAL | 126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[first, FINAL | 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A header that declares `len` in 8 bytes, mask included, and nothing after it.
fn long_header(first: u8, len: u64) -> Vec<u8> {
    [&[first, FINAL | 127][..], &len.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

/// Every event and the verdict, when `bytes` come in `pieces` and every `pause`th event pauses.
fn feed<'a>(
    mut reader: Reader,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pause: usize,
) -> (Vec<Seen>, Result<(), ReadError>) {
    let mut seen = Vec::new();
    let mut on_event = |event: Event<'_>| {
        seen.push(Seen::from(event));
        if seen.len().is_multiple_of(pause) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    for piece in pieces {
        let mut verdict = reader.read(&mut piece.to_vec(), &mut on_event);
        while verdict.is_ok() && reader.holds_rest() {
            assert_eq!(reader.partial(), None);
            verdict = reader.resume(&mut on_event);
        }
        if verdict.is_err() {
            assert!(reader.pending.is_none());
            return (seen, verdict);
        }
    }
    (seen, Ok(()))
}

fn feed_whole(bytes: &[u8]) -> (Vec<Seen>, Result<(), ReadError>) {
    feed(text_reader(), [bytes], usize::MAX)
}

fn verdict(reader: Reader, bytes: &[u8]) -> Option<CloseCode> {
    feed(reader, [bytes], usize::MAX).1.err().map(|error| error.code)
}

/// Frames of every kind and length form, a fragmented message cut inside characters, pings between.
fn mixed_session() -> (Vec<u8>, Vec<Seen>) {
    let euros = "€".repeat(50);
    let (first, rest) = euros.as_bytes().split_at(16);
    let (second, third) = rest.split_at(1);
    let bytes = [
        frame(FINAL | TEXT, b"hello"),
        frame(FINAL | TEXT, b""),
        frame(FINAL | PING, b"are you there"),
        frame(TEXT, first),
        frame(CONTINUATION, second),
        frame(FINAL | PONG, b""),
        frame(CONTINUATION, b""),
        frame(FINAL | PING, b""),
        frame(FINAL | CONTINUATION, third),
        frame(FINAL | TEXT, &[b'x'; 126]),
        frame(FINAL | TEXT, &[b'y'; 1000]),
        frame(FINAL | CLOSE, b"\x03\xe8bye"),
        frame(FINAL | TEXT, b"ignored"),
    ]
    .concat();
    let seen = vec![
        Seen::Message(b"hello".to_vec()),
        Seen::Message(vec![]),
        Seen::Ping(b"are you there".to_vec()),
        Seen::Pong,
        Seen::Ping(vec![]),
        Seen::Message(euros.into_bytes()),
        Seen::Message(vec![b'x'; 126]),
        Seen::Message(vec![b'y'; 1000]),
        Seen::Close(Some(1000)),
    ];
    (bytes, seen)
}

#[test]
fn a_reader_is_small_and_an_idle_one_owns_no_buffer() {
    assert!(size_of::<Reader>() <= 40);
    let mut reader = text_reader();
    let (bytes, _) = mixed_session();
    let last_message =
        bytes.len() - frame(FINAL | CLOSE, b"\x03\xe8bye").len() - frame(FINAL | TEXT, b"ignored").len();
    for byte in &bytes[..last_message] {
        reader.read(&mut [*byte], |_| ControlFlow::Continue(())).unwrap();
    }
    assert!(reader.pending.is_none());
    assert_eq!(reader.partial(), None);
}

#[test]
fn a_session_is_the_same_however_it_is_cut() {
    let (bytes, expected) = mixed_session();
    assert_eq!(feed_whole(&bytes), (expected.clone(), Ok(())));
    assert_eq!(feed(text_reader(), bytes.chunks(1), usize::MAX), (expected.clone(), Ok(())));
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(feed(text_reader(), [head, tail], usize::MAX), (expected.clone(), Ok(())), "cut at {cut}");
    }
    for len in 2..40 {
        assert_eq!(feed(text_reader(), bytes.chunks(len), 2), (expected.clone(), Ok(())), "pieces of {len}");
    }
}

#[test]
fn a_binary_session_takes_any_bytes() {
    let reader = Reader::new(LIMITS, false);
    let bytes = [frame(BINARY, b"\xff\xfe"), frame(FINAL | CONTINUATION, b"\x80")].concat();
    assert_eq!(
        feed(reader, [&bytes[..]], usize::MAX),
        (vec![Seen::Message(b"\xff\xfe\x80".to_vec())], Ok(()))
    );
}

#[test]
fn a_broken_rule_has_its_close_code() {
    use CloseCode::{NotUtf8, PolicyViolation, ProtocolError, TooLarge, WrongFrameType};
    let unmasked = vec![FINAL | TEXT, 2, b'h', b'i'];
    let short_in_16 = [&[FINAL | TEXT, FINAL | 126, 0, 125][..], &[0; 4]].concat();
    let after = |begin: &[u8], then: &[u8]| [begin, then].concat();
    let begun = frame(TEXT, b"a");
    let many = [frame(TEXT, b""), frame(CONTINUATION, b"").repeat(128)].concat();
    for (name, bytes, code) in [
        ("unmasked", unmasked, ProtocolError),
        ("reserved bit 1", frame(FINAL | 0x40 | TEXT, b""), ProtocolError),
        ("reserved bit 2", frame(FINAL | 0x20 | TEXT, b""), ProtocolError),
        ("reserved bit 3", frame(FINAL | 0x10 | TEXT, b""), ProtocolError),
        ("unknown data opcode", frame(FINAL | 0x3, b""), ProtocolError),
        ("unknown control opcode", frame(FINAL | 0xb, b""), ProtocolError),
        ("fragmented ping", frame(PING, b""), ProtocolError),
        ("fragmented pong", frame(PONG, b""), ProtocolError),
        ("fragmented close", frame(CLOSE, b""), ProtocolError),
        ("long ping", frame(FINAL | PING, &[0; 126]), ProtocolError),
        ("long close", long_header(FINAL | CLOSE, 0x1_0000), ProtocolError),
        ("16-bit length of 125", short_in_16, ProtocolError),
        ("64-bit length of 65535", long_header(FINAL | TEXT, 0xffff), ProtocolError),
        ("64-bit length of 2^63", long_header(FINAL | TEXT, 1 << 63), ProtocolError),
        ("64-bit length of 2^63 - 1", long_header(FINAL | TEXT, (1 << 63) - 1), TooLarge),
        ("too large by one", frame(FINAL | TEXT, &[b'x'; 1001]), TooLarge),
        ("too large over fragments", after(&begun, &frame(FINAL | CONTINUATION, &[b'x'; 1000])), TooLarge),
        ("129 fragments", many, PolicyViolation),
        ("continuation of nothing", frame(FINAL | CONTINUATION, b""), ProtocolError),
        ("text inside a text", after(&begun, &frame(FINAL | TEXT, b"")), ProtocolError),
        ("binary inside a text", after(&begun, &frame(FINAL | BINARY, b"")), ProtocolError),
        ("binary", frame(FINAL | BINARY, b""), WrongFrameType),
        ("fragmented binary", frame(BINARY, b""), WrongFrameType),
        ("not UTF-8", frame(FINAL | TEXT, b"\xc3\x28"), NotUtf8),
        ("surrogate", frame(FINAL | TEXT, b"\xed\xa0\x80"), NotUtf8),
        ("ends inside a character", frame(FINAL | TEXT, b"\xe2\x82"), NotUtf8),
        ("fragment not UTF-8", frame(TEXT, b"\xff"), NotUtf8),
        ("last fragment ends inside a character", after(&begun, &frame(FINAL, b"\xe2\x82")), NotUtf8),
        ("close of one byte", frame(FINAL | CLOSE, b"\x03"), ProtocolError),
        ("reason not UTF-8", frame(FINAL | CLOSE, b"\x03\xe8\xff"), NotUtf8),
    ] {
        assert_eq!(verdict(text_reader(), &bytes), Some(code), "{name}");
        let in_pieces = feed(text_reader(), bytes.chunks(1), usize::MAX);
        assert_eq!(in_pieces, feed_whole(&bytes), "{name}");
        assert!(in_pieces.1.unwrap_err().reason.len() <= 123, "{name}");
    }
    assert_eq!(verdict(Reader::new(LIMITS, false), &frame(FINAL | TEXT, b"")), Some(WrongFrameType));
}

#[test]
fn close_codes_are_checked() {
    let verdict_of = |code: u16| verdict(text_reader(), &frame(FINAL | CLOSE, &code.to_be_bytes()));
    for good in [1000, 1001, 1002, 1003, 1007, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        assert_eq!(verdict_of(good), None, "{good}");
    }
    for bad in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_eq!(verdict_of(bad), Some(CloseCode::ProtocolError), "{bad}");
    }
    assert_eq!(feed_whole(&frame(FINAL | CLOSE, b"")).0, [Seen::Close(None)]);
}

#[test]
fn a_verdict_needs_no_more_bytes_than_those_that_break_the_rule() {
    let large = long_header(FINAL | TEXT, 70_000);
    for (name, bytes) in [
        ("reserved bit", &[FINAL | 0x40 | TEXT][..]),
        ("wrong type", &[FINAL | BINARY]),
        ("unmasked", &[FINAL | TEXT, 0]),
        ("long ping", &[FINAL | PING, FINAL | 126]),
        ("too large", &[FINAL | TEXT, FINAL | 126, 0xff, 0xff]),
        ("much too large", &large[..10]),
    ] {
        assert_eq!(feed_whole(&bytes[..bytes.len() - 1]), (vec![], Ok(())), "{name}");
        assert!(feed_whole(bytes).1.is_err(), "{name}");
    }
}

#[test]
fn a_declared_length_allocates_nothing() {
    let limits = ReaderLimits { frame_bytes_max: usize::MAX, fragments_max: 128 };
    for bits in 16..63 {
        let mut reader = Reader::new(limits, false);
        let mut header = long_header(BINARY, 1 << bits);
        reader.read(&mut header, |_| ControlFlow::Continue(())).unwrap();
        let pending = reader.pending.as_ref().unwrap();
        assert!(pending.tail.capacity() <= 16, "2^{bits}");
        assert_eq!(pending.message.bytes.capacity() + pending.rest.capacity(), 0, "2^{bits}");
        reader.read(&mut [0; 1000], |_| ControlFlow::Continue(())).unwrap();
        assert!(reader.pending.as_ref().unwrap().tail.capacity() <= 2048, "2^{bits}");
    }
}

#[test]
fn two_million_fragments_are_refused_at_the_129th() {
    let first = frame(TEXT, b"x");
    let fragment = frame(CONTINUATION, b"x");
    let mut reader = text_reader();
    let mut read = |bytes: &[u8]| reader.read(&mut bytes.to_vec(), |_| panic!("no message is whole"));
    read(&first).unwrap();
    let refused = (2..=2_000_000).find_map(|number| read(&fragment).err().map(|error| (number, error)));
    let (number, error) = refused.unwrap();
    assert_eq!((number, error.code), (129, CloseCode::PolicyViolation));
}

#[test]
fn after_an_error_or_a_close_nothing_is_read() {
    for last in [frame(FINAL | 0x40, b""), frame(FINAL | CLOSE, b"")] {
        let mut reader = text_reader();
        let _verdict = reader.read(&mut last.clone(), |_| ControlFlow::Break(()));
        let mut more = frame(FINAL | TEXT, b"more");
        assert_eq!(reader.read(&mut more, |event| panic!("{event:?} after the end")), Ok(()));
        assert!(!reader.holds_rest() && reader.partial().is_none());
    }
}

#[test]
fn a_pause_keeps_the_rest_and_an_error_in_it_comes_after_the_resume() {
    let mut reader = text_reader();
    let mut bytes =
        [frame(FINAL | TEXT, b"1"), frame(FINAL | TEXT, b"2"), frame(FINAL | BINARY, b"3")].concat();
    let mut seen = Vec::new();
    let mut pause = |event: Event<'_>| {
        seen.push(Seen::from(event));
        ControlFlow::Break(())
    };
    assert_eq!(reader.read(&mut bytes, &mut pause), Ok(()));
    assert!(reader.holds_rest());
    assert_eq!(reader.resume(&mut pause), Ok(()));
    assert!(reader.holds_rest());
    assert_eq!(reader.resume(&mut pause).unwrap_err().code, CloseCode::WrongFrameType);
    assert!(!reader.holds_rest());
    assert_eq!(seen, [Seen::Message(b"1".to_vec()), Seen::Message(b"2".to_vec())]);
}

#[test]
fn a_pause_after_the_last_byte_keeps_nothing() {
    let mut reader = text_reader();
    reader.read(&mut frame(FINAL | TEXT, b"1"), |_| ControlFlow::Break(())).unwrap();
    assert!(!reader.holds_rest() && reader.pending.is_none());
    assert_eq!(reader.resume(|event| panic!("{event:?}")), Ok(()));
}

#[test]
fn the_mark_is_the_same_as_long_as_the_same_thing_is_unfinished() {
    let mut reader = text_reader();
    let mut mark_after = |bytes: &[u8]| {
        reader.read(&mut bytes.to_vec(), |_| ControlFlow::Continue(())).unwrap();
        reader.partial()
    };
    let hello = frame(FINAL | TEXT, b"hello");
    let (begin, end) = hello.split_at(3);
    assert_eq!(mark_after(&hello), None);
    let first = mark_after(begin);
    assert!(first.is_some());
    assert_eq!(mark_after(&end[..1]), first);
    let second = mark_after(&[&end[1..], begin].concat());
    assert!(second.is_some() && second != first);
    assert_eq!(mark_after(end), None);
    let message = mark_after(&frame(TEXT, b"a"));
    assert!(message.is_some() && message != second);
    assert_eq!(mark_after(&frame(FINAL | PING, b"")), message);
    assert_eq!(mark_after(&frame(CONTINUATION, b"b")[..5]), message);
    assert_eq!(mark_after(&frame(CONTINUATION, b"b")[5..]), message);
    assert_eq!(mark_after(&frame(FINAL | CONTINUATION, b"")), None);
}

#[test]
fn many_small_frames_in_one_byte_pieces_take_linear_time() {
    let limits = ReaderLimits { frame_bytes_max: 1 << 20, fragments_max: 128 };
    let large = frame(FINAL | TEXT, &vec![b'x'; 1 << 20]);
    let small = frame(FINAL | TEXT, b"x").repeat(1 << 16);
    let (seen, verdict) = feed(Reader::new(limits, true), large.chunks(1).chain(small.chunks(1)), usize::MAX);
    assert_eq!((seen.len(), verdict), (1 + (1 << 16), Ok(())));
    let (seen, verdict) = feed(Reader::new(limits, true), [&small[..]], 1);
    assert_eq!((seen.len(), verdict), (1 << 16, Ok(())));
}

struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn random_bytes_have_one_verdict_however_they_are_cut() {
    for seed in 1..=4000 {
        let mut chance = XorShift(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut bytes: Vec<u8> = (0..chance.below(400)).map(|_| chance.below(256) as u8).collect();
        let expected = feed_whole(&bytes);
        assert_eq!(feed(text_reader(), bytes.chunks(1), usize::MAX), expected, "seed {seed}");
        (bytes, _) = mixed_session();
        for _ in 0..chance.below(4) {
            let at = chance.below(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
        }
        let expected = feed_whole(&bytes);
        for pause in [1, 3, usize::MAX] {
            let len = 1 + chance.below(300);
            assert_eq!(
                feed(text_reader(), bytes.chunks(len), pause),
                expected,
                "seed {seed}, pieces of {len}"
            );
        }
    }
}
