//! A scripted user of the daemon: starts the real binary, speaks HTTP and WebSocket to it, and waits for events.
//!
//! Everything is written by hand over TCP, so that what no library sends can be sent too. Nothing here sleeps: each
//! wait is for something to happen, under a watchdog that fails the test.

mod binary;
mod broker;
mod certificates;
pub mod checker;
mod client;
mod clock;
mod events;
pub mod harness;
mod http;
mod http2;
mod log;
mod pour;
mod proxy;
mod redis;
mod socket;
mod tour;
mod value;
mod vectors;
mod watchdog;
mod wire;

pub use broker::{Broker, Setup};
pub use certificates::{Authority, Certificate};
pub use client::Client;
pub use clock::WallClock;
pub use events::{Block, Events};
pub use http::{Answer, Ask, read_answer};
pub use log::Ended;
pub use proxy::{Proxy, Way};
pub use redis::Redis;
pub use socket::{BINARY, CLOSE, CONTINUATION, FIN, Heard, PING, PONG, Socket, TEXT, frame, handshake};
pub use tour::{Step, blocks_of, tour_of};
pub use value::{message_pack, value_of};
pub use vectors::{hex, vectors};
pub use watchdog::{WATCHDOG, within};
pub use wire::Wire;
