//! End-to-end tests: the real binary, real processes, real packets. They prove the wiring, not the logic.
mod cluster;
mod dockercoins;
mod support;
