//! The API of real nodes on loopback, over their Unix sockets, with tasks that echo what they are sent.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod executor;
mod world;

mod errors;
mod files;
mod health;
mod jobs;
mod many;
mod nodes;
mod openapi;
mod services;
mod streams;
mod updates;
