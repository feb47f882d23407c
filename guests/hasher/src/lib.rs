//! `hasher`: SHA-256 over HTTP, 0.1 s for each answer, many requests at once: their waits overlap.

pub mod digest;

#[cfg(target_family = "wasm")]
mod handler;
