//! Timers of WASI 0.3: they let other requests run, which a sleep of the standard library does not.

use futures::future::{Either, select};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use wasip3::clocks::{monotonic_clock, system_clock};

/// Waits without holding up anything else in this component.
pub async fn sleep(duration: Duration) {
    monotonic_clock::wait_for(nanoseconds(duration)).await;
}

/// Time since an arbitrary point, which never goes backwards.
pub fn monotonic() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

/// Time since the Unix epoch; zero before it.
pub fn unix() -> Duration {
    let now = system_clock::now();
    Duration::new(u64::try_from(now.seconds).unwrap_or(0), now.nanoseconds)
}

/// Unix seconds, for log lines.
pub fn unix_seconds() -> i64 {
    system_clock::now().seconds
}

/// The bound of a wait has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {} s", self.0.as_secs_f64())
    }
}

impl std::error::Error for Elapsed {}

/// Runs `future` for at most `bound`; past it the future is dropped, which cancels what it waits for.
pub async fn timeout<T>(bound: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let timer = pin!(monotonic_clock::wait_for(nanoseconds(bound)));
    match select(pin!(future), timer).await {
        Either::Left((value, _)) => Ok(value),
        Either::Right(((), _)) => Err(Elapsed(bound)),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
