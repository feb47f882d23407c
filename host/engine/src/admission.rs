//! Admission of requests to one HTTP task: at most so many at once, first come first served, a bounded queue.
//!
//! What is admitted holds a `Permit` from then until the last byte of its answer was handed on. The counters
//! that name a bottleneck (busy, queued, saturated) are read off here.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The gate of one task.
pub struct Admission {
    active_max: u32,
    queued_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    active: u32,
    admitted: u64,
    next_ticket: u64,
    queue: VecDeque<Waiting>,
    saturated: Duration,
    saturated_since: Option<Instant>,
}

struct Waiting {
    ticket: u64,
    permit: oneshot::Sender<Permit>,
}

/// More requests wait than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// What the gate counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionCounts {
    pub admitted: u64,
    pub active: u32,
    pub queued: u32,
    pub saturated: Duration,
}

/// The right to be in the guest; its drop admits the next.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Admission>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("active_max", &self.active_max).finish_non_exhaustive()
    }
}

impl Admission {
    pub fn new(active_max: u32, queued_max: usize) -> Arc<Admission> {
        Arc::new(Admission { active_max: active_max.max(1), queued_max, state: Mutex::default() })
    }

    /// Wait for admission. Dropping the future leaves the queue.
    pub async fn enter(self: &Arc<Self>) -> Result<Permit, QueueFull> {
        let (ticket, permit) = match self.enter_or_queue()? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Queued(ticket, permit) => (ticket, permit),
        };
        let _place = Place { gate: self, ticket };
        Ok(permit.await.expect("a waiting sender is only dropped by its own place"))
    }

    pub fn counts(&self) -> AdmissionCounts {
        let state = self.state();
        AdmissionCounts {
            admitted: state.admitted,
            active: state.active,
            queued: u32::try_from(state.queue.len()).unwrap_or(u32::MAX),
            saturated: state.saturated + state.saturated_since.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    fn enter_or_queue(self: &Arc<Self>) -> Result<Entry, QueueFull> {
        let mut state = self.state();
        if state.active < self.active_max {
            state.active += 1;
            state.admitted += 1;
            if state.active == self.active_max {
                state.saturated_since = Some(Instant::now());
            }
            return Ok(Entry::Admitted(Permit { gate: self.clone() }));
        }
        if state.queue.len() >= self.queued_max {
            return Err(QueueFull);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (permit, receiver) = oneshot::channel();
        state.queue.push_back(Waiting { ticket, permit });
        Ok(Entry::Queued(ticket, receiver))
    }

    /// Hand the place on to the first that still waits, or free it.
    fn leave(self: &Arc<Self>) {
        let next = {
            let mut state = self.state();
            match state.queue.pop_front() {
                Some(next) => {
                    state.admitted += 1;
                    next
                }
                None => return state.free_a_place(),
            }
        };
        // A receiver that is gone gives the permit back, whose drop comes here again for the one behind it.
        if let Err(permit) = next.permit.send(Permit { gate: self.clone() }) {
            self.state().admitted -= 1;
            drop(permit);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free_a_place(&mut self) {
        self.active -= 1;
        if let Some(since) = self.saturated_since.take() {
            self.saturated += since.elapsed();
        }
    }
}

enum Entry {
    Admitted(Permit),
    Queued(u64, oneshot::Receiver<Permit>),
}

/// A place in the queue; dropping it leaves the queue.
struct Place<'a> {
    gate: &'a Admission,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if let Ok(at) = state.queue.binary_search_by_key(&self.ticket, |waiting| waiting.ticket) {
            state.queue.remove(at);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready<F: Future>(future: std::pin::Pin<&mut F>) -> F::Output {
        match poll(future) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("not admitted"),
        }
    }

    #[test]
    fn strictly_one_at_a_time_in_order() {
        let gate = Admission::new(1, 10);
        let first = ready(pin!(gate.enter())).unwrap();
        let (mut second, mut third) = (pin!(gate.enter()), pin!(gate.enter()));
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(third.as_mut()).is_pending());
        assert_eq!(gate.counts().queued, 2);
        drop(first);
        assert!(poll(third.as_mut()).is_pending());
        let second = ready(second).unwrap();
        assert_eq!((gate.counts().active, gate.counts().queued), (1, 1));
        drop(second);
        drop(ready(third).unwrap());
        assert_eq!((gate.counts().active, gate.counts().admitted), (0, 3));
    }

    #[test]
    fn who_leaves_the_queue_is_passed_over() {
        let gate = Admission::new(1, 10);
        let first = ready(pin!(gate.enter())).unwrap();
        let mut gone = Box::pin(gate.enter());
        assert!(poll(gone.as_mut()).is_pending());
        let mut last = pin!(gate.enter());
        assert!(poll(last.as_mut()).is_pending());
        drop(gone);
        assert_eq!(gate.counts().queued, 1);
        drop(first);
        drop(ready(last).unwrap());
        assert_eq!(gate.counts().active, 0);
    }

    #[test]
    fn who_leaves_after_being_handed_the_permit_passes_it_on() {
        let gate = Admission::new(1, 10);
        let first = ready(pin!(gate.enter())).unwrap();
        let mut handed = Box::pin(gate.enter());
        let mut last = pin!(gate.enter());
        assert!(poll(handed.as_mut()).is_pending() && poll(last.as_mut()).is_pending());
        drop(first);
        drop(handed);
        drop(ready(last).unwrap());
        assert_eq!(gate.counts().active, 0);
    }

    #[test]
    fn the_queue_is_bounded() {
        let gate = Admission::new(1, 1);
        let _first = ready(pin!(gate.enter())).unwrap();
        let mut second = pin!(gate.enter());
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(ready(pin!(gate.enter())).unwrap_err(), QueueFull);
    }

    #[test]
    fn saturation_is_the_time_in_which_all_places_are_taken() {
        let gate = Admission::new(2, 1);
        let one = ready(pin!(gate.enter())).unwrap();
        assert_eq!(gate.counts().saturated, Duration::ZERO);
        let two = ready(pin!(gate.enter())).unwrap();
        let before = gate.counts().saturated;
        std::hint::black_box(&two);
        while gate.counts().saturated == before {}
        drop(two);
        let after = gate.counts().saturated;
        assert!(after > before);
        assert_eq!(gate.counts().saturated, after);
        drop(one);
    }
}
