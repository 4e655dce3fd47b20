//! `fanfare bench`: what a running broker does for subscribers and publishers, and what that costs it.

mod crowd;
mod figures;
mod follower;
mod latencies;
mod plan;
mod publishing;
mod report;
mod run;
mod wire;

use std::io::Write as _;

use anyhow::bail;
use clap::{Args, ValueEnum};
use fanfare_protocol::Encoding;

use self::plan::Plan;

/// The examples of `fanfare bench`.
pub(super) const EXAMPLES: &str = "\
Examples:
  fanfare bench                                           1000 subscribers of a topic, 100 messages a second
  fanfare bench --subscribers 1000 --topics 1000 --rate 2000
  fanfare bench --publishers 16 --batch 100               as fast as the broker answers
  fanfare bench --url http://10.0.0.7:8900 --json         another machine's broker, for a program to read

What the broker used is read from its /metrics and counts whatever else it does meanwhile. Memory is told truly by one
that has just started: one that had connections before gives their memory to the new ones. Messages go to topics
`bench.<random>.<n>`, and stay in their history as long as the broker keeps them.";

/// The flags of `fanfare bench`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BenchFlags {
    /// Broker to measure.
    #[arg(long, value_name = "URL", default_value = super::URL)]
    pub url: String,
    /// Connections that follow one topic each.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub subscribers: u32,
    /// Topics over which subscribers and messages are spread, in turn.
    #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub topics: u32,
    /// Messages a second, published steadily [default: 100, unless --publishers is given].
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["publishers", "batch"])]
    pub rate: Option<u32>,
    /// Publishers that each wait for an answer and publish again at once.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub publishers: Option<u32>,
    /// Messages in one publish of each publisher.
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000), requires = "publishers")]
    pub batch: u32,
    /// For how long to publish.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// Length of a message's data.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub bytes: u32,
    /// Encoding of the subscribers' frames.
    #[arg(long, value_enum, default_value = "json")]
    pub encoding: Spelling,
    /// Print the figures as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// An encoding as it is written in the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spelling {
    /// JSON.
    Json,
    /// MessagePack.
    Msgpack,
}

impl From<Spelling> for Encoding {
    fn from(spelling: Spelling) -> Encoding {
        match spelling {
            Spelling::Json => Encoding::Json,
            Spelling::Msgpack => Encoding::MessagePack,
        }
    }
}

/// Measures, telling on standard error how far it is, and prints the figures.
///
/// It is an error if nothing was published, or if messages are missing that no gap and no cut explains.
pub fn bench(flags: &BenchFlags) -> anyhow::Result<()> {
    let report = run::run(&Plan::new(flags)?)?;
    let mut out = std::io::stdout().lock();
    if flags.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    if report.published == 0 {
        bail!("the broker took no message");
    }
    if report.missing > 0 && report.gaps == 0 && report.cuts == 0 {
        bail!("{} deliveries are missing without a gap or a cut", report.missing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Arguments, Command};
    use super::*;

    fn flags(line: &str) -> Result<BenchFlags, String> {
        let words = ["fanfare", "bench"].into_iter().chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Bench(flags) = arguments.into_command() else { panic!("{line} is no bench") };
        Ok(flags)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let flags = flags("").unwrap();
        assert_eq!((flags.subscribers, flags.topics, flags.seconds, flags.bytes), (1_000, 1, 10, 128));
        assert_eq!((flags.rate, flags.publishers, flags.batch, flags.json), (None, None, 1, false));
        let plan = Plan::new(&flags).unwrap();
        assert_eq!((plan.rate, plan.encoding), (Some(100), Encoding::Json));
    }

    #[test]
    fn publishers_publish_as_fast_as_they_are_answered() {
        let flags = flags("--publishers 4 --batch 50 --encoding msgpack").unwrap();
        let plan = Plan::new(&flags).unwrap();
        assert_eq!((plan.rate, plan.publishers, plan.batch), (None, 4, 50));
        assert_eq!(plan.encoding, Encoding::MessagePack);
    }

    #[test]
    fn what_goes_together_with_nothing_is_told() {
        for (line, told) in [
            ("--rate 10 --publishers 2", "cannot be used with"),
            ("--rate 10 --batch 2", "cannot be used with"),
            ("--batch 2", "--publishers <P>"),
            ("--subscribers 0", "0 is not in 1.."),
            ("--seconds 9999", "9999 is not in 1..=3600"),
            ("--encoding xml", "possible values: json, msgpack"),
        ] {
            let error = flags(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
