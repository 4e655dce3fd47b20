//! The binary `fanfare`.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use fanfare::cli::{Arguments, Command, ServeFlags};
use fanfare::config::Settings;
use fanfare::server::Server;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Command::Serve(flags) = Arguments::parse().into_command();
    match serve(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanfare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &ServeFlags) -> anyhow::Result<()> {
    start_log(flags.log_json);
    let working_dir = std::env::current_dir().context("there is no working directory")?;
    let settings = Settings::load(flags, variables(), &working_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(settings)?;
        let (address, workers) = (server.address(), server.workers());
        tracing::info!(%address, workers, "listening; open http://{address}/");
        tokio::select! {
            () = server.run() => {}
            result = tokio::signal::ctrl_c() => result.context("signals can't be watched")?,
            result = terminated() => result?,
        }
        tracing::info!("stopped");
        Ok(())
    })
}

async fn terminated() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    terminate.recv().await;
    Ok(())
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_env("FANFARE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
    }
}

/// The variables of the environment that are text; others can't be settings.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
