//! The Fanfare broker as pure state: no clock, no socket, no async, no logging.
