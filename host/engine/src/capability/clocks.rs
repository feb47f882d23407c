//! `wasi:clocks/monotonic-clock` of both versions: waits that end when they should (see `alarm.rs`).
//!
//! The wall clock is wasmtime-wasi's own.
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{Accessor, HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock as p2;
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock as p3, types};
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use crate::alarm::{Alarm, Queue};

/// The monotonic clock of one store: nanoseconds since it was made.
pub struct Clock {
    origin: Instant,
    alarms: Arc<Queue>,
}

impl Clock {
    /// Nanoseconds that `now` steps by at most.
    const RESOLUTION_NS: u64 = 1;

    pub fn new(alarms: Arc<Queue>) -> Clock {
        Clock { origin: Instant::now(), alarms }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn at(&self, mark: u64) -> Wait {
        self.wait(self.origin.checked_add(Duration::from_nanos(mark)))
    }

    fn after(&self, nanos: u64) -> Wait {
        self.wait(Instant::now().checked_add(Duration::from_nanos(nanos)))
    }

    fn wait(&self, until: Option<Instant>) -> Wait {
        match until {
            Some(until) if until <= Instant::now() => Wait::Over { yielded: false },
            Some(until) => Wait::Until(self.alarms.at(until)),
            None => Wait::Forever,
        }
    }
}

/// A clock and the handles beside it, for the length of one host call.
pub struct ClockView<'a> {
    pub clock: &'a Clock,
    pub table: &'a mut ResourceTable,
}

/// Names `ClockView` to the linker.
pub struct Clocks;

impl HasData for Clocks {
    type Data<'a> = ClockView<'a>;
}

enum Wait {
    /// Yields once, so that a guest that polls in a loop lets what it polls for happen.
    Over {
        yielded: bool,
    },
    Until(Alarm),
    /// Farther away than time is counted.
    Forever,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        match self {
            Wait::Over { yielded: true } => {}
            Wait::Over { yielded } => {
                *yielded = true;
                tokio::task::yield_now().await;
            }
            Wait::Until(alarm) => alarm.await,
            Wait::Forever => std::future::pending().await,
        }
    }
}

impl p2::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<p2::Instant> {
        Ok(self.clock.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<p2::Duration> {
        Ok(Clock::RESOLUTION_NS)
    }

    fn subscribe_instant(&mut self, when: p2::Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = self.table.push(self.clock.at(when))?;
        subscribe(self.table, wait)
    }

    fn subscribe_duration(&mut self, duration: p2::Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = self.table.push(self.clock.after(duration))?;
        subscribe(self.table, wait)
    }
}

impl types::Host for ClockView<'_> {}

impl p3::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<p3::Mark> {
        Ok(self.clock.now())
    }

    fn get_resolution(&mut self) -> wasmtime::Result<types::Duration> {
        Ok(Clock::RESOLUTION_NS)
    }
}

impl<T> p3::HostWithStore<T> for Clocks {
    async fn wait_until(store: &Accessor<T, Self>, when: p3::Mark) -> wasmtime::Result<()> {
        store.with(|mut access| access.get().clock.at(when)).ready().await;
        Ok(())
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: types::Duration) -> wasmtime::Result<()> {
        store.with(|mut access| access.get().clock.after(duration)).ready().await;
        Ok(())
    }
}
