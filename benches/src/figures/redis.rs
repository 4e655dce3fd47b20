//! The Redis that joins nodes, as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use super::process::free_address;

/// What it prints when it listens.
const READY: &str = "Ready to accept connections";
/// What it is always told: it keeps all in memory, and can be started anew by command.
const OPTIONS: [&str; 4] = ["--save", "", "--enable-debug-command", "local"];

/// A Redis that runs until it is dropped.
pub(super) struct Redis {
    /// Where it listens.
    pub(super) address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Redis {
    /// Starts a Redis on a free port and waits until it accepts connections.
    pub(super) fn start(core: usize) -> Result<Redis> {
        let address = free_address()?;
        let name = format!("fanfare-figures-redis-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string()]).arg(program()?);
        command
            .args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()])
            .args(OPTIONS)
            .current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting taskset")?;
        let output = child.stdout.take();
        let redis = Redis { address, child, folder };
        let mut lines = BufReader::new(output.context("its output is a pipe")?).lines();
        while let Some(line) = lines.next() {
            if line.context("reading what redis-server prints")?.contains(READY) {
                thread::spawn(move || lines.for_each(drop));
                return Ok(redis);
            }
        }
        bail!("redis-server does not start")
    }
}

/// Where `redis-server` is: it can be started anew only if it knows that itself.
fn program() -> Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&folders).map(|folder| folder.join("redis-server"));
    programs.find(|path| path.is_file()).context("these figures need redis-server, which is not installed")
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
