//! The binary `fanfare`.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use fanfare::cli::bench::bench;
use fanfare::cli::check::{CheckFlags, check};
use fanfare::cli::publish::publish;
use fanfare::cli::subscribe::subscribe;
use fanfare::cli::{Arguments, Command, ServeFlags};
use fanfare::config::Settings;
use fanfare::server::Server;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().into_command() {
        Command::Serve(flags) => serve(&flags),
        Command::Check(flags) => print_check(&flags),
        Command::Publish(flags) => publish(&flags),
        Command::Subscribe(flags) => subscribe(&flags),
        Command::Bench(flags) => bench(&flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanfare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &ServeFlags) -> anyhow::Result<()> {
    start_log(flags.log_json)?;
    let working_dir = std::env::current_dir().context("there is no working directory")?;
    let settings = Settings::load(flags, variables(), &working_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(settings)?;
        server.until_joined().await?;
        let (address, workers) = (server.address(), server.workers());
        let mut signals = Signals::watch().context("signals can't be watched")?;
        let mut again = Signals::watch().context("signals can't be watched")?;
        tracing::info!(%address, workers, "listening; open http://{address}/");
        tokio::select! {
            () = server.run(async move { signals.next().await }) => {}
            () = async { again.next().await; again.next().await } => tracing::warn!("stopped at once"),
        }
        tracing::info!("stopped");
        Ok(())
    })
}

fn print_check(flags: &CheckFlags) -> anyhow::Result<()> {
    let working_dir = std::env::current_dir().context("there is no working directory")?;
    check(flags, variables(), &working_dir, &mut std::io::stdout().lock())
}

/// The signals that ask the broker to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn start_log(json: bool) -> anyhow::Result<()> {
    let written = std::env::var_os("FANFARE_LOG").filter(|written| !written.is_empty());
    let written = written.unwrap_or_else(|| "info".into());
    let filter = written.to_str().and_then(log_filter).with_context(|| {
        format!("FANFARE_LOG: {written:?} is none of debug, info, warn and error, nor such as fanfare=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
    }
    Ok(())
}

/// What of the log is written; a level that is none would be taken for the name of a target, of which there is nothing.
fn log_filter(written: &str) -> Option<EnvFilter> {
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    written.split(',').all(is_known).then(|| EnvFilter::try_new(written).ok()).flatten()
}

/// The variables of the environment that are text; others can't be settings.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
