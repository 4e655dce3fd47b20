//! What the kernel knows of this process, under the names that Prometheus' own clients give it.

use std::fs;

/// The kernel's unit of process times on Linux, for every architecture.
const TICKS_PER_S: f64 = 100.0;

/// CPU time, memory and descriptors as lines of the OpenMetrics text format; empty where there is no `/proc`.
pub(crate) fn metrics() -> String {
    let mut text = String::new();
    if let Some(seconds) = cpu_seconds() {
        text += "# HELP process_cpu_seconds CPU time of this process.\n# TYPE process_cpu_seconds counter\n";
        text += &format!("process_cpu_seconds_total {seconds}\n");
    }
    if let Some(bytes) = resident_bytes() {
        text += "# HELP process_resident_memory_bytes Memory of this process.\n";
        text +=
            &format!("# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}\n");
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        let open = descriptors.count();
        text += "# HELP process_open_fds Open file descriptors.\n# TYPE process_open_fds gauge\n";
        text += &format!("process_open_fds {open}\n");
    }
    text
}

/// User and system time (proc(5), fields 14 and 15 of `stat`).
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

/// `VmRSS` of `status`, in bytes.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
