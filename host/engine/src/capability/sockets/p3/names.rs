//! Name lookup: names of the task's own networks.
use wasmtime::component::Accessor;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use wasmtime_wasi::p3::bindings::sockets::types::IpAddress;

use super::super::{Sockets, SocketsView};

impl<T> HostWithStore<T> for Sockets {
    async fn resolve_addresses(store: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
        let resolved = store.with(|mut access| access.get().net.resolve(&name));
        Ok(match resolved {
            Ok(addresses) => Ok(addresses.into_iter().map(IpAddress::from).collect()),
            Err(_) => Err(ErrorCode::NameUnresolvable),
        })
    }
}

impl Host for SocketsView<'_> {}
