//! The API of a real node: one manager on loopback, its Unix socket, and tasks that echo what they are sent.
mod executor;
mod world;

mod errors;
mod nodes;
mod services;
mod streams;
