//! The control loop and its parts, on virtual time and without a network, a disk or a guest.
mod agent;
mod cluster;
mod world;
