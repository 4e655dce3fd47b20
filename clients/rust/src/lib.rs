//! Fanfare's client: follow topics over a WebSocket that comes back by itself, publish over it or over HTTP.
//!
//! [`Client`] follows and publishes, [`Publisher`] publishes over HTTP. Beneath them is [`session::Session`]: the
//! client's side of the protocol without a socket, for whoever brings a transport of their own. TLS is not spoken
//! here.

mod answer;
mod client;
mod endpoint;
mod event;
mod outcome;
mod publication;
mod publisher;
pub mod session;
mod websocket;

pub use client::{Client, Options, Subscription};
pub use event::Event;
pub use fanfare_protocol::{
    Cursor, Encoding, ErrorCode, Filter, Gap, Headers, Message, OnSlow, Payload, Position, Publication,
    SubscribeOptions, Topic,
};
pub use outcome::{ConnectError, PublishError, Published, Refusal, SubscribeError};
pub use publication::{binary, json, text};
pub use publisher::Publisher;
