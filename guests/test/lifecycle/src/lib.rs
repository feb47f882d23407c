//! A program on minicloud's own interfaces, for tests of the host: it says that it is ready, drains when it is told to
//! stop, and reads its settings.

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod config;
#[cfg(target_family = "wasm")]
mod run;
