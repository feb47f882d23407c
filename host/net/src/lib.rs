//! The virtual network of one node: addresses, listeners, streams, datagrams and names of its tasks.
//!
//! Nothing here touches a socket of the operating system. Every connection passes [`Switch`], the one routing
//! point: to a task of this node it is two in-process pipes, to any other node it is whatever [`Uplink`] opens.
//! `engine` offers [`TaskNet`], [`TcpSocket`] and [`UdpSocket`] to guests; `node` implements [`Uplink`] and brings
//! in connections from published ports and from other nodes.
mod error;
pub mod limits;

mod recent;
mod wakers;

mod family;

mod pipe;

mod connection;

mod listener;
mod ports;

mod open_count;
mod route_table;

mod task;

mod uplink;

mod switch;

mod inbox;

mod connect;
mod datagram;
mod task_net;
mod udp_door;

mod tcp;
mod udp;

pub use connection::Connection;
pub use datagram::{Datagram, UdpSocketHandle};
pub use error::NetError;
pub use family::Family;
pub use listener::Listener;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use ports::Reservation;
pub use route_table::RouteTable;
pub use switch::Switch;
pub use task::Usage;
pub use task_net::TaskNet;
pub use tcp::{TcpOptions, TcpSocket};
pub use udp::{UdpOptions, UdpSocket};
pub use udp_door::{DoorId, UdpClient, UdpDoor, UdpTarget};
pub use uplink::{DatagramHeader, NoUplink, OpenFuture, Passage, StreamHeader, Uplink};
