//! openraft's runtime: tokio, with election timeouts that a simulation can seed.
use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use openraft::async_runtime::Instant as _;
use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioInstant, TokioRuntime};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::limits::{RAFT_TICK, RAFT_WAIT_EXACT};

thread_local! {
    static ELECTIONS: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// Makes every later election timeout on this thread follow from `seed`.
pub fn seed_elections(seed: u64) {
    ELECTIONS.with(|elections| *elections.borrow_mut() = Some(StdRng::seed_from_u64(seed)));
}

/// openraft wakes up five times per heartbeat to see whether one is due, on every manager, for ever; twice is
/// enough. Its other waits to a point in time are of microseconds, and are left alone.
fn at_tick(deadline: TokioInstant) -> TokioInstant {
    let now = TokioInstant::now();
    match deadline - now {
        wait if wait < RAFT_WAIT_EXACT => deadline,
        _ => deadline.max(now + RAFT_TICK),
    }
}

/// See the module.
#[derive(Debug)]
pub struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = StdRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(at_tick(deadline))
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> StdRng {
        let seeded = ELECTIONS.with(|elections| elections.borrow_mut().as_mut().map(StdRng::from_rng));
        seeded.unwrap_or_else(|| StdRng::from_rng(&mut rand::rng()))
    }

    fn new(threads: usize) -> Self {
        Runtime(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ticks_are_slowed_and_shorter_waits_are_not() {
        let now = TokioInstant::now();
        let after = |wait| at_tick(now + wait) - now;
        assert_eq!(after(Duration::from_micros(1)), Duration::from_micros(1));
        assert_eq!(after(Duration::from_millis(26)), RAFT_TICK);
        assert_eq!(after(Duration::from_millis(300)), Duration::from_millis(300));
    }

    /// A tick right before a heartbeat is due would delay it by a whole tick.
    #[test]
    fn the_second_tick_is_a_little_later_than_a_heartbeat() {
        let over = (RAFT_TICK * 2).checked_sub(crate::limits::RAFT_HEARTBEAT).unwrap();
        assert!((Duration::from_millis(1)..Duration::from_millis(5)).contains(&over), "{over:?}");
    }
}
