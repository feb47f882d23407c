//! A task's time on the guests' threads: counted for `usage`, capped for `--limit-cpu`.
//!
//! Every future that runs guest code is wrapped in `Metered`, which also tells the ticker that a guest runs.
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::UpdateDeadline;

use crate::limits::{CPU_BURST, TURN_MIN};
use crate::ticker::Pulse;

/// The CPU time of one task, over all its instances.
pub struct CpuMeter {
    started: Instant,
    used_ns: AtomicU64,
    cap: Option<CpuCap>,
}

impl CpuMeter {
    /// `limit_millis`: thousandths of a core, 0 for no cap.
    pub fn new(limit_millis: u32) -> CpuMeter {
        let cap = (limit_millis > 0).then(|| CpuCap::new(limit_millis));
        CpuMeter { started: Instant::now(), used_ns: AtomicU64::new(0), cap }
    }

    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Count a turn; what the cap makes the task wait before the next one.
    fn charge(&self, began: Instant, ended: Instant) -> Duration {
        let turn = ended.saturating_duration_since(began);
        self.used_ns.fetch_add(turn.as_nanos() as u64, Ordering::Relaxed);
        match &self.cap {
            Some(cap) => cap.charge(turn, ended.saturating_duration_since(self.started)),
            None => Duration::ZERO,
        }
    }
}

/// A cap as a virtual clock: each turn moves it on by `turn / share`, and a task waits while it is ahead of the real one.
struct CpuCap {
    limit_millis: u32,
    paid_until: Mutex<Duration>,
}

impl CpuCap {
    fn new(limit_millis: u32) -> CpuCap {
        CpuCap { limit_millis, paid_until: Mutex::new(Duration::ZERO) }
    }

    fn charge(&self, turn: Duration, now: Duration) -> Duration {
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = turn * 1000 / self.limit_millis;
        *paid_until = (*paid_until).max(now.saturating_sub(CPU_BURST)) + cost;
        paid_until.saturating_sub(now)
    }
}

/// When the present turn of one store began; shared by its `Metered` future and its epoch callback.
pub struct Turn {
    origin: Instant,
    began_ns: AtomicU64,
}

impl Turn {
    pub fn new() -> Arc<Turn> {
        Arc::new(Turn { origin: Instant::now(), began_ns: AtomicU64::new(0) })
    }

    fn begin(&self, now: Instant) {
        self.began_ns.store(now.saturating_duration_since(self.origin).as_nanos() as u64, Ordering::Relaxed);
    }

    /// The answer to a tick: a guest that was only just woken goes on, any other lets its neighbours run.
    pub fn at_tick(&self) -> UpdateDeadline {
        let began = Duration::from_nanos(self.began_ns.load(Ordering::Relaxed));
        match self.origin.elapsed().saturating_sub(began) < TURN_MIN {
            true => UpdateDeadline::Continue(1),
            false => UpdateDeadline::Yield(1),
        }
    }
}

/// A future that runs guest code, metered.
pub struct Metered<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    meter: Arc<CpuMeter>,
    turn: Arc<Turn>,
    pulse: Arc<Pulse>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl<T> Metered<T> {
    pub fn new(future: impl Future<Output = T> + Send + 'static, meter: Arc<CpuMeter>, turn: Arc<Turn>, pulse: Arc<Pulse>) -> Self {
        Metered { future: Box::pin(future), meter, turn, pulse, wait: None }
    }

    /// One turn of the guest, and how long it has to wait for the next.
    fn take_turn(&mut self, cx: &mut Context<'_>) -> (Poll<T>, Duration) {
        let running = self.pulse.enter();
        let began = Instant::now();
        self.turn.begin(began);
        let poll = self.future.as_mut().poll(cx);
        drop(running);
        (poll, self.meter.charge(began, Instant::now()))
    }
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let (poll, debt) = self.take_turn(cx);
            if poll.is_ready() || debt.is_zero() {
                return poll;
            }
            self.wait = Some(Box::pin(tokio::time::sleep(debt)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_of_half_a_core_makes_a_task_wait_as_long_as_it_ran() {
        let cap = CpuCap::new(500);
        let mut now = Duration::from_secs(1);
        let mut ran = Duration::ZERO;
        while now < Duration::from_secs(2) {
            let turn = Duration::from_millis(1);
            ran += turn;
            now += turn;
            now += cap.charge(turn, now);
        }
        assert!((490..=520).contains(&ran.as_millis()), "ran {ran:?} of one second");
    }

    #[test]
    fn an_idle_task_saves_up_no_more_than_the_burst() {
        let cap = CpuCap::new(1000);
        assert_eq!(cap.charge(CPU_BURST, Duration::from_secs(100)), Duration::ZERO);
        assert_eq!(cap.charge(Duration::from_millis(5), Duration::from_secs(100)), Duration::from_millis(5));
    }
}
