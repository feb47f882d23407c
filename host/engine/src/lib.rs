//! Runs WebAssembly components as tasks: the only package that knows wasmtime.
//!
//! Owns compiling and its cache, instances and their limits, and what a task may reach: the virtual network,
//! its environment, its volumes and its log, nothing else. It knows no cluster: which task runs, and when, is
//! decided elsewhere. The command line introduces it to the node.
mod admission;
mod alarm;
mod cache;
mod capability;
mod capacity;
mod command;
mod component;
mod config;
mod engine;
mod error;
mod instance;
pub mod limits;
mod linker;
mod memory;
mod meter;
mod precompiled;
mod server;
mod spec;
mod store;
mod task;
mod ticker;
mod trap;

pub use component::{Component, ComponentKind, WasiVersion};
pub use engine::{Engine, EngineOptions, EngineStats};
pub use error::EngineError;
pub use linker::is_offered;
pub use spec::{ComponentSource, GuestFile, GuestFileKind, HostMount, LogSink, RunSpec};
pub use task::Task;
