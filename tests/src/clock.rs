//! The wall clock of a process, which a test moves while the process runs.
//!
//! It is Debian's libfaketime, loaded before the libraries of the process, which is otherwise as it always is: what
//! asks for the time since 1970 is told another one, what measures how long something takes is not.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is loaded first; the C library comes before another allocator, which would ask for the time too early.
const PRELOADED: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1:libc.so.6";

/// A wall clock.
#[derive(Debug)]
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// A clock that is right.
    pub fn new() -> WallClock {
        let found = Command::new("faketime").arg("--version").stdout(Stdio::null()).status();
        assert!(found.is_ok(), "faketime is not installed: it is in the Debian package of that name");
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fanfare-clock-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let clock = WallClock { file: std::env::temp_dir().join(name) };
        clock.jump(0);
        clock
    }

    /// Makes it wrong by so many days, from one moment to the next.
    pub fn jump(&self, days: i64) {
        let written = self.file.with_extension("new");
        std::fs::write(&written, format!("{days:+}d\n")).expect("the temporary folder can be written to");
        std::fs::rename(&written, &self.file).expect("a file can be renamed in its folder");
    }

    /// What tells a process to go by it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let file = self.file.to_str().expect("the temporary folder has a name in Unicode");
        let variables = [
            ("LD_PRELOAD", PRELOADED),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter()
    }
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        // It is in the folder for temporary files, where anybody may have removed it.
        drop(std::fs::remove_file(&self.file));
    }
}
