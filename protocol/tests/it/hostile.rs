//! Input that is made to hurt.
