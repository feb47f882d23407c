//! Counts how often a task's file was rotated, so that a reader knows which of them it has open, and what it missed.
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Twice the number of rotations in this run of the daemon, and one more while one is under way.
#[derive(Default)]
pub struct Rotations(AtomicU64);

impl Rotations {
    /// Counts a rotation, unless it fails.
    pub fn rotate<T>(&self, rotate: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let done = rotate();
        match done {
            Ok(_) => self.0.fetch_add(1, Ordering::SeqCst),
            Err(_) => self.0.fetch_sub(1, Ordering::SeqCst),
        };
        done
    }

    /// The number of rotations; `None` while one is under way.
    pub fn count(&self) -> Option<u64> {
        let count = self.0.load(Ordering::SeqCst);
        count.is_multiple_of(2).then_some(count / 2)
    }
}
