//! Standard output, written beside the connection: a reader that stands still must not stop the heartbeat.

use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

/// Written at once when nothing more is there to print; at the latest at this length.
const FULL_BYTES: usize = 64 << 10;

/// Lines on their way to standard output.
#[derive(Debug, Default)]
pub(super) struct Output {
    lines: Vec<u8>,
    is_writing: bool,
}

impl Output {
    /// Appends what `write` writes, and the end of the line if it wrote something.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.lines.len();
        write(&mut self.lines);
        if self.lines.len() > before {
            self.lines.push(b'\n');
        }
    }

    /// True if it has to be written before more is printed.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= FULL_BYTES
    }

    /// True if nothing is on its way.
    pub(super) fn is_written(&self) -> bool {
        self.lines.is_empty() && !self.is_writing
    }

    /// Writes everything; false if nobody reads any more.
    pub(super) async fn flush(&mut self) -> std::io::Result<bool> {
        if self.lines.is_empty() {
            return Ok(true);
        }
        let lines = std::mem::take(&mut self.lines);
        self.is_writing = true;
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(&lines)?;
            out.flush()
        });
        match writing.await.expect("writing does not panic") {
            Ok(()) => {
                self.is_writing = false;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Waits until the pipe that is standard output has lost its reader; for ever if it is something else.
pub(super) async fn nobody_reads() {
    let pipe = std::io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    if let Ok(pipe) = pipe
        && pipe.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
