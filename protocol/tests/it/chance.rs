//! Chance against the codecs: round trips, and bytes that mean nothing.
