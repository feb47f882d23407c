//! Waits of guests, exact to what the kernel offers: tokio's timers round each up to the next millisecond, which a
//! loop of short waits pays again and again.
//!
//! Owned by `Engine`, one thread for all its tasks; `capability/clocks.rs` hands its futures to guests.
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;
use std::time::Instant;

use crate::error::EngineError;

/// The thread that wakes them; it ends when this is dropped.
pub struct Alarms {
    queue: Arc<Queue>,
}

/// Who waits until when. Clones of its `Arc` go to every store.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    thread: OnceLock<Thread>,
}

#[derive(Default)]
struct Waiting {
    /// By time; the number tells those of one instant apart.
    alarms: BTreeMap<(Instant, u64), Waker>,
    numbered: u64,
    closed: bool,
}

impl Alarms {
    pub fn start() -> Result<Alarms, EngineError> {
        let queue = Arc::new(Queue::default());
        let ringing = queue.clone();
        let thread = std::thread::Builder::new()
            .name("guest-alarms".to_owned())
            .spawn(move || ring(&ringing))
            .map_err(|error| EngineError::Setup { reason: format!("no thread for the guests' waits: {error}") })?;
        queue.thread.get_or_init(|| thread.thread().clone());
        Ok(Alarms { queue })
    }

    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.wake_thread();
    }
}

impl Queue {
    /// Resolves at `at`, and never before.
    pub fn at(self: &Arc<Self>, at: Instant) -> Alarm {
        Alarm { queue: self.clone(), at, number: None }
    }

    /// Number an alarm, or replace the waker of one that has a number.
    fn set(&self, at: Instant, number: Option<u64>, waker: &Waker) -> u64 {
        let mut waiting = self.lock();
        let number = number.unwrap_or_else(|| {
            waiting.numbered += 1;
            waiting.numbered
        });
        waiting.alarms.insert((at, number), waker.clone());
        let is_first = waiting.alarms.first_key_value().is_some_and(|(first, _)| *first == (at, number));
        drop(waiting);
        if is_first {
            self.wake_thread();
        }
        number
    }

    fn wake_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes out the wakers that are due.
    fn due(&mut self, now: Instant) -> Vec<Waker> {
        let later = self.alarms.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.alarms, later).into_values().collect()
    }
}

fn ring(queue: &Queue) {
    // Where the system cannot be told to be exact, waits are a little longer.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    loop {
        let mut waiting = queue.lock();
        if waiting.closed {
            return;
        }
        let now = Instant::now();
        let due = waiting.due(now);
        let next = waiting.alarms.first_key_value().map(|((at, _), _)| *at);
        drop(waiting);
        due.into_iter().for_each(Waker::wake);
        // An alarm that became the first meanwhile has unparked this thread: then it does not park.
        match next {
            Some(at) => std::thread::park_timeout(at.saturating_duration_since(Instant::now())),
            None => std::thread::park(),
        }
    }
}

/// One wait. Dropping it takes it out of the queue.
pub struct Alarm {
    queue: Arc<Queue>,
    at: Instant,
    number: Option<u64>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let number = self.queue.set(self.at, self.number, cx.waker());
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.queue.lock().alarms.remove(&(self.at, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::{join_all, select};

    use super::*;

    #[tokio::test]
    async fn alarms_ring_in_the_order_of_their_times_and_none_too_early() {
        let alarms = Alarms::start().unwrap();
        let began = Instant::now();
        let rung = Mutex::new(Vec::new());
        let waits = [30, 10, 20, 10].map(|millis| {
            let (alarm, rung) = (alarms.queue().at(began + Duration::from_millis(millis)), &rung);
            async move {
                alarm.await;
                assert!(began.elapsed() >= Duration::from_millis(millis));
                rung.lock().unwrap().push(millis);
            }
        });
        join_all(waits).await;
        assert_eq!(rung.into_inner().unwrap(), [10, 10, 20, 30]);
    }

    #[tokio::test]
    async fn an_alarm_that_is_given_up_leaves_the_queue() {
        let alarms = Alarms::start().unwrap();
        let far = alarms.queue().at(Instant::now() + Duration::from_secs(3600));
        let near = alarms.queue().at(Instant::now() + Duration::from_millis(5));
        drop(select(far, near).await);
        assert!(alarms.queue().lock().alarms.is_empty());
    }

    #[test]
    fn a_time_that_is_past_needs_no_thread() {
        let queue = Arc::new(Queue::default());
        assert_eq!(queue.at(Instant::now()).now_or_never(), Some(()));
        let mut later = Box::pin(queue.at(Instant::now() + Duration::from_secs(3600)));
        assert_eq!((&mut later).now_or_never(), None);
        assert_eq!((&mut later).now_or_never(), None);
        assert_eq!(queue.lock().alarms.len(), 1, "polled twice, it waits once");
    }
}
