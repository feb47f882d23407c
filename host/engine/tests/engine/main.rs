//! The engine with real components on a real virtual network, without a cluster.
//!
//! The components are built first: `cd guests && cargo build --release --target wasm32-wasip2`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cache;
mod commands;
mod components;
mod dockercoins;
mod files;
mod http_services;
mod lifecycle;
mod limits;
mod sockets;
mod support;
mod volumes;
