//! The history while it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use fanfare_protocol::{Epoch, Position};

use crate::checker::{Event, Line};

/// A file of lines, and what the harness itself must know of what is in it.
#[derive(Debug)]
pub(super) struct History {
    begun: Instant,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    file: BufWriter<File>,
    error: Option<std::io::Error>,
    newest: BTreeMap<Epoch, u64>,
}

impl History {
    pub(super) fn create(path: &Path) -> anyhow::Result<History> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let written = Written { file: BufWriter::new(file), error: None, newest: BTreeMap::new() };
        Ok(History { begun: Instant::now(), written: Mutex::new(written) })
    }

    /// Microseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("runs are shorter than 500,000 years")
    }

    /// Writes an event as seen now.
    pub(super) fn record(&self, event: Event) {
        let mut written = self.written();
        match &event {
            Event::Publish { position: Some(position), .. } | Event::Message { position, .. } => {
                written.see(*position);
            }
            Event::Gap { to, .. } => written.see(*to),
            Event::Node { epoch: Some(epoch), .. } => written.see(Position { epoch: *epoch, seq: 0 }),
            _ => {}
        }
        let line = Line { at: self.now(), event };
        let text = serde_json::to_string(&line).expect("events are JSON");
        let outcome = writeln!(written.file, "{text}");
        if let Err(error) = outcome {
            written.error.get_or_insert(error);
        }
    }

    /// Writes what is left; the first error that there was.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        let mut written = self.written();
        written.file.flush().context("the history can't be written")?;
        written.error.take().map_or(Ok(()), Err).context("the history can't be written")
    }

    /// The highest seq met in each life.
    pub(super) fn newest(&self) -> BTreeMap<Epoch, u64> {
        self.written().newest.clone()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn see(&mut self, position: Position) {
        let newest = self.newest.entry(position.epoch).or_default();
        *newest = position.seq.max(*newest);
    }
}
