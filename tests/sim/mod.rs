//! A cluster under a seed: one thread, tokio's paused clock, a network and disks that fail.
//!
//! `net` carries streams with delays, losses and partitions; `disk` keeps what was synced and, at a crash, any part
//! of what was not; `world` starts, crashes and restarts nodes. Everything above the transport, the clock, the random
//! source and the disk is the production code.
pub mod disk;
pub mod history;
pub mod net;
pub mod world;
