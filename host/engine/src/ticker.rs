//! The clock of the guests: advances the epoch every millisecond while a guest runs, and sleeps while none does.
//!
//! Owned by `Engine`; every `Metered` future tells it when a guest enters and leaves a thread.
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;

use wasmtime::EngineWeak;

use crate::error::EngineError;
use crate::limits::{TICK, TICKS_IDLE_MAX};

/// Counts the guests that are on a thread right now, and wakes the ticker for the first of them.
#[derive(Default)]
pub struct Pulse {
    running: AtomicUsize,
    asleep: AtomicBool,
    closed: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Pulse {
    /// A guest enters a thread; the guard's drop is its leaving.
    pub fn enter(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        Running(self)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// A guest is on a thread for as long as this lives.
pub struct Running<'a>(&'a Pulse);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The thread that ticks; it ends when this is dropped.
pub struct Ticker {
    pulse: Arc<Pulse>,
}

impl Ticker {
    pub fn start(engine: EngineWeak) -> Result<Ticker, EngineError> {
        let pulse = Arc::new(Pulse::default());
        let ticking = pulse.clone();
        let thread = std::thread::Builder::new()
            .name("guest-ticker".to_owned())
            .spawn(move || tick(&engine, &ticking))
            .map_err(|error| EngineError::Setup { reason: format!("no thread for the ticker: {error}") })?;
        pulse.thread.get_or_init(|| thread.thread().clone());
        Ok(Ticker { pulse })
    }

    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.closed.store(true, Ordering::SeqCst);
        self.pulse.wake();
    }
}

fn tick(engine: &EngineWeak, pulse: &Pulse) {
    let mut idle = 0;
    while !pulse.closed.load(Ordering::SeqCst) {
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
        idle = if pulse.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > TICKS_IDLE_MAX {
            sleep_until_a_guest_runs(pulse);
            idle = 0;
        }
    }
}

/// `asleep` is set before `running` is read, and `enter` counts before it reads `asleep`: one of them sees the other.
fn sleep_until_a_guest_runs(pulse: &Pulse) {
    pulse.asleep.store(true, Ordering::SeqCst);
    while pulse.asleep.load(Ordering::SeqCst) && pulse.running.load(Ordering::SeqCst) == 0 && !pulse.closed.load(Ordering::SeqCst) {
        std::thread::park();
    }
    pulse.asleep.store(false, Ordering::SeqCst);
}
