//! What PROTOCOL.md says against what the code does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fanfare_protocol::{
    CloseCode, DEPTH_MAX, Encoding, ErrorCode, FILTERS_MAX, Frame, HEADER_BYTES_MAX, HEADERS_MAX, ID_MAX,
    IDEMPOTENCY_KEY_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, PARTITIONS_MAX, SEGMENTS_MAX, SEQ_MAX, TOPIC_BYTES_MAX,
    decode_batch, decode_request,
};

use super::vectors::{FRAMES, REQUESTS, load_list, string};

/// The files whose types the text describes.
const SOURCES: [&str; 6] =
    ["src/code.rs", "src/encoding.rs", "src/frame.rs", "src/payload.rs", "src/position.rs", "src/topic.rs"];

#[test]
fn the_text_was_brought_up_to_date_with_the_types() {
    let types: String = SOURCES.into_iter().map(|path| declarations(&read(path))).collect();
    let fingerprint = format!("{:016x}", fnv_1a(types.as_bytes()));
    let text = read("PROTOCOL.md");
    let written = text.lines().find_map(|line| line.trim_start().strip_prefix("types: "));
    assert_eq!(
        written,
        Some(fingerprint.as_str()),
        "a type in src/ changed: bring PROTOCOL.md and vectors/ up to date, then write in its last section\n\n    \
         types: {fingerprint}\n"
    );
}

#[test]
fn the_tables_have_every_error_code_and_no_other() {
    let rows = table("code", "HTTP status");
    let expected: Vec<[String; 3]> = ErrorCode::ALL
        .map(|code| {
            let retryable = if code.is_retryable() { "yes" } else { "no" };
            [format!("`{}`", code.as_str()), code.http_status().to_string(), retryable.to_owned()]
        })
        .into();
    let found: Vec<[String; 3]> =
        rows.iter().map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_tables_have_every_close_code_and_no_other() {
    let rows = table("code", "meaning");
    let expected = CloseCode::ALL.map(|code| {
        let back = if CloseCode::comes_back(code.as_u16()) { "yes" } else { "no" };
        (code.as_u16().to_string(), back.to_owned())
    });
    let found: Vec<(String, String)> = rows.iter().map(|row| (row[0].clone(), row[2].clone())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_limits_of_the_protocol_are_those_of_the_code() {
    let values: Vec<u64> =
        table("limit", "value").iter().map(|row| row[1].parse().expect("a number")).collect();
    let expected = [
        ID_MAX,
        SEQ_MAX,
        TOPIC_BYTES_MAX as u64,
        SEGMENTS_MAX as u64,
        u64::from(PARTITIONS_MAX),
        DEPTH_MAX as u64,
        IDEMPOTENCY_KEY_BYTES_MAX as u64,
        MEDIA_TYPE_BYTES_MAX as u64,
        HEADERS_MAX as u64,
        HEADER_BYTES_MAX as u64,
        FILTERS_MAX as u64,
    ];
    assert_eq!(values, expected);
}

#[test]
fn the_list_of_frames_has_every_op_of_the_vectors_and_no_other() {
    let vectors: BTreeSet<String> = [REQUESTS, FRAMES]
        .into_iter()
        .flat_map(load_list)
        .map(|vector| string(&vector["is"]["op"]).to_owned())
        .collect();
    let text = blocks("text").into_iter().find(|block| block.starts_with("client")).unwrap();
    let listed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| Some(line.split_once("[\"")?.1.split_once('"')?.0.to_owned()))
        .collect();
    assert_eq!(listed, vectors);
}

#[test]
fn every_line_of_the_transcripts_is_a_frame() {
    let transcripts = blocks("transcript");
    assert_eq!(transcripts.len(), 2);
    for line in transcripts.iter().flat_map(|block| block.lines()) {
        let (side, frame) = line.split_once(' ').unwrap();
        let mut out = Vec::new();
        match side {
            ">" => {
                decode_request(Encoding::Json, frame.as_bytes()).expect(line).encode(Encoding::Json, &mut out)
            }
            "<" => {
                Frame::decode(Encoding::Json, frame.as_bytes()).expect(line).encode(Encoding::Json, &mut out)
            }
            _ => panic!("{line} is of neither side"),
        }
        assert_eq!(String::from_utf8(out).unwrap(), frame);
    }
}

#[test]
fn every_example_is_what_it_says() {
    for block in blocks("json") {
        serde_json::from_str::<serde_json::Value>(&block).expect(&block);
        if block.starts_with('[') {
            assert!(decode_batch(block.as_bytes(), 1000).unwrap().iter().all(Result::is_ok), "{block}");
        }
    }
    let events = blocks("text").into_iter().find(|block| block.contains("\ndata: ")).unwrap();
    for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
        Frame::decode(Encoding::Json, data.as_bytes()).expect(data);
    }
}

/// The rows of the table whose head begins with these two columns.
fn table(first: &str, second: &str) -> Vec<Vec<String>> {
    let text = read("PROTOCOL.md");
    let head = format!("| {first} | {second} |");
    let rows = text.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "there is a table {head}");
    rows
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let text = read("PROTOCOL.md");
    let opened = text.split("```").skip(1).step_by(2);
    let blocks = opened.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(str::to_owned).collect()
}

/// What a file declares in public but functions, without comments and white space.
fn declarations(source: &str) -> String {
    let mut declarations = String::new();
    let mut open = false;
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        open |=
            ["pub enum ", "pub struct ", "pub const ", "pub type "].iter().any(|word| line.starts_with(word));
        if open {
            declarations.extend(line.chars().filter(|character| !character.is_whitespace()));
            open = !(line == "}" || line.ends_with(';'));
        }
    }
    declarations
}

/// FNV-1a of 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
