//! The Fanfare broker: one binary that carries events to whoever follows them.
//!
//! The daemon decides nothing about topics, sessions or delivery: `fanfare-core` does. Here are clocks, sockets,
//! threads, configuration and HTTP.

pub mod cli;
mod clock;
pub mod config;
mod http;
mod metrics;
mod node;
mod origin;
mod process;
pub mod redis;
pub mod server;
mod sse;
mod websocket;
mod worker;
