//! Whether there is memory left. A task's limit is a wall: an allocation past it ends the task, so
//! what may need much is asked about before it is begun.

use crate::limits::{MEMORY_HEADROOM_BYTES, MEMORY_PROBE_FROM_BYTES};
use std::cell::Cell;

thread_local! {
    /// Bytes that requests on their way may still need.
    static CLAIMED: Cell<usize> = const { Cell::new(0) };
}

/// Memory set aside, by nothing but counting, until it is dropped.
#[derive(Debug, Default)]
pub struct Claim(usize);

impl Claim {
    /// Makes the claim larger, if there is memory for all claims together.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.0);
        let all = CLAIMED.get().saturating_add(more);
        let granted = more == 0 || is_free(all);
        if granted {
            CLAIMED.set(all);
            self.0 += more;
        }
        granted
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.set(CLAIMED.get().saturating_sub(self.0));
    }
}

/// Whether something that needs about so many bytes may begin, beside all claims.
pub fn has_room(bytes: usize) -> bool {
    // A small server need not look, and looking would make its memory larger.
    let small = linear_memory_bytes() < MEMORY_PROBE_FROM_BYTES && bytes < MEMORY_PROBE_FROM_BYTES / 8;
    small || is_free(CLAIMED.get().saturating_add(bytes))
}

/// Takes so much memory, and the headroom that tables need to grow, and gives it back untouched.
fn is_free(bytes: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let free = probe.try_reserve_exact(bytes.saturating_add(MEMORY_HEADROOM_BYTES)).is_ok();
    // Keeps the optimiser from leaving the attempt out.
    std::hint::black_box(&probe);
    free
}

/// Bytes of linear memory, which never shrinks.
pub fn linear_memory_bytes() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size(0) * 65_536;
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_add_up_and_end_with_their_holder() {
        let mut first = Claim::default();
        assert!(first.grow_to(1000) && first.grow_to(500));
        assert_eq!(CLAIMED.get(), 1000);
        let mut second = Claim::default();
        assert!(!second.grow_to(usize::MAX / 2));
        assert!(second.grow_to(10));
        drop(first);
        assert_eq!(CLAIMED.get(), 10);
        assert!(has_room(1) && !has_room(usize::MAX));
    }
}
