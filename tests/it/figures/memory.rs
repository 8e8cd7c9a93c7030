//! The memory of this process, as Linux counts it.

use std::fs;

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kilobytes = line.trim_start_matches(':').split_whitespace().next().and_then(|text| text.parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}

/// Bytes resident now; 0 where the system does not say.
pub fn resident() -> u64 {
    status("VmRSS")
}

/// The most bytes resident since the last [`reset`].
pub fn peak() -> u64 {
    status("VmHWM")
}

/// Begins to count the peak anew. Where that is not allowed the peak is that of the whole run.
pub fn reset() {
    drop(fs::write("/proc/self/clear_refs", "5"));
}
