//! The figures of a run, for people and for programs.

use std::fmt;

use serde::Serialize;

/// What a run has shown. What could not be had is null.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) encoding: &'static str,
    pub(super) subscribers: usize,
    pub(super) topics: usize,
    pub(super) publishers: usize,
    pub(super) batch: usize,
    /// Messages a second that were asked for; null is as fast as answered.
    pub(super) rate: Option<u32>,
    /// From the first publish to the last delivery.
    pub(super) seconds: f64,
    pub(super) published: u64,
    pub(super) published_per_s: f64,
    /// Messages that the broker refused.
    pub(super) refused: u64,
    /// Publishes that began more than 10 ms after their time.
    pub(super) late: u64,
    pub(super) deliveries: u64,
    pub(super) deliveries_per_s: f64,
    /// Deliveries of accepted messages that did not come.
    pub(super) missing: u64,
    pub(super) gaps: u64,
    pub(super) cuts: u64,
    /// From when a message was due to when it was read.
    pub(super) latency_ms: Percentiles,
    /// From the request to its answer.
    pub(super) answer_ms: Percentiles,
    pub(super) server_cpu_us_per_delivery: Option<f64>,
    pub(super) server_memory_bytes_per_connection: Option<f64>,
    /// The first thing that went wrong.
    pub(super) trouble: Option<String>,
}

/// Latencies within which so many of a hundred lie.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    #[serde(rename = "p99.9")]
    pub(super) p99_9: Option<f64>,
    pub(super) max: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.rate {
            Some(rate) => format!("{rate} messages a second"),
            None if self.batch > 1 => {
                format!("{} publishers in batches of {}", self.publishers, self.batch)
            }
            None => format!("{} publishers", self.publishers),
        };
        let plural = if self.topics == 1 { "topic" } else { "topics" };
        writeln!(
            f,
            "{}: {} subscribers of {} {plural} ({}), {how}",
            self.url, self.subscribers, self.topics, self.encoding
        )?;
        let late = if self.late > 0 { format!(", {} late", self.late) } else { String::new() };
        writeln!(
            f,
            "  published   {} in {:.1} s, {}/s, {} refused{late}",
            grouped(self.published),
            self.seconds,
            grouped(self.published_per_s as u64),
            self.refused,
        )?;
        writeln!(
            f,
            "  delivered   {}, {}/s, {} missing, {} gaps, {} cuts",
            grouped(self.deliveries),
            grouped(self.deliveries_per_s as u64),
            grouped(self.missing),
            self.gaps,
            self.cuts,
        )?;
        writeln!(f, "  latency     {}", self.latency_ms)?;
        writeln!(f, "  answered in {}", self.answer_ms)?;
        let cpu = shown(self.server_cpu_us_per_delivery, |us| format!("{us:.2} us"));
        let memory =
            shown(self.server_memory_bytes_per_connection, |bytes| format!("{:.1} KiB", bytes / 1024.0));
        writeln!(f, "  the broker  {cpu} of CPU a delivery, {memory} of memory a connection")?;
        if let Some(trouble) = &self.trouble {
            writeln!(f, "  trouble     {trouble}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms =
            |value| shown(value, |ms| if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") });
        let Percentiles { p50, p99, p99_9, max } = *self;
        write!(f, "p50 {}, p99 {}, p99.9 {}, longest {}", ms(p50), ms(p99), ms(p99_9), ms(max))
    }
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or("n/a".to_owned(), show)
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let ms = Percentiles { p50: Some(0.512), p99: Some(3.0), p99_9: Some(12.3), max: None };
        Report {
            url: "http://127.0.0.1:8900".to_owned(),
            encoding: "json",
            subscribers: 1000,
            topics: 1,
            publishers: 16,
            batch: 1,
            rate: Some(100),
            seconds: 10.02,
            published: 1000,
            published_per_s: 99.8,
            refused: 0,
            late: 2,
            deliveries: 1_000_000,
            deliveries_per_s: 99_800.4,
            missing: 0,
            gaps: 0,
            cuts: 0,
            latency_ms: ms,
            answer_ms: ms,
            server_cpu_us_per_delivery: Some(4.567),
            server_memory_bytes_per_connection: None,
            trouble: None,
        }
    }

    #[test]
    fn people_read_lines_and_n_a_where_there_is_no_figure() {
        let expected = "\
http://127.0.0.1:8900: 1000 subscribers of 1 topic (json), 100 messages a second
  published   1,000 in 10.0 s, 99/s, 0 refused, 2 late
  delivered   1,000,000, 99,800/s, 0 missing, 0 gaps, 0 cuts
  latency     p50 0.51 ms, p99 3.00 ms, p99.9 12 ms, longest n/a
  answered in p50 0.51 ms, p99 3.00 ms, p99.9 12 ms, longest n/a
  the broker  4.57 us of CPU a delivery, n/a of memory a connection
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn programs_read_an_object_with_null_where_there_is_no_figure() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["deliveries"], 1_000_000);
        assert_eq!(json["latency_ms"]["p99.9"], 12.3);
        assert_eq!(json["server_memory_bytes_per_connection"], serde_json::Value::Null);
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
