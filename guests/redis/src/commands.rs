//! The commands, one file for each kind of thing they work on.

pub mod connection;
pub mod counters;
pub mod expiry;
pub mod hashes;
pub mod info;
pub mod introspection;
pub mod keys;
pub mod lists;
pub mod pubsub;
pub mod server;
pub mod set;
pub mod sets;
pub mod strings;
pub mod transactions;
pub mod zadd;
pub mod zrange;
pub mod zsets;
