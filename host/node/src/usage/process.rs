//! What this process takes of its machine, as the kernel counts it.
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::api::types::NodeUsage;

/// Now; `uptime` is for how long the node has been up.
pub fn usage(uptime: Duration) -> NodeUsage {
    NodeUsage { cpu_us: cpu_us(), uptime_us: micros(uptime), memory_bytes: resident_bytes(), open_files: open_files() }
}

fn cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    micros(Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// The second number of `statm`: resident pages.
fn resident_bytes() -> Option<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

fn open_files() -> Option<u64> {
    // The folder itself is open while it is read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_files_and_memory_show() {
        let before = usage(Duration::from_secs(1));
        assert_eq!(before.uptime_us, 1_000_000);
        let file = std::fs::File::open("/proc/self/statm").unwrap();
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        let mut sum = 0u64;
        while cpu_us() < before.cpu_us + 10_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = usage(Duration::from_secs(1));
        assert!(after.cpu_us >= before.cpu_us + 10_000);
        // Other tests run in this process too: only what is held here is certain.
        assert!(after.memory_bytes.unwrap() >= held.len() as u64, "{after:?}");
        assert!(after.open_files.unwrap() >= 4, "{after:?}");
        drop(file);
    }
}
