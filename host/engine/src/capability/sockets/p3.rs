//! WASI 0.3: `wasi:sockets` with async calls, component-model streams and futures.
mod names;
mod streams;
mod tcp;
mod udp;

use minicloud_net::{Family, NetError};
use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets::types::{self, ErrorCode, IpAddressFamily};
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup, types as wasi_types};
use wasmtime_wasi::p3::sockets::SocketError;

use super::{Sockets, SocketsView, error_code};
use crate::store::GuestState;

/// Offer all of `wasi:sockets@0.3`.
pub fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    ip_name_lookup::add_to_linker::<_, Sockets>(linker, GuestState::sockets)?;
    wasi_types::add_to_linker::<_, Sockets>(linker, GuestState::sockets)
}

impl types::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
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
