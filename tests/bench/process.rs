//! What a node's process holds and uses, as the kernel counts it.
use std::fs;

use anyhow::Context;
use rustix::process::Pid;

/// Clock ticks of `/proc/<pid>/stat` per second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes, files of the process included.
pub fn resident_bytes(pid: Pid) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the node's process is gone")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.context("the kernel tells no resident memory")? << 10)
}

/// Processor time used so far, in seconds.
pub fn cpu_seconds(pid: Pid) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the node's process is gone")?;
    // The name of the program, in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..=12].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_SECOND)
}
