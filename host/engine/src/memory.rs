//! A task's memory: one budget for the sum of all memories of all its instances.
//!
//! wasmtime asks `StoreMemory` before each growth; a refusal is a failed `memory.grow` in the guest.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::limits::TABLE_ELEMENTS_MAX;

/// What the instances of one task may hold together.
pub struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    refusals: AtomicU64,
}

impl MemoryBudget {
    pub fn new(limit_bytes: u64) -> MemoryBudget {
        MemoryBudget { limit_bytes, used_bytes: AtomicU64::new(0), refusals: AtomicU64::new(0) }
    }

    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The guest was refused memory at least once.
    pub fn was_exhausted(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) > 0
    }

    fn reserve(&self, bytes: u64) -> bool {
        let within = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes);
        let reserved = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        if !reserved {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        reserved
    }

    fn release(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One store's share of its task's budget; given back when the store is dropped.
pub struct StoreMemory {
    budget: Arc<MemoryBudget>,
    held_bytes: u64,
    /// The growth that was permitted last, in case it fails afterwards.
    last_bytes: u64,
    table_elements: usize,
}

impl StoreMemory {
    pub fn new(budget: Arc<MemoryBudget>) -> StoreMemory {
        StoreMemory { budget, held_bytes: 0, last_bytes: 0, table_elements: 0 }
    }
}

impl Drop for StoreMemory {
    fn drop(&mut self) {
        self.budget.release(self.held_bytes);
    }
}

impl ResourceLimiter for StoreMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current) as u64;
        let granted = self.budget.reserve(bytes);
        self.last_bytes = if granted { bytes } else { 0 };
        self.held_bytes += self.last_bytes;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let bytes = std::mem::take(&mut self.last_bytes);
        self.held_bytes -= bytes;
        self.budget.release(bytes);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let sum = self.table_elements.saturating_add(desired.saturating_sub(current));
        let granted = sum <= TABLE_ELEMENTS_MAX;
        if granted {
            self.table_elements = sum;
        }
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stores_share_one_budget_and_give_it_back() {
        let budget = Arc::new(MemoryBudget::new(100));
        let (mut first, mut second) = (StoreMemory::new(budget.clone()), StoreMemory::new(budget.clone()));
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!second.memory_growing(0, 60, None).unwrap());
        assert!(budget.was_exhausted());
        assert!(second.memory_growing(0, 40, None).unwrap());
        assert!(!first.memory_growing(60, 61, None).unwrap());
        drop(second);
        assert!(first.memory_growing(60, 100, None).unwrap());
        first.memory_grow_failed(wasmtime::Error::msg("no address space")).unwrap();
        assert_eq!(budget.used_bytes(), 60);
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn tables_are_bounded_as_a_sum() {
        let mut memory = StoreMemory::new(Arc::new(MemoryBudget::new(0)));
        assert!(memory.table_growing(0, TABLE_ELEMENTS_MAX - 1, None).unwrap());
        assert!(!memory.table_growing(0, 2, None).unwrap());
        assert!(memory.table_growing(0, 1, None).unwrap());
    }
}
