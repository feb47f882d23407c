//! An HTTP service on WASI 0.2, for tests of the host; the same paths as `test-http3`.

#[cfg(target_family = "wasm")]
mod handler;
#[cfg(target_family = "wasm")]
mod proxy;
