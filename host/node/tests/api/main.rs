//! The API of a real node: one manager on loopback, its Unix socket, and tasks that echo what they are sent.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod executor;
mod world;

mod errors;
mod nodes;
mod services;
mod streams;
