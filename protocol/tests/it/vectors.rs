//! The vectors as every SDK reads them: JSON files, MessagePack in hex.

use std::path::PathBuf;

use fanfare_protocol::Encoding;
use serde_json::Value;

/// The files that the tests beside this one read.
pub(super) const REQUESTS: &str = "requests.json";
pub(super) const REQUESTS_TOLERATED: &str = "requests_tolerated.json";
pub(super) const REQUESTS_INVALID: &str = "requests_invalid.json";
pub(super) const FRAMES: &str = "frames.json";
pub(super) const FRAMES_TOLERATED: &str = "frames_tolerated.json";
pub(super) const FRAMES_INVALID: &str = "frames_invalid.json";
pub(super) const DATA: &str = "data.json";
pub(super) const TRANSCODED: &str = "transcoded.json";
pub(super) const BODIES: &str = "bodies.json";
pub(super) const BATCHES: &str = "batches.json";
pub(super) const NAMES: &str = "names.json";
pub(super) const CURSORS: &str = "cursors.json";
pub(super) const CODES: &str = "codes.json";

const READ: [&str; 13] = [
    REQUESTS,
    REQUESTS_TOLERATED,
    REQUESTS_INVALID,
    FRAMES,
    FRAMES_TOLERATED,
    FRAMES_INVALID,
    DATA,
    TRANSCODED,
    BODIES,
    BATCHES,
    NAMES,
    CURSORS,
    CODES,
];

/// What a file holds.
pub(super) fn load(file: &str) -> Value {
    assert!(READ.contains(&file), "{file} stands in the list of files that are read");
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The vectors of a file that is a list of them.
pub(super) fn load_list(file: &str) -> Vec<Value> {
    let Value::Array(vectors) = load(file) else { panic!("{file} is no list") };
    assert!(!vectors.is_empty(), "{file} is empty");
    vectors
}

/// What a vector is called.
pub(super) fn name(vector: &Value) -> &str {
    string(&vector["name"])
}

/// The encodings in which a vector is written, with its bytes.
pub(super) fn written(vector: &Value) -> Vec<(Encoding, Vec<u8>)> {
    let json = vector.get("json").map(|text| (Encoding::Json, string(text).as_bytes().to_vec()));
    let message_pack = vector.get("msgpack").map(|hex| (Encoding::MessagePack, from_hex(string(hex))));
    let written: Vec<_> = json.into_iter().chain(message_pack).collect();
    assert!(!written.is_empty(), "{} is written in no encoding", name(vector));
    written
}

/// A value that is a string.
pub(super) fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

/// The bytes that are written in hex.
pub(super) fn from_hex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex} has half a byte");
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The bytes in hex.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes as a failed test shows them.
pub(super) fn shown(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Json => String::from_utf8_lossy(bytes).into_owned(),
        Encoding::MessagePack => to_hex(bytes),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

#[test]
fn no_file_of_vectors_is_left_unread() {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut found: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.retain(|file| file.ends_with(".json"));
    found.sort_unstable();
    let mut read = READ.map(str::to_owned).to_vec();
    read.sort_unstable();
    assert_eq!(found, read);
}

#[test]
fn no_two_vectors_of_a_file_have_the_same_name() {
    for file in READ {
        let Value::Array(vectors) = load(file) else { continue };
        let mut names: Vec<&str> = vectors.iter().map(name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{file}");
    }
}
