//! What a task may reach, one room for each: its network, HTTP over it, its clock, its log, its volumes, its files,
//! and what minicloud tells it of itself.
pub mod clocks;
pub mod files;
pub mod http;
pub mod logs;
pub mod settings;
pub mod sockets;
pub mod task;
pub mod volumes;
