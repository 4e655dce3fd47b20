//! What one run does.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fanfare_protocol::Encoding;

use super::BenchFlags;

/// Messages a second of a run of which nothing was said.
const RATE: u32 = 100;
/// Connections over which steady publishes are spread.
const STEADY_PUBLISHERS: usize = 16;
/// Where the clock in the data begins: its digits and bytes are as many for hours.
const CLOCK_BEGIN_NS: u64 = 1_000_000_000_000;
/// The digits of the clock in the data.
const CLOCK_DIGITS: usize = 13;
/// What stands before the clock in the data.
const DATA_HEAD: &str = r#"{"at":"#;

/// Who subscribes, who publishes, what, how fast and for how long.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) server: SocketAddr,
    /// Host and port as they were written.
    pub(super) authority: String,
    pub(super) encoding: Encoding,
    pub(super) subscribers: usize,
    pub(super) topics: usize,
    pub(super) publishers: usize,
    pub(super) batch: usize,
    /// Messages a second in all; `None` is as fast as the answers come.
    pub(super) rate: Option<u32>,
    pub(super) time: Duration,
    data_bytes: usize,
    /// Sets this run's topics apart.
    name: String,
}

/// A request that publishes, with the places of the clocks in it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    bytes: Vec<u8>,
    clocks: Vec<usize>,
}

impl Plan {
    /// The plan of a command line.
    pub(super) fn new(flags: &BenchFlags) -> anyhow::Result<Plan> {
        let authority = authority(&flags.url)?;
        let mut found = authority.to_socket_addrs().with_context(|| format!("{authority} is not known"))?;
        let server = found.next().with_context(|| format!("{authority} has no address"))?;
        let rate = if flags.publishers.is_some() { None } else { Some(flags.rate.unwrap_or(RATE)) };
        Ok(Plan {
            server,
            authority,
            encoding: flags.encoding.into(),
            subscribers: flags.subscribers as usize,
            topics: flags.topics as usize,
            publishers: flags.publishers.map_or(STEADY_PUBLISHERS, |publishers| publishers as usize),
            batch: flags.batch as usize,
            rate,
            time: Duration::from_secs(flags.seconds.into()),
            data_bytes: flags.bytes as usize,
            name: format!("{:08x}", RandomState::new().hash_one(0_u8) as u32),
        })
    }

    /// The name of one of the topics.
    pub(super) fn topic(&self, index: usize) -> String {
        format!("bench.{}.{index}", self.name)
    }

    /// How many subscribers one of the topics has.
    pub(super) fn subscribers_of(&self, topic: usize) -> u64 {
        let rest = usize::from(topic < self.subscribers % self.topics);
        (self.subscribers / self.topics + rest) as u64
    }

    /// The request that publishes to one of the topics: one message, or a batch.
    pub(super) fn template(&self, topic: usize) -> Template {
        let name = self.topic(topic);
        let clock = CLOCK_BEGIN_NS;
        let bare = format!("{DATA_HEAD}{clock}}}").len();
        let fill = match self.data_bytes.checked_sub(bare + r#","x":"""#.len()) {
            Some(fill) => format!(r#","x":"{}""#, "x".repeat(fill)),
            None => String::new(),
        };
        let data = format!("{DATA_HEAD}{clock}{fill}}}");
        let (path, body) = if self.batch == 1 {
            (format!("/v1/topics/{name}"), data)
        } else {
            let item = format!(r#"{{"topic":"{name}","data":{data}}}"#);
            ("/v1/publish".to_owned(), format!("[{}]", vec![item; self.batch].join(",")))
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.authority,
            body.len()
        );
        let clocks = body.match_indices(DATA_HEAD).map(|(at, _)| head.len() + at + DATA_HEAD.len()).collect();
        Template { bytes: (head + &body).into_bytes(), clocks }
    }
}

impl Template {
    /// The request, its messages published at this time since the run's beginning.
    pub(super) fn at(&mut self, ns: u64) -> &[u8] {
        let digits = format!("{}", CLOCK_BEGIN_NS + ns);
        assert_eq!(digits.len(), CLOCK_DIGITS, "a run lasts hours at most");
        for clock in &self.clocks {
            self.bytes[*clock..*clock + CLOCK_DIGITS].copy_from_slice(digits.as_bytes());
        }
        &self.bytes
    }
}

/// The time since the run's beginning at which a message was published, read from its frame.
pub(super) fn published_ns(encoding: Encoding, frame: &[u8]) -> Option<u64> {
    let clock = match encoding {
        // Names have no brace: the first one opens the data.
        Encoding::Json => {
            let data = &frame[frame.iter().position(|byte| *byte == b'{')?..];
            let digits = data.strip_prefix(DATA_HEAD.as_bytes())?.get(..CLOCK_DIGITS)?;
            digits.iter().fold(0, |clock, digit| clock * 10 + u64::from(digit.wrapping_sub(b'0')))
        }
        // A map's first key of two letters, then an integer of 64 bits.
        Encoding::MessagePack => {
            let at = frame.windows(4).position(|bytes| bytes == b"\xa2at\xcf")? + 4;
            u64::from_be_bytes(*frame.get(at..)?.first_chunk()?)
        }
    };
    clock.checked_sub(CLOCK_BEGIN_NS)
}

fn authority(url: &str) -> anyhow::Result<String> {
    let rest = match url.split_once("://") {
        None => url,
        Some(("http" | "ws", rest)) => rest,
        Some((scheme, _)) => bail!("URL {url:?} has the scheme {scheme}; http is spoken here"),
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['/', '@', '?', '#']) {
        bail!("URL {url:?} is no host and port such as http://127.0.0.1:8900");
    }
    let after_host = rest.rsplit(']').next().unwrap_or_default();
    Ok(if after_host.contains(':') { rest.to_owned() } else { format!("{rest}:80") })
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::{Message, Payload, Topic};

    use super::*;

    fn plan(subscribers: usize, topics: usize, batch: usize, data_bytes: usize) -> Plan {
        Plan {
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            authority: "localhost:1".to_owned(),
            encoding: Encoding::Json,
            subscribers,
            topics,
            publishers: 1,
            batch,
            rate: None,
            time: Duration::from_secs(1),
            data_bytes,
            name: "run".to_owned(),
        }
    }

    #[test]
    fn subscribers_are_spread_over_the_topics_in_turn() {
        let plan = plan(5, 3, 1, 128);
        let spread: Vec<u64> = (0..3).map(|topic| plan.subscribers_of(topic)).collect();
        assert_eq!(spread, [2, 2, 1]);
    }

    #[test]
    fn a_request_has_the_length_that_was_asked_for_and_the_time() {
        for (batch, data_bytes, fits) in [(1, 0, 20), (1, 26, 20), (1, 27, 27), (1, 128, 128), (3, 128, 128)]
        {
            let mut template = plan(1, 1, batch, data_bytes).template(0);
            let request = String::from_utf8(template.at(7).to_vec()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert_eq!(body.matches(r#""at":1000000000007"#).count(), batch, "{body}");
            let data: Vec<&str> = if batch == 1 {
                vec![body]
            } else {
                body.split(r#""data":"#).skip(1).map(|rest| &rest[..rest.find('}').unwrap() + 1]).collect()
            };
            assert!(data.iter().all(|data| data.len() == fits), "{data_bytes} {data:?}");
        }
    }

    #[test]
    fn the_time_is_read_from_frames_of_both_encodings() {
        let message = Message {
            topic: Topic::parse("bench.run.0").unwrap(),
            position: "0.k3:7".parse().unwrap(),
            payload: Payload::Json(r#"{"at":1000000000123,"x":"xx"}"#.into()),
            media_type: None,
            time: Some(1),
            user: None,
            headers: None,
        };
        for encoding in Encoding::ALL {
            let mut frame = Vec::new();
            message.encode(encoding, &mut frame);
            assert_eq!(published_ns(encoding, &frame), Some(123), "{encoding:?}");
            assert_eq!(published_ns(encoding, b"other"), None);
        }
    }

    #[test]
    fn urls_say_host_and_port() {
        for (url, expected) in [
            ("http://127.0.0.1:8900", Some("127.0.0.1:8900")),
            ("ws://example.com/", Some("example.com:80")),
            ("[::1]:8900", Some("[::1]:8900")),
            ("http://[::1]", Some("[::1]:80")),
            ("https://example.com", None),
            ("http://example.com/prefix", None),
            ("", None),
        ] {
            assert_eq!(authority(url).ok().as_deref(), expected, "{url}");
        }
    }
}
