//! WASI 0.2: `wasi:sockets` with start/finish pairs, `wasi:io` streams and pollables.
mod names;
mod streams;
mod tcp;
mod udp;

use std::task::{Context, Waker};

use minicloud_net::{Family, NetError};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, tcp as wasi_tcp, tcp_create_socket, udp as wasi_udp, udp_create_socket,
};
use wasmtime_wasi::p2::{IoError, SocketError};

use super::{Sockets, SocketsView, error_code, ours};
use crate::store::GuestState;

/// Offer all of `wasi:sockets@0.2`.
pub fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let options = network::LinkOptions::default();
    network::add_to_linker::<_, Sockets>(linker, &options, GuestState::sockets)?;
    instance_network::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    ip_name_lookup::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    wasi_tcp::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    tcp_create_socket::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    wasi_udp::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    udp_create_socket::add_to_linker::<_, Sockets>(linker, GuestState::sockets)
}

/// The capability to use the network, which every task has: its own networks are all it leads to.
struct WholeNetwork;

impl network::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?.downcast_ref::<NetError>();
        Ok(error.map(|error| error_code(*error).into()))
    }
}

impl network::HostNetwork for SocketsView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, WholeNetwork>(&network))?;
        Ok(())
    }
}

impl instance_network::Host for SocketsView<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(ours(&self.table.push(WholeNetwork)?))
    }
}

fn fail(error: NetError) -> SocketError {
    error_code(error).into()
}

fn family(family: IpAddressFamily) -> Family {
    match family {
        IpAddressFamily::Ipv4 => Family::V4,
        IpAddressFamily::Ipv6 => Family::V6,
    }
}

fn wasi_family(family: Family) -> IpAddressFamily {
    match family {
        Family::V4 => IpAddressFamily::Ipv4,
        Family::V6 => IpAddressFamily::Ipv6,
    }
}

/// For calls that must not wait; who wants to wait polls through `ready`.
fn at_once() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
