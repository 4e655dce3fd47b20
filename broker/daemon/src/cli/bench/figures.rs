//! What the broker says of itself on `/metrics`.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::plan::Plan;
use super::publishing::read_answer;

const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The broker's own figures at one moment; what it does not tell is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) cpu_s: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) deliveries: Option<f64>,
}

impl Figures {
    /// The figures now; none if they can't be read.
    pub(super) fn read(plan: &Plan) -> Figures {
        fetch(plan).map(|text| Figures::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Figures {
        Figures {
            cpu_s: sum(text, "process_cpu_seconds_total"),
            resident_bytes: sum(text, "process_resident_memory_bytes"),
            deliveries: sum(text, "fanfare_deliveries_total"),
        }
    }
}

fn fetch(plan: &Plan) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&plan.server, ANSWER_MAX).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", plan.authority);
    stream.write_all(request.as_bytes()).ok()?;
    let (status, body) = read_answer(&mut stream).ok()?;
    (status == 200).then(|| String::from_utf8(body).ok()).flatten()
}

/// The sum of a figure over its labels.
fn sum(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest,
        };
        value.strip_prefix(' ')?.split(' ').next()?.parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_their_labels() {
        let text = "# HELP fanfare_deliveries Messages.\n\
                    fanfare_deliveries_total{encoding=\"json\"} 7\n\
                    fanfare_deliveries_total{encoding=\"msgpack\"} 5 1763000000\n\
                    fanfare_deliveries_total_other 9\n\
                    process_cpu_seconds_total 1.25\n# EOF\n";
        let expected = Figures { cpu_s: Some(1.25), resident_bytes: None, deliveries: Some(12.0) };
        assert_eq!(Figures::parse(text), expected);
    }
}
