//! What a node takes of the machine, as the machine says.

use std::{fmt, fs};

use anyhow::Context as _;

/// What a page of memory holds.
const PAGE_BYTES: u64 = 4_096;

/// What an allocator may hold on to after a burst, however little was taken before it. Up to 3 MB were seen after ten
/// faults in a row, where no more than 0.3 MB were still in use that were not before.
const SPARE_BYTES: u64 = 8 * 1024 * 1024;
/// Connections that come and go: a look at the figures, a question about readiness, a publisher's.
const SPARE_DESCRIPTORS: usize = 5;

/// What a process takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Footprint {
    /// Files and sockets that are open.
    descriptors: usize,
    /// Memory that is there and was not read from a file, as the program was.
    resident_bytes: u64,
    kept_bytes: u64,
}

impl Footprint {
    /// That of a process that says that it keeps so much for clients.
    pub(super) fn of(process: u32, kept_bytes: u64) -> anyhow::Result<Footprint> {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).context("the process runs")?.count();
        let memory = fs::read_to_string(format!("/proc/{process}/statm"))?;
        let mut pages = memory.split(' ').skip(1).map(str::parse::<u64>);
        let (Some(resident), Some(of_files)) = (pages.next(), pages.next()) else {
            anyhow::bail!("{memory:?} does not say what is resident, and what of that is of files");
        };
        Ok(Footprint { descriptors, resident_bytes: (resident? - of_files?) * PAGE_BYTES, kept_bytes })
    }

    /// True if it is more than a tenth above what it was before.
    pub(super) fn exceeds(&self, before: &Footprint) -> bool {
        let due_bytes = before.resident_bytes + self.kept_bytes.saturating_sub(before.kept_bytes);
        self.resident_bytes > due_bytes + due_bytes / 10 + SPARE_BYTES
            || self.descriptors > before.descriptors + (before.descriptors / 10).max(SPARE_DESCRIPTORS)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Footprint { descriptors, resident_bytes, kept_bytes } = self;
        write!(f, "{descriptors} descriptors and {resident_bytes} bytes with {kept_bytes} kept")
    }
}
