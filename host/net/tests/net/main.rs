//! The virtual network as its users see it: guests' sockets, the overlay and the ingress.
#![expect(clippy::unwrap_used, reason = "a failed expectation is how these tests fail")]
mod support;

mod connections;
mod datagrams;
mod detach;
mod doors;
mod garbage;
mod isolation;
mod listeners;
mod names;
mod nodes;
mod pipes;
mod services;
mod sockets;
