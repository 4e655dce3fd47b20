//! The Fanfare binary.
fn main() {}
