//! The Fanfare broker: one binary that carries events to whoever follows them.
