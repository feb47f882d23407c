//! The control loop and its parts, on virtual time and without a network, a disk or a guest.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod agent;
mod cluster;
mod world;
