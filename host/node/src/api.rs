//! The node's API: HTTP and JSON on a Unix socket in the data directory.
pub mod socket;
pub mod types;
