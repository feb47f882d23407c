//! What a task may reach, one room for each: its network, HTTP over it, its log, its volumes.
pub mod http;
pub mod logs;
pub mod sockets;
pub mod volumes;
