//! What PROTOCOL.md says against what the code does.
