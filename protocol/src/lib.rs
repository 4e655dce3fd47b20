//! What is said on Fanfare's wire: topics, positions, frames and their two encodings.
//!
//! `PROTOCOL.md` beside this crate is normative; `vectors/` holds every frame. This crate knows no
//! session and no socket: text and bytes in, types out, and back.

mod code;
mod codec;
mod encoding;
mod frame;
mod payload;
mod position;
mod topic;

pub use code::{CloseCode, ErrorCode};
pub use codec::{
    BatchItem, FrameError, RequestError, decode_batch, decode_request, encode_history_body,
    encode_history_ok, replay_prefix, replay_suffix,
};
pub use encoding::Encoding;
pub use frame::{Frame, Gap, ID_MAX, Message, OkBody, OnSlow, Request, SubscribeOptions, Welcome};
pub use payload::{
    DEPTH_MAX, HEADER_BYTES_MAX, HEADERS_MAX, Headers, IDEMPOTENCY_KEY_BYTES_MAX, MEDIA_TYPE_BYTES_MAX,
    Payload, Publication,
};
pub use position::{Cursor, Epoch, LIFE_MAX, PARTITIONS_MAX, Position, PositionError, SEQ_MAX};
pub use topic::{FILTERS_MAX, Filter, NameError, SEGMENTS_MAX, TOPIC_BYTES_MAX, Topic};
