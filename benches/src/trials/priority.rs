//! The priority of the thread that measures.

use std::process::{Command, Stdio};

/// Gives this process's first thread real-time priority, and none to the threads that it starts; false if that is
/// not allowed here: then what is measured includes the wait for the strain's own thread.
pub(super) fn raise() -> bool {
    let pid = std::process::id().to_string();
    let mut command = Command::new("chrt");
    command.args(["--reset-on-fork", "--fifo", "--pid", "10", &pid]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
