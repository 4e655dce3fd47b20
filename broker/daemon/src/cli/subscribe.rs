//! `fanfare subscribe`: what is published, a line each, over any number of connections.

mod output;
mod render;

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use fanfare_client::session::Status;
use fanfare_client::{Client, Event, Subscription};
use fanfare_protocol::{Cursor, Filter, SubscribeOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::output::Output;
use super::parse;

/// How long the end may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// The examples of `fanfare subscribe`.
pub(super) const EXAMPLES: &str = "\
Examples:
  fanfare subscribe 'orders.>'                            whatever is published below `orders`, a line each
  fanfare subscribe prices.eur prices.usd --last 1        two topics, their newest message first
  fanfare subscribe 'orders.>' --after 0.k3f9a:10492      everything since, or what of it is missing
  fanfare subscribe --json 'orders.>' | jq -c 'select(.[0] == \"message\")[3]'";

/// The flags of `fanfare subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SubscribeFlags {
    /// Filters to follow: topics, or with `*` for one segment and `>` for all that follow.
    #[arg(value_name = "FILTER", required = true, value_parser = parse::filter)]
    pub filters: Vec<Filter>,
    /// Begin with what was published after this cursor.
    #[arg(long, value_name = "CURSOR", value_parser = parse::cursor)]
    pub after: Option<Cursor>,
    /// Begin with the newest N kept of each topic.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// Print frames of the protocol as JSON instead of topic, position and data.
    #[arg(long)]
    pub json: bool,
    /// Broker to follow.
    #[arg(long, value_name = "URL", default_value = super::URL)]
    pub url: String,
}

/// Prints what comes until it is interrupted, nobody reads any more or the broker ends it.
///
/// What is missing, cuts, and the cursors from which to go on are told on standard error.
pub fn subscribe(flags: &SubscribeFlags) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(follow(flags));
    // A write to a pipe that nobody reads is not waited for.
    runtime.shutdown_background();
    result
}

async fn follow(flags: &SubscribeFlags) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be watched")?;
    let mut printer = Printer { followed: Vec::new(), output: Output::default(), turn: 0, json: flags.json };
    let mut client = None;
    let result = tokio::select! {
        result = connect_and_print(flags, &mut client, &mut printer) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    printer.tell_cursors(&flags.url);
    if let Some(client) = client {
        // The broker notices the end in any case.
        drop(tokio::time::timeout(CLOSE_MAX, client.close()).await);
    }
    result
}

async fn connect_and_print(
    flags: &SubscribeFlags,
    connected: &mut Option<Client>,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let client = connected.insert(Client::connect(&flags.url).await?);
    for filter in &flags.filters {
        let options =
            SubscribeOptions { after: flags.after.clone(), last: flags.last, ..SubscribeOptions::default() };
        let subscription = client.subscribe(filter.as_str(), options).await?;
        printer.followed.push(Followed { printed: flags.after.clone(), subscription });
    }
    tokio::select! {
        result = printer.print() => result,
        never = tell_cuts(client.status()) => match never {},
        () = output::nobody_reads() => Ok(()),
    }
}

/// What is followed and how much of it is printed.
struct Printer {
    followed: Vec<Followed>,
    output: Output,
    /// Which subscription is asked first.
    turn: usize,
    json: bool,
}

struct Followed {
    subscription: Subscription,
    /// Where it stood when the output was last written.
    printed: Option<Cursor>,
}

impl Printer {
    /// Prints until nothing more can come, or nobody reads.
    async fn print(&mut self) -> anyhow::Result<()> {
        loop {
            let waiting = if self.output.is_full() { None } else { self.next(false).await };
            let next = match waiting {
                Some(next) => Some(next),
                None => {
                    if !self.output.flush().await.context("standard output can't be written")? {
                        return Ok(());
                    }
                    self.next(true).await
                }
            };
            let Some((index, event)) = next else { bail!("nothing is followed any more") };
            let filter = self.followed[index].subscription.filter();
            if let Some(told) = render::told(filter, &event) {
                eprintln!("fanfare: {told}");
            }
            self.output.push(|line| render::line(filter, event, self.json, line));
        }
    }

    /// The next event and whose it is; `None` if there is none now, or, having waited, if none can come.
    async fn next(&mut self, waits: bool) -> Option<(usize, Event)> {
        if self.output.is_written() {
            self.note_cursors();
        }
        let count = self.followed.len();
        poll_fn(|cx| {
            let mut is_over = true;
            for offset in 0..count {
                let index = (self.turn + offset) % count;
                match self.followed[index].subscription.poll_next(cx) {
                    Poll::Ready(Some(event)) => {
                        self.turn = index + 1;
                        return Poll::Ready(Some((index, event)));
                    }
                    Poll::Ready(None) => {}
                    Poll::Pending => is_over = false,
                }
            }
            if is_over || !waits { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    fn note_cursors(&mut self) {
        for followed in &mut self.followed {
            if let Some(cursor) = followed.subscription.cursor() {
                followed.printed = Some(cursor.clone());
            }
        }
    }

    /// Says how to go on behind what was printed.
    fn tell_cursors(&mut self, url: &str) {
        if self.output.is_written() {
            self.note_cursors();
        }
        let url = if url == super::URL { String::new() } else { format!(" --url {url}") };
        for Followed { subscription, printed } in &self.followed {
            if let Some(cursor) = printed {
                let filter = subscription.filter();
                eprintln!("fanfare: to go on from here: fanfare subscribe '{filter}' --after {cursor}{url}");
            }
        }
    }
}

/// Says when the connection breaks and when it is back.
async fn tell_cuts(mut status: watch::Receiver<Status>) -> Infallible {
    let mut is_told = false;
    while status.changed().await.is_ok() {
        match &*status.borrow_and_update() {
            Status::Waiting { reason, .. } if !is_told => {
                eprintln!("fanfare: cut off: {reason}; coming back");
                is_told = true;
            }
            Status::Connected if is_told => {
                eprintln!("fanfare: connected again");
                is_told = false;
            }
            Status::Waiting { .. } | Status::Connected | Status::Connecting | Status::Closed { .. } => {}
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Arguments, Command};
    use super::*;

    fn flags(words: &[&str]) -> Result<SubscribeFlags, String> {
        let words = ["fanfare", "subscribe"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Subscribe(flags) = arguments.into_command() else { panic!("it is no subscribe") };
        Ok(flags)
    }

    #[test]
    fn filters_are_followed_from_a_cursor_or_with_the_newest() {
        let flags = flags(&["orders.>", "news", "--after", "0.k:7,1.m:2", "--last", "3", "--json"]).unwrap();
        let filters: Vec<&str> = flags.filters.iter().map(Filter::as_str).collect();
        assert_eq!(filters, ["orders.>", "news"]);
        assert_eq!(flags.after.map(|cursor| cursor.to_string()).as_deref(), Some("0.k:7,1.m:2"));
        assert_eq!((flags.last, flags.json, flags.url.as_str()), (Some(3), true, super::super::URL));
    }

    #[test]
    fn what_is_no_filter_cursor_or_number_is_told() {
        for (words, told) in [
            (&[][..], "<FILTER>..."),
            (&["a..b"], "invalid value 'a..b' for '<FILTER>...': has an empty segment (2)"),
            (&["a", "--after", "7"], "invalid value '7' for '--after <CURSOR>': is no position such as"),
            (&["a", "--last", "0"], "0 is not in 1.."),
        ] {
            let error = flags(words).unwrap_err();
            assert!(error.contains(told), "{words:?}: {error}");
        }
    }
}
