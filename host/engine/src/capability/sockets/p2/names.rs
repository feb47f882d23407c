//! Name lookup: names of the task's own networks, answered at once.
use std::net::IpAddr;
use std::vec;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{Host, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};

use super::super::{SocketsView, ours};

/// The addresses not yet handed out.
struct Addresses(vec::IntoIter<IpAddr>);

#[wasmtime_wasi::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {}
}

impl Host for SocketsView<'_> {
    fn resolve_addresses(&mut self, _network: Resource<Network>, name: String) -> SocketResult<Resource<ResolveAddressStream>> {
        let addresses = self.net.resolve(&name).map_err(|_| ErrorCode::NameUnresolvable)?;
        Ok(ours(&self.table.push(Addresses(addresses.into_iter()))?))
    }
}

impl HostResolveAddressStream for SocketsView<'_> {
    fn resolve_next_address(&mut self, stream: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        Ok(self.table.get_mut(&ours::<_, Addresses>(&stream))?.0.next().map(IpAddress::from))
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours::<_, Addresses>(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, Addresses>(&stream))?;
        Ok(())
    }
}
