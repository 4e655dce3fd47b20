//! The servers under test, as processes of their own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(10);

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
    log: PathBuf,
}

impl Server {
    /// Starts `program` on a free port and waits until it accepts connections.
    pub(super) fn start(program: &Program, core: usize) -> Result<Server> {
        let address = free_address()?;
        // An empty folder: no configuration file that happens to lie about is read.
        let folder = std::env::temp_dir().join(format!("fanfare-figures-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let log = folder.join(format!("{}-{}.log", program.name(), address.port()));
        let arguments = ["--listen".to_owned(), address.to_string()];
        let mut command = program.command(core, &arguments);
        command.current_dir(&folder).stdin(Stdio::null());
        let output = File::create(&log)?;
        let child = command.stdout(output.try_clone()?).stderr(output).spawn().context("starting taskset")?;
        let mut server = Server { address, child, log };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended at once, {status}: {}", program.name(), server.last_words());
            }
            if begun.elapsed() > START_MAX {
                bail!("{} does not listen on {address}: {}", program.name(), server.last_words());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The server's process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has printed.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
        let _ = self.log.parent().map(fs::remove_dir);
    }
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}
