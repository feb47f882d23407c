//! Datagram sockets of WASI 0.3.
use std::future::poll_fn;

use minicloud_net::{UdpOptions, UdpSocket};
use wasmtime::component::{Accessor, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{self, HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

use super::super::{Sockets, SocketsView, ours};
use super::{fail, family, wasi_family};

type Handle = Resource<types::UdpSocket>;

impl SocketsView<'_> {
    fn udp3(&mut self, handle: &Handle) -> wasmtime::Result<&mut UdpSocket> {
        Ok(self.table.get_mut(&ours::<_, UdpSocket>(handle))?)
    }

    fn udp3_or_trap(&mut self, handle: &Handle) -> SocketResult<&mut UdpSocket> {
        self.udp3(handle).map_err(SocketError::trap)
    }

    fn set_udp3(&mut self, handle: &Handle, change: impl FnOnce(&mut UdpOptions)) -> SocketResult<()> {
        let socket = self.udp3_or_trap(handle)?;
        let mut options = socket.options();
        change(&mut options);
        socket.set_options(options).map_err(fail)
    }
}

impl<T> HostUdpSocketWithStore<T> for Sockets {
    /// Never waits: what finds no room on its way is dropped, as UDP may.
    async fn send(store: &Accessor<T, Self>, handle: Handle, data: Vec<u8>, remote: Option<IpSocketAddress>) -> SocketResult<()> {
        store.with(|mut access| access.get().udp3_or_trap(&handle)?.send(data.into(), remote.map(Into::into)).map_err(fail))
    }

    async fn receive(store: &Accessor<T, Self>, handle: Handle) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let received = poll_fn(|cx| {
            store.with(|mut access| match access.get().udp3_or_trap(&handle) {
                Ok(socket) => socket.poll_receive(cx).map_err(fail),
                Err(error) => Err(error).into(),
            })
        });
        let datagram = received.await?;
        Ok((datagram.payload.into(), datagram.source.into()))
    }
}

impl HostUdpSocket for SocketsView<'_> {
    async fn create(&mut self, wanted: IpAddressFamily) -> SocketResult<Handle> {
        let socket = UdpSocket::new(self.net.clone(), family(wanted));
        Ok(ours(&self.table.push(socket).map_err(SocketError::trap)?))
    }

    async fn bind(&mut self, handle: Handle, address: IpSocketAddress) -> SocketResult<()> {
        self.udp3_or_trap(&handle)?.bind(address.into()).map_err(fail)
    }

    async fn connect(&mut self, handle: Handle, remote: IpSocketAddress) -> SocketResult<()> {
        self.udp3_or_trap(&handle)?.connect(remote.into()).map_err(fail)
    }

    fn disconnect(&mut self, handle: Handle) -> SocketResult<()> {
        self.udp3_or_trap(&handle)?.disconnect().map_err(fail)
    }

    fn get_local_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.udp3_or_trap(&handle)?.local_address().map_err(fail)?.into())
    }

    fn get_remote_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.udp3_or_trap(&handle)?.remote_address().map_err(fail)?.into())
    }

    fn get_address_family(&mut self, handle: Handle) -> wasmtime::Result<IpAddressFamily> {
        Ok(wasi_family(self.udp3(&handle)?.family()))
    }

    fn get_unicast_hop_limit(&mut self, handle: Handle) -> SocketResult<u8> {
        Ok(self.udp3_or_trap(&handle)?.options().hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, handle: Handle, hops: u8) -> SocketResult<()> {
        self.set_udp3(&handle, |options| options.hop_limit = hops)
    }

    fn get_receive_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.udp3_or_trap(&handle)?.options().receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_udp3(&handle, |options| options.receive_buffer_bytes = bytes)
    }

    fn get_send_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.udp3_or_trap(&handle)?.options().send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_udp3(&handle, |options| options.send_buffer_bytes = bytes)
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, UdpSocket>(&handle))?;
        Ok(())
    }
}
