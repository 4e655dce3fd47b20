//! The command line of `fanfare`.

pub mod bench;
pub mod check;
mod parse;
pub mod publish;
pub mod subscribe;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fanfare_core::WORKERS_MAX;

use self::bench::BenchFlags;
use self::check::CheckFlags;
use self::publish::PublishFlags;
use self::subscribe::SubscribeFlags;
use crate::config::parse_address;

const EXAMPLES: &str = "\
Examples:
  fanfare                                  a broker on 127.0.0.1:8900; open http://127.0.0.1:8900/ and follow `>`
  fanfare --listen 127.0.0.1:9000          the same on another port
  fanfare --config broker.toml             with a configuration file
  FANFARE__HEARTBEAT=10s fanfare           with one setting from the environment
  fanfare check --config broker.toml       what that would set, or what is wrong with it

Publish to a running broker, and read what it keeps:
  curl -d '{\"id\": 42}' -H 'Content-Type: application/json' http://127.0.0.1:8900/v1/topics/orders.eu
  curl http://127.0.0.1:8900/v1/topics/orders.eu/messages
  fanfare publish orders.eu '{\"id\": 42}'
  fanfare subscribe 'orders.>' --last 10";

const SOURCES: &str = "\
Settings come from the file given by --config (else ./fanfare.toml, if there is one), then from variables
FANFARE__SECTION__KEY such as FANFARE__LIMITS__FRAME_BYTES=128KiB, then from flags; the later wins.";

/// The broker that the commands speak to unless told otherwise.
const URL: &str = "http://127.0.0.1:8900";

/// Fanfare carries events from those who publish to those who follow, over HTTP and WebSocket.
#[derive(Debug, Clone, Parser)]
#[command(name = "fanfare", version, args_conflicts_with_subcommands = true)]
#[command(after_help = EXAMPLES, after_long_help = format!("{SOURCES}\n\n{EXAMPLES}"))]
pub struct Arguments {
    /// What to do; without a word it is `serve`.
    #[command(subcommand)]
    command: Option<Command>,
    /// The flags of `serve`, for when the word is left out.
    #[command(flatten)]
    serve: ServeFlags,
}

/// What `fanfare` can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the broker (what `fanfare` alone does).
    #[command(after_help = EXAMPLES, after_long_help = format!("{SOURCES}\n\n{EXAMPLES}"))]
    Serve(ServeFlags),
    /// Print the configuration that `serve` would have, with the source of each value, or every mistake in it.
    #[command(after_long_help = SOURCES)]
    Check(CheckFlags),
    /// Publish a message, or each line of a pipe, and tell where it is and whether anyone heard it.
    #[command(after_help = publish::EXAMPLES)]
    Publish(PublishFlags),
    /// Print what is published, as it happens and over any cut.
    #[command(after_help = subscribe::EXAMPLES)]
    Subscribe(SubscribeFlags),
    /// Measure a running broker: subscribers, publishers, latencies, and what they cost it.
    #[command(after_help = bench::EXAMPLES)]
    Bench(BenchFlags),
}

/// The flags of `fanfare serve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ServeFlags {
    /// Address and port to listen on [default: 127.0.0.1:8900].
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// Configuration file [default: ./fanfare.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Number of worker threads; 0 is one for each core [default: 0].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=WORKERS_MAX as i64))]
    pub workers: Option<u16>,
    /// Listen beyond this machine although everybody who reaches the broker may publish and subscribe.
    #[arg(long)]
    pub insecure: bool,
    /// Log one JSON object a line instead of text.
    #[arg(long)]
    pub log_json: bool,
}

impl Arguments {
    /// What was asked for.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, String> {
        let arguments = Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        Ok(arguments.into_command())
    }

    fn flags(line: &str) -> Result<ServeFlags, String> {
        let command = command(line)?;
        if let Command::Serve(flags) = command { Ok(flags) } else { Err(format!("{command:?}")) }
    }

    #[test]
    fn fanfare_alone_serves() {
        assert_eq!(flags("fanfare"), Ok(ServeFlags::default()));
        assert_eq!(flags("fanfare serve"), Ok(ServeFlags::default()));
    }

    #[test]
    fn flags_mean_the_same_with_and_without_the_word() {
        let line = "--listen localhost:9000 --config a.toml --workers 3 --insecure --log-json";
        let expected = ServeFlags {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 9000))),
            config: Some(PathBuf::from("a.toml")),
            workers: Some(3),
            insecure: true,
            log_json: true,
        };
        assert_eq!(flags(&format!("fanfare {line}")), Ok(expected.clone()));
        assert_eq!(flags(&format!("fanfare serve {line}")), Ok(expected));
    }

    #[test]
    fn check_takes_what_serve_takes_or_shows_the_example() {
        let serve = flags("fanfare serve --listen localhost:9000 --config a.toml").unwrap();
        let checked = |line: &str| command(&format!("fanfare check {line}"));
        let expected = CheckFlags { serve, example: false };
        assert_eq!(checked("--listen localhost:9000 --config a.toml"), Ok(Command::Check(expected)));
        let expected = CheckFlags { serve: ServeFlags::default(), example: true };
        assert_eq!(checked("--example"), Ok(Command::Check(expected)));
        assert!(checked("--example --workers 1").unwrap_err().contains("cannot be used with"));
    }

    #[test]
    fn wrong_flags_are_told_with_what_would_do() {
        for (line, told) in [
            (
                "fanfare --listen 8900",
                "invalid value '8900' for '--listen <ADDR>': is no address and port such as",
            ),
            ("fanfare --workers 5000", "5000 is not in 0..=64"),
            ("fanfare --listne 127.0.0.1:1", "a similar argument exists: '--listen'"),
            ("fanfare srve", "a similar subcommand exists: 'serve'"),
        ] {
            let error = flags(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
