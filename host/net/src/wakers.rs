//! The tasks that wait on one queue. A pipe end has one waiter; listeners and UDP sockets may be shared.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::limits;

/// Locks, also when another thread panicked: our critical sections leave no half-made state behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts `waker` into a slot for one waiter, without a clone where the same one waits already. What it displaces is to
/// be dropped after unlocking: it may be the last to hold a task that owns the very thing that is locked.
#[must_use]
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(present) if present.will_wake(waker) => None,
        _ => slot.replace(waker.clone()),
    }
}

/// A bounded set of waiters, all woken at once.
#[derive(Default)]
pub(crate) struct WakerSet(Vec<Waker>);

impl WakerSet {
    /// Adds a waiter. Wake what is returned, after unlocking: it lost its place and has to look again.
    #[must_use]
    pub(crate) fn register(&mut self, waker: &Waker) -> Option<Waker> {
        if self.0.iter().any(|present| present.will_wake(waker)) {
            return None;
        }
        let evicted = (self.0.len() >= limits::WAKERS_MAX).then(|| self.0.remove(0));
        self.0.push(waker.clone());
        evicted
    }

    /// Empties the set, for [`wake_all`] after unlocking.
    #[must_use]
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}

pub(crate) fn wake_all(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
