//! One node of a minicloud cluster: identity, QUIC, Raft, the leader's loop, the agent, images, logs, overlay,
//! ingress, DNS and the API. It moves bytes; what should happen is decided in `minicloud-core`.
//!
//! It knows no wasmtime: tasks run behind `executor::Executor`, which the command line's binary implements.
pub mod api;
pub mod client;
pub mod node;

pub mod cluster;
pub mod data_dir;
pub mod env;
pub mod events;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod limits;
pub mod peers;
pub mod quic;
pub mod raft;
pub mod router;
pub mod seal;
pub mod token;
pub mod transport;

pub mod agent;
pub mod dispatcher;
pub mod executor;
pub mod files;
pub mod leader;
pub mod liveness;
pub mod replicated;
mod rest;
pub mod session;
pub mod volumes;

pub mod dns;
pub mod founding;
pub mod images;
pub mod ingress;
pub mod join;
pub mod logs;
pub mod member;
#[cfg(test)]
mod memory_stream;
pub mod oci;
pub mod overlay;
mod socket_stream;
#[cfg(test)]
mod test_routes;
pub mod testing;
pub mod usage;
