//! A program on WASI 0.3, for tests of the host. The first argument says what to do; many
//! connections are served at once. What fails is told on standard output, with exit code 1.

#[cfg(target_family = "wasm")]
mod files;
#[cfg(target_family = "wasm")]
mod run;
#[cfg(target_family = "wasm")]
mod tcp;
#[cfg(target_family = "wasm")]
mod udp;
