//! The protocol's vectors, met end to end.

use std::path::Path;

use serde_json::Value;

/// The vectors of a file such as `data.json`.
pub fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<Value> = serde_json::from_str(&text).expect("a file of vectors is a list");
    assert!(!vectors.is_empty(), "{file} is empty");
    vectors
}

/// The bytes that a text in hex stands for.
pub fn hex(text: &str) -> Vec<u8> {
    let digit =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    text.as_bytes().chunks(2).map(|pair| digit(pair).expect("vectors are in hex")).collect()
}
