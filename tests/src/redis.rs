//! A Redis of one's own: the real server on a free port and in a folder of its own, ended when it is dropped.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use ::redis::{Client, Cmd, Connection, FromRedisValue};

use crate::certificates::{Authority, Certificate};
use crate::clock::WallClock;
use crate::log::Log;

/// How often another port is tried when one was taken at the last moment.
const ATTEMPTS_MAX: usize = 5;

/// The folder of its files, and of those that were put aside.
const FILES: &str = "appendonlydir";
const SAVED: &str = "saved";

/// A running Redis.
pub struct Redis {
    child: Option<Child>,
    folder: PathBuf,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    /// Where it listens, over restarts too.
    pub address: SocketAddr,
    /// Where it speaks TLS, if it does.
    pub tls_port: Option<u16>,
}

impl Redis {
    /// A Redis that keeps nothing over a restart.
    pub fn start() -> Redis {
        Redis::with(&["--save", ""])
    }

    /// A Redis that writes each change to its disk before it answers.
    pub fn persistent() -> Redis {
        Redis::with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A Redis that keeps nothing over a restart, with this wall clock.
    pub fn on(clock: &WallClock) -> Redis {
        let mut prepared = Redis::prepared(&["--save", ""]);
        prepared.variables = clock.variables().collect();
        prepared.started()
    }

    /// A Redis that speaks TLS on a port beside the other, showing this; it takes only clients whose certificate comes
    /// from `clients`, if there is one.
    pub fn secured(shown: &Certificate, clients: Option<&Authority>) -> Redis {
        let mut prepared = Redis::prepared(&["--save", ""]);
        let mut file = |flag: &str, text: &str| {
            let path = prepared.folder.join(flag);
            std::fs::write(&path, text).expect("its folder can be written to");
            prepared.flags.extend([format!("--{flag}"), path.display().to_string()]);
        };
        file("tls-cert-file", &shown.certificate);
        file("tls-key-file", &shown.key);
        let ca = clients.map_or_else(|| shown.certificate.clone(), Authority::pem);
        file("tls-ca-cert-file", &ca);
        let asked = if clients.is_some() { "yes" } else { "no" };
        prepared.flags.extend(["--tls-auth-clients", asked].map(str::to_owned));
        prepared.tls_port = Some(free_address().port());
        prepared.started()
    }

    /// A Redis that writes each change to its disk at once, and has it safe there a second later.
    pub fn hasty() -> Redis {
        Redis::with(&["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
    }

    /// A Redis that keeps nothing over a restart, and closes the connection of who leaves 256 KiB unread.
    pub fn impatient() -> Redis {
        Redis::with(&["--save", "", "--client-output-buffer-limit", "pubsub 256kb 0 0"])
    }

    /// A Redis with these flags.
    pub fn with(flags: &[&str]) -> Redis {
        Redis::prepared(flags).started()
    }

    fn prepared(flags: &[&str]) -> Redis {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fanfare-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Redis { child: None, folder, flags, variables: Vec::new(), address: free_address(), tls_port: None }
    }

    fn started(mut self) -> Redis {
        for _ in 0..ATTEMPTS_MAX {
            if self.try_to_start() {
                return self;
            }
            self.address = free_address();
            self.tls_port = self.tls_port.map(|_| free_address().port());
        }
        panic!("no Redis could be started");
    }

    /// Where it is, for a configuration.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it speaks TLS, under a name that its certificate should be for.
    pub fn secured_url(&self, user: &str, host: &str) -> String {
        format!("rediss://{user}@{host}:{}", self.tls_port.expect("it speaks TLS"))
    }

    /// Ends it at once, as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Starts it again, on the same address and with what it wrote to its disk.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_to_start(), "it starts on its own address again");
    }

    /// Puts aside what is on its disk.
    pub fn save(&self) {
        copy(&self.folder.join(FILES), &self.folder.join(SAVED));
    }

    /// Starts it again with what was put aside, and forgets what came since.
    pub fn restart_as_saved(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.join(FILES)).expect("it has files");
        copy(&self.folder.join(SAVED), &self.folder.join(FILES));
        self.restart();
    }

    /// Stops it without ending it: it accepts connections and answers nothing.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Its answer to a command.
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        words.iter().for_each(|word| _ = command.arg(word));
        command.query(&mut self.connect()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        let client = Client::open(self.url()).expect("its address is one");
        client.get_connection().expect("it listens")
    }

    fn try_to_start(&mut self) -> bool {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--daemonize", "no"]);
        command.args(self.tls_port.into_iter().flat_map(|port| ["--tls-port".to_owned(), port.to_string()]));
        command.arg("--dir").arg(&self.folder).args(&self.flags);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server is installed");
        let log = Log::read(child.stdout.take().expect("it is piped"));
        let ready = |line: &str| line.contains("Ready to accept connections").then_some(());
        let started = log.wait_for("Redis is ready", ready).is_some();
        if !started {
            drop(child.wait());
        }
        self.child = started.then_some(child);
        started
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal is sent");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Copies the files of a folder, the last of which may still grow.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be written to");
    for entry in std::fs::read_dir(from).expect("it keeps what it is given on its disk") {
        let entry = entry.expect("the folder can be read");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// An address on which nobody listens at this moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listening socket has an address")
}
