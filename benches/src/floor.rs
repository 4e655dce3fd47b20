//! The floor: the smallest program that accepts the same publishes by HTTP and writes the same bytes to the same
//! sockets.
//!
//! One thread, exact topics, one `write()` a subscriber and publish. No history, no filters, no limits, no
//! heartbeat, no queue beyond what a socket would not take.

mod http;
mod socket;
mod state;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use state::State;

/// Serves on `address` until the process ends.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let state = Rc::new(RefCell::new(State::default()));
    LocalSet::new().run_until(accept(listener, state)).await
}

async fn accept(listener: TcpListener, state: Rc<RefCell<State>>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let state = state.clone();
        spawn_local(async move {
            let service = service_fn(|request| http::answer(state.clone(), request));
            // A connection that breaks is no news: the generator counts what it misses.
            let _ =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}
