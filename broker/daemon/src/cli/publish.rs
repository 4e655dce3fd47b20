//! `fanfare publish`: one message, or one for each line of a pipe.

mod lines;

use std::io::{IsTerminal as _, Read as _, Write};

use anyhow::{Context as _, bail};
use clap::Args;
use fanfare_client::{PublishError, Published, Publisher};
use fanfare_protocol::{Publication, Topic};

use super::parse;

/// More than any broker takes; what is longer is refused before it is read to its end.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The examples of `fanfare publish`.
pub(super) const EXAMPLES: &str = "\
Examples:
  fanfare publish orders.eu '{\"id\": 42}'              JSON, since it is JSON
  fanfare publish notes.ann 'good morning'            text
  fanfare publish icons.new --type image/png < a.png  binary data, with a media type
  fanfare publish orders.eu '{\"id\": 42}' --key o-42   once, however often it is repeated within 2 minutes
  tail -F app.log | fanfare publish --lines logs.app  a message a line";

/// The flags of `fanfare publish`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PublishFlags {
    /// Topic to publish to.
    #[arg(value_parser = parse::topic)]
    pub topic: Topic,
    /// Data; `-` or none is standard input.
    #[arg(allow_hyphen_values = true)]
    pub data: Option<String>,
    /// Publish each line of standard input as a message of its own.
    #[arg(long, conflicts_with_all = ["data", "key"])]
    pub lines: bool,
    /// Broker to publish to.
    #[arg(long, value_name = "URL", default_value = super::URL)]
    pub url: String,
    /// Media type of the data [default: JSON if it is JSON, else text if it is UTF-8, else binary].
    #[arg(long = "type", value_name = "TYPE")]
    pub media_type: Option<String>,
    /// Idempotency key: repeating the command publishes nothing twice.
    #[arg(long)]
    pub key: Option<String>,
}

/// Publishes, and prints the place of each message and whether anyone heard it.
pub fn publish(flags: &PublishFlags) -> anyhow::Result<()> {
    let publisher = Publisher::new(&flags.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if flags.lines {
        return runtime.block_on(lines::publish(flags, &publisher));
    }
    let data = match flags.data.as_deref() {
        None | Some("-") => read_input()?,
        Some(data) => data.as_bytes().to_vec(),
    };
    let publication =
        Publication { idempotency_key: flags.key.as_deref().map(Into::into), ..publication(flags, data)? };
    let result = runtime.block_on(publisher.publish(flags.topic.as_str(), publication));
    match result {
        Ok(published) => Ok(writeln!(std::io::stdout(), "{}", outcome(&published))?),
        Err(error) => bail!("nothing was published to {}: {}", flags.topic, explained(&error)),
    }
}

fn read_input() -> anyhow::Result<Vec<u8>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("fanfare: reading the data from the terminal; Ctrl-D ends them");
    }
    let mut data = Vec::new();
    input.lock().take(DATA_BYTES_MAX + 1).read_to_end(&mut data).context("standard input can't be read")?;
    if data.len() as u64 > DATA_BYTES_MAX {
        bail!("the data are longer than {DATA_BYTES_MAX} bytes");
    }
    Ok(data)
}

fn publication(flags: &PublishFlags, data: Vec<u8>) -> anyhow::Result<Publication> {
    let media_type = flags.media_type.as_deref();
    Publication::from_body(media_type, data.into()).map_err(|error| anyhow::anyhow!("{}", error.reason))
}

/// A message's place and who heard it.
fn outcome(published: &Published) -> String {
    let heard = match published.receivers {
        Some(0) => "heard by nobody".to_owned(),
        Some(1) => "heard by 1 session".to_owned(),
        Some(receivers) => format!("heard by {receivers} sessions"),
        None if published.heard => "heard".to_owned(),
        None => "heard by nobody".to_owned(),
    };
    let repeated = if published.repeated { ", published before with this key" } else { "" };
    format!("{} {heard}{repeated}", published.position)
}

/// The error with what the reader can do about it.
fn explained(error: &PublishError) -> String {
    match error {
        PublishError::Refused(refusal) => match refusal.retry_after_ms {
            Some(ms) => format!("{refusal}; trying again helps, in {ms} ms"),
            None => refusal.to_string(),
        },
        PublishError::Unclear(_) => format!("{error}; with --key it is safe to try again"),
        PublishError::BadTopic(..) | PublishError::Unreachable(_) | PublishError::Closed { .. } => {
            error.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use fanfare_client::Refusal;
    use fanfare_protocol::{ErrorCode, Payload};

    use super::super::{Arguments, Command};
    use super::*;

    fn flags(words: &[&str]) -> Result<PublishFlags, String> {
        let words = ["fanfare", "publish"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Publish(flags) = arguments.into_command() else { panic!("it is no publish") };
        Ok(flags)
    }

    #[test]
    fn data_are_an_argument_or_standard_input_or_its_lines() {
        let data = |words: &[&str]| flags(words).map(|flags| (flags.data, flags.lines));
        assert_eq!(data(&["a"]), Ok((None, false)));
        assert_eq!(data(&["a", "-"]), Ok((Some("-".to_owned()), false)));
        assert_eq!(data(&["a", "-5"]), Ok((Some("-5".to_owned()), false)));
        assert_eq!(data(&["a", "--lines"]), Ok((None, true)));
        assert!(data(&["a", "x", "--lines"]).unwrap_err().contains("cannot be used with"));
        assert!(data(&["a", "--lines", "--key", "k"]).unwrap_err().contains("cannot be used with"));
        assert!(data(&["a.*", "x"]).unwrap_err().contains("has the wildcard '*'"));
    }

    #[test]
    fn the_outcome_says_where_and_whether_anyone_heard() {
        let published = |heard, receivers, repeated| {
            outcome(&Published { position: "0.k:7".parse().unwrap(), heard, receivers, repeated })
        };
        assert_eq!(published(false, Some(0), false), "0.k:7 heard by nobody");
        assert_eq!(published(true, Some(1), false), "0.k:7 heard by 1 session");
        assert_eq!(published(true, Some(2), false), "0.k:7 heard by 2 sessions");
        assert_eq!(published(true, None, false), "0.k:7 heard");
        assert_eq!(published(false, None, true), "0.k:7 heard by nobody, published before with this key");
    }

    #[test]
    fn an_error_says_what_helps() {
        let refusal = |retry_after_ms| {
            let detail = "no room within 1000 ms".to_owned();
            explained(&PublishError::Refused(Refusal { code: ErrorCode::Overloaded, detail, retry_after_ms }))
        };
        assert_eq!(refusal(None), "no room within 1000 ms (overloaded)");
        assert_eq!(refusal(Some(500)), "no room within 1000 ms (overloaded); trying again helps, in 500 ms");
        let unclear = explained(&PublishError::Unclear("cut".to_owned()));
        assert_eq!(unclear, "it may have been published or not: cut; with --key it is safe to try again");
    }

    #[test]
    fn data_are_json_if_they_are_json_unless_a_type_says_otherwise() {
        let flags = |media_type: Option<&str>| PublishFlags {
            media_type: media_type.map(str::to_owned),
            ..flags(&["a"]).unwrap()
        };
        let payload = |media_type, data: &str| {
            publication(&flags(media_type), data.as_bytes().to_vec()).map(|publication| publication.payload)
        };
        assert_eq!(payload(None, " {} ").unwrap(), Payload::Json("{}".into()));
        assert_eq!(payload(None, "{").unwrap(), Payload::Text("{".into()));
        assert_eq!(payload(Some("text/plain"), "{}").unwrap(), Payload::Text("{}".into()));
        assert_eq!(payload(Some("image/png"), "{}").unwrap(), Payload::Binary("{}".into()));
        let error = payload(Some("application/json"), "{").unwrap_err().to_string();
        assert!(error.starts_with("data "), "{error}");
    }
}
