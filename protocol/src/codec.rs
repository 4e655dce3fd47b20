//! Reading and writing what the types of this crate say, in both encodings.
//!
//! Reading never trusts a declared length and never builds a tree: an [`element::Element`] is a slice of
//! the input that is read when it is wanted.

mod element;
mod encode;
mod error;
mod field;
mod frame;
mod json;
mod message_pack;
mod publication;
mod request;
mod writer;

pub use encode::{encode_history_body, encode_history_ok, replay_prefix, replay_suffix};
pub use error::{FrameError, RequestError};
pub use publication::{BatchItem, decode_batch};
pub use request::decode_request;
