//! The `wasi:cli/run` export: the loop.

use crate::cloud::{self, Redis, WorkError};
use crate::unit::{Counter, is_coin};
use guest_common::{clock, debug_enabled, log};
use std::time::Duration;

/// What one unit of work waits for by itself.
const WORK: Duration = Duration::from_millis(100);
/// Pause after an error.
const RESTART_DELAY: Duration = Duration::from_secs(10);

struct Command;
wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let mut worker = Worker { redis: Redis::default(), debug: debug_enabled() };
        loop {
            let Err(error) = worker.work_loop().await;
            log::line(format_args!("ERROR: In work loop: {error}"));
            log::line("ERROR: Waiting 10s and restarting.");
            clock::sleep(RESTART_DELAY).await;
        }
    }
}

struct Worker {
    redis: Redis,
    debug: bool,
}

impl Worker {
    /// Works until something fails.
    async fn work_loop(&mut self) -> Result<std::convert::Infallible, WorkError> {
        let mut counter = Counter::default();
        loop {
            if let Some(units) = counter.due(clock::monotonic()) {
                log::line(format_args!("INFO: {units} units of work done, updating hash counter"));
                self.redis.add_hashes(units).await?;
                counter.reported(clock::monotonic());
            }
            self.work_once().await?;
            counter.unit_done();
        }
    }

    async fn work_once(&mut self) -> Result<(), WorkError> {
        self.debug("Doing one unit of work");
        clock::sleep(WORK).await;
        let bytes = cloud::random_bytes().await?;
        let digest = cloud::hash(&bytes).await?;
        if !is_coin(&digest) {
            self.debug("No coin found");
            return Ok(());
        }
        log::line(format_args!("INFO: Coin found: {}...", &digest[..8]));
        if !self.redis.add_coin(&digest, &bytes).await? {
            log::line("INFO: We already had that coin");
        }
        Ok(())
    }

    fn debug(&self, text: &str) {
        if self.debug {
            log::line(format_args!("DEBUG: {text}"));
        }
    }
}
