//! Consensus, identity and transport as they run in production: real QUIC on loopback, real files.
mod crash;
mod growth;
mod harness;
mod join;
mod storage;
