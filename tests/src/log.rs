//! What a process says on standard error, read while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::watchdog::WATCHDOG;

/// The lines of a running process.
#[derive(Clone)]
pub(crate) struct Log(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    is_over: bool,
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Log {
    /// Reads `source` to its end on a thread of its own.
    pub(crate) fn read(source: impl Read + Send + 'static) -> Log {
        let log = Log(Arc::default());
        let written = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { break };
                written.said().lines.push(line);
                written.0.1.notify_all();
            }
            written.said().is_over = true;
            written.0.1.notify_all();
        });
        log
    }

    /// The first line that `find` takes; none if the process ends without one.
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = |said: &Said| said.lines.iter().find_map(|line| find(line));
        let waits = |said: &mut Said| !said.is_over && found(said).is_none();
        let (said, watchdog) =
            self.0.1.wait_timeout_while(self.said(), WATCHDOG, waits).unwrap_or_else(PoisonError::into_inner);
        assert!(
            !watchdog.timed_out(),
            "{what}: not logged for {} s:\n{}",
            WATCHDOG.as_secs(),
            said.lines.join("\n")
        );
        found(&said)
    }

    /// Waits until the process has closed its standard error.
    pub(crate) fn wait_for_end(&self, what: &str) {
        let ended: Option<()> = self.wait_for(what, |_| None);
        assert!(ended.is_none());
    }

    /// All that was said so far.
    pub(crate) fn text(&self) -> String {
        self.said().lines.join("\n")
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
