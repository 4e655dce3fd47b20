//! What a process has cost: its CPU to the nanosecond and its resident memory, from `/proc`.

use std::fs;
use std::io;

use anyhow::{Context, Result};

/// What one process had used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The CPU time of all its living threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Its resident memory, in bytes.
    pub resident_bytes: u64,
    /// The most that this has been.
    pub resident_bytes_peak: u64,
}

impl Usage {
    /// What the process `pid` has used until now.
    pub fn of(pid: u32) -> Result<Usage> {
        let cpu_ns = cpu_ns(pid).with_context(|| format!("reading the CPU time of process {pid}"))?;
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let bytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next());
            Ok(kib.with_context(|| format!("no {name}"))?.parse::<u64>()? * 1024)
        };
        Ok(Usage { cpu_ns, resident_bytes: bytes("VmRSS:")?, resident_bytes_peak: bytes("VmHWM:")? })
    }

    /// What this process has used until now.
    pub fn own() -> Result<Usage> {
        Usage::of(std::process::id())
    }
}

/// The first field of each thread's `schedstat`: the clock ticks of `stat` are 10 ms, too coarse for a figure.
fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ended in the meantime takes its time with it: workers, which are what costs, do not end.
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let ran = schedstat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
        sum += ran.ok_or_else(|| io::Error::other("schedstat has no numbers"))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_the_usage() {
        let before = Usage::own().unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 20 {}
        let after = Usage::own().unwrap();
        assert!(after.cpu_ns > before.cpu_ns && after.resident_bytes > 0);
    }
}
