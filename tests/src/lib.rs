//! The daemon met as users meet it.
