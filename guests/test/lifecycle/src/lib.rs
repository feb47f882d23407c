//! A program on minicloud's own interfaces, for tests of the host: it says that it is ready, and drains when it is
//! told to stop.

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod run;
