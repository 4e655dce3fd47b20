//! Holds what publishers and subscribers saw against what the broker promises.
//!
//! A history is a file of JSON lines, one event each, written by [`harness`](crate::harness) or by hand; [`Line`] is
//! its format. The checker believes nobody: it puts together which messages there were from all that was answered,
//! delivered and kept, walks every session as the protocol says that a client reads it, and reports what does not fit
//! by the name of a [`Claim`], with the lines where it shows. It looks at each line a bounded number of times, and
//! sorts: millions of lines take seconds.

#![expect(clippy::wildcard_enum_match_arm, reason = "each walk looks for a few of the many events")]

mod claim;
mod facts;
mod following;
mod last;
mod line;
mod names;
mod path;
mod places;
mod readiness;
mod sessions;
mod text;
mod writes;

use std::io::BufRead;

use anyhow::Context as _;

pub use claim::{Claim, Report, Violation};
pub use line::{Event, Line, Outcome};

use facts::Facts;

/// A line of a history with its number, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub(crate) number: usize,
    pub(crate) at: u64,
    pub(crate) event: Event,
}

/// Checks a history in JSON lines; an error if it can't be read.
pub fn check(history: impl BufRead) -> anyhow::Result<Report> {
    Ok(check_lines(read(history)?))
}

/// The lines of a history; an error names the line that is none.
pub fn read(history: impl BufRead) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(history.lines()) {
        let text = text.with_context(|| format!("line {number} can't be read"))?;
        lines
            .push(serde_json::from_str(&text).with_context(|| format!("line {number} is no event: {text}"))?);
    }
    Ok(lines)
}

/// Checks a history.
pub fn check_lines(lines: Vec<Line>) -> Report {
    let number =
        |(index, line): (usize, Line)| Numbered { number: index + 1, at: line.at, event: line.event };
    let lines: Vec<Numbered> = lines.into_iter().enumerate().map(number).collect();
    let mut report = Report::of(lines.len());
    let facts = Facts::gather(&lines, &mut report);
    writes::check(&lines, &facts, &mut report);
    sessions::check(&lines, &facts, &mut report);
    readiness::check(&lines, &mut report);
    report.sort();
    report
}
