//! How many instances this process has room for, and which bound of the machine says so.
//!
//! `config.rs` sizes the pool by it; `trap.rs` tells it to whoever is refused.
use std::fmt;

use crate::limits::{POOL_BYTES_PER_SLOT, POOL_MAPS_PER_SLOT, POOL_SLOTS_MAX, POOL_SLOTS_MIN};

/// Instance slots, and what bounds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub slots: u32,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Memory,
    /// `vm.max_map_count`.
    Maps(u32),
    Fixed,
}

impl Capacity {
    /// Of a host with this much memory, as this machine's kernel is set.
    pub fn of_host(memory_bytes: u64) -> Capacity {
        Capacity::within(memory_bytes, maps_max())
    }

    /// Tasks that fit beside one another: an eighth of the slots is for requests of WASI 0.2, which have an instance each.
    pub fn tasks_max(self) -> u32 {
        self.slots - self.slots / 8
    }

    fn within(memory_bytes: u64, maps_max: u32) -> Capacity {
        let by_memory = u32::try_from(memory_bytes / POOL_BYTES_PER_SLOT).unwrap_or(u32::MAX);
        let bounds = [(by_memory, Bound::Memory), (maps_max / POOL_MAPS_PER_SLOT, Bound::Maps(maps_max)), (POOL_SLOTS_MAX, Bound::Fixed)];
        let (slots, bound) = bounds.into_iter().min_by_key(|(slots, _)| *slots).unwrap_or((POOL_SLOTS_MIN, Bound::Fixed));
        Capacity { slots: slots.max(POOL_SLOTS_MIN), bound }
    }
}

/// What bounds it and what helps, as the end of a sentence.
impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::Memory => f.write_str("the memory of this machine allows no more; add nodes"),
            Bound::Maps(maps) => {
                let more = maps.saturating_mul(2);
                write!(
                    f,
                    "vm.max_map_count={maps} allows no more; run 'sysctl -w vm.max_map_count={more}' and restart the node, or add nodes"
                )
            }
            Bound::Fixed => f.write_str("no node takes more; add nodes"),
        }
    }
}

/// Linux' bound of memory maps per process; its default where it cannot be read.
fn maps_max() -> u32 {
    const LINUX_DEFAULT: u32 = 65_530;
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(LINUX_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_bound_decides_and_says_what_helps() {
        let slots = |memory_bytes, maps_max| Capacity::within(memory_bytes, maps_max).slots;
        assert_eq!(slots(1 << 30, 65_530), 1024);
        assert_eq!(slots(64 << 30, 65_530), 8191);
        assert_eq!(slots(1 << 20, 65_530), POOL_SLOTS_MIN);
        assert_eq!(slots(1 << 40, 10_000_000), POOL_SLOTS_MAX);
        assert!(Capacity::within(1 << 30, 65_530).to_string().contains("memory"));
        assert!(Capacity::within(64 << 30, 65_530).to_string().contains("sysctl -w vm.max_map_count=131060"));
    }
}
