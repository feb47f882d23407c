//! `redis`: a Redis server. The command engine is pure and tests natively; sockets, files and
//! clocks are in the modules that need WASI 0.3.

pub mod command;
pub mod commands;
pub mod config;
pub mod dump;
pub mod engine;
pub mod error;
pub mod glob;
pub mod journal;
pub mod keyspace;
pub mod limits;
pub mod memory;
pub mod notify;
pub mod number;
pub mod reply;
pub mod request;
pub mod session;
pub mod table;
pub mod value;
pub mod zset;

#[cfg(target_family = "wasm")]
mod aof_file;
#[cfg(target_family = "wasm")]
mod aof_rewrite;
#[cfg(target_family = "wasm")]
mod aof_task;
#[cfg(target_family = "wasm")]
mod client;
#[cfg(target_family = "wasm")]
mod run;
#[cfg(target_family = "wasm")]
mod server;

#[cfg(test)]
mod scripts;
