//! What the figures depend on: the machine, its disk, and what else it does.
use std::fs::File;
use std::io::Write;
use std::time::Instant;

use serde::Serialize;

/// Writes that the disk is judged by.
const SYNCS: usize = 50;

#[derive(Serialize)]
pub struct Machine {
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// Median time of one small synced write where the nodes' data stood.
    pub fdatasync_ms: f64,
    /// Load average of the last minute, at the end of the run.
    pub load: f64,
}

impl Machine {
    pub fn look() -> anyhow::Result<Machine> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Machine {
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: total.unwrap_or(0) / 1024,
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            fdatasync_ms: fdatasync_ms()?,
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        })
    }
}

fn fdatasync_ms() -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("sync"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[SYNCS / 2])
}
