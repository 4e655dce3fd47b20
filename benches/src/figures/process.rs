//! The servers under test, as processes of their own.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(10);

/// How long it may print nothing until it is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// Lines that are kept of what it prints.
const LINES_MAX: usize = 20;

/// Which core is whose.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// The broker's and the floor's.
    pub server: usize,
    /// The generator's.
    pub generator: usize,
}

/// One program and the arguments that it always gets.
#[derive(Debug, Clone)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What stands before all else.
    pub arguments: Vec<String>,
}

impl Program {
    /// The file's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The program on one core. `taskset` becomes the program, so the process id is the program's.
    pub(super) fn command(&self, core: usize, arguments: &[String]) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string()]).arg(&self.path).args(&self.arguments).args(arguments);
        command
    }
}

/// A server that runs until it is dropped.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    child: Child,
    folder: PathBuf,
    printed: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    /// Starts `program` on a free port, in a folder with no file but its configuration, and waits until it accepts
    /// connections.
    pub(super) fn start(program: &Program, core: usize, config: &str) -> Result<Server> {
        let address = free_address()?;
        let name = format!("fanfare-figures-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        fs::write(folder.join("fanfare.toml"), config).context("writing the configuration")?;
        let arguments = ["--listen".to_owned(), address.to_string()];
        let (output, input) = std::io::pipe()?;
        let mut command = program.command(core, &arguments);
        command.current_dir(&folder).stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let child = command.spawn().context("starting taskset")?;
        // Its copies of the pipe's input would keep the output from ending.
        drop(command);
        let printed = Arc::new(Mutex::new(VecDeque::new()));
        let (tell, told) = mpsc::sync_channel(1);
        let kept = printed.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("nobody panics with the lines");
                kept.truncate(LINES_MAX - 1);
                kept.push_front(line);
                // One line is news enough.
                _ = tell.try_send(());
            }
        });
        let server = Server { address, child, folder, printed };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let is_over = told.recv_timeout(RETRY) == Err(RecvTimeoutError::Disconnected);
            if is_over || begun.elapsed() > START_MAX {
                let what = if is_over { "ended at once" } else { "does not listen" };
                bail!("{} {what}: {}", program.name(), server.last_words());
            }
        }
        Ok(server)
    }

    /// The server's process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has printed.
    pub(super) fn last_words(&self) -> String {
        let printed = self.printed.lock().expect("nobody panics with the lines");
        printed.iter().rev().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}
