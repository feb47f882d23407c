//! `webui`: the DockerCoins page, its files built in, and `/json` with the numbers it draws.

pub mod assets;
pub mod numbers;
pub mod route;

#[cfg(target_family = "wasm")]
mod handler;
