//! Consensus, identity and transport as they run in production: real QUIC on loopback, real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod crash;
mod growth;
mod harness;
mod join;
mod renewal;
mod seal;
mod storage;
