//! `worker`: mines coins. Bytes from `rng`, their digest from `hasher`, counters and coins in `redis`.

pub mod unit;

#[cfg(target_family = "wasm")]
mod cloud;
#[cfg(target_family = "wasm")]
mod run;
