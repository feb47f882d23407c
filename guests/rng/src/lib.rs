//! `rng`: random bytes over HTTP, 0.1 s for each answer.
//!
//! One request at a time is the host's doing (`concurrency = 1` in `Cargo.toml`), so that a queue
//! forms in front of the task where the cloud can see it; nothing here takes a lock.

pub mod route;

#[cfg(target_family = "wasm")]
mod handler;
