//! The pure heart of minicloud: what a cluster is, how commands change it, and what should happen next.
//!
//! Nothing here reads a clock, a random source, a file or a socket: time, randomness and ids are arguments,
//! timers are outputs. Direction inside: `id, time, limits <- spec <- command <- state <- { plan, view, check, event }`;
//! `task` is what the agent runs, `names` and `balance` are what the network asks.
pub mod balance;
pub mod check;
pub mod command;
pub mod event;
pub mod id;
pub mod limits;
pub mod names;
pub mod plan;
pub mod spec;
pub mod state;
pub mod task;
pub mod time;
pub mod view;
