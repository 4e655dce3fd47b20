//! The floor as a process: `floor --listen 127.0.0.1:8900`.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;

/// The least that a broker of the same bytes could cost.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8900")]
    listen: SocketAddr,
}

fn main() -> Result<()> {
    let args = Args::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(fanfare_benches::floor::serve(args.listen))
}
