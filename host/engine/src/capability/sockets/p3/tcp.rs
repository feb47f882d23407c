//! Stream sockets of WASI 0.3.
use std::future::poll_fn;
use std::iter;

use minicloud_net::{NetError, TcpOptions, TcpSocket};
use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime_wasi::p3::bindings::sockets::types::{
    self, Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

use super::super::{Sockets, SocketsView, error_code, ours};
use super::streams::{Accepting, Receiving, Sending};
use super::{fail, family, wasi_family};

type Handle = Resource<types::TcpSocket>;
type Outcome = FutureReader<Result<(), ErrorCode>>;

impl SocketsView<'_> {
    fn tcp3(&mut self, handle: &Handle) -> wasmtime::Result<&mut TcpSocket> {
        Ok(self.table.get_mut(&ours::<_, TcpSocket>(handle))?)
    }

    fn tcp3_or_trap(&mut self, handle: &Handle) -> SocketResult<&mut TcpSocket> {
        self.tcp3(handle).map_err(SocketError::trap)
    }

    fn tcp3_options(&mut self, handle: &Handle) -> SocketResult<TcpOptions> {
        Ok(self.tcp3_or_trap(handle)?.options())
    }

    fn set_tcp3(&mut self, handle: &Handle, change: impl FnOnce(&mut TcpOptions)) -> SocketResult<()> {
        let socket = self.tcp3_or_trap(handle)?;
        let mut options = socket.options();
        change(&mut options);
        socket.set_options(options).map_err(fail)
    }
}

impl<T: Send> HostTcpSocketWithStore<T> for Sockets {
    async fn connect(store: &Accessor<T, Self>, handle: Handle, remote: IpSocketAddress) -> SocketResult<()> {
        store.with(|mut access| access.get().tcp3_or_trap(&handle)?.start_connect(remote.into()).map_err(fail))?;
        poll_fn(|cx| {
            store.with(|mut access| match access.get().tcp3_or_trap(&handle) {
                Ok(socket) => socket.poll_connect(cx).map_err(fail),
                Err(error) => Err(error).into(),
            })
        })
        .await
    }

    async fn listen(mut store: Access<'_, T, Self>, handle: Handle) -> SocketResult<StreamReader<Handle>> {
        let view = store.getter();
        let accepting = {
            let mut sockets = store.get();
            let socket = sockets.tcp3_or_trap(&handle)?;
            let listener = socket.listen().map_err(fail)?;
            Accepting { listener, net: socket.net().clone(), family: socket.family(), options: socket.options(), view }
        };
        StreamReader::new(&mut store, accepting).map_err(SocketError::trap)
    }

    fn send(mut store: Access<'_, T, Self>, handle: Handle, mut data: StreamReader<u8>) -> wasmtime::Result<Outcome> {
        match store.get().tcp3(&handle)?.take_writer() {
            Ok(writer) => {
                let (outcome, ended) = oneshot::channel();
                data.pipe(&mut store, Sending::new(writer, outcome))?;
                FutureReader::new(&mut store, ended)
            }
            Err(error) => {
                data.close(&mut store)?;
                failed(&mut store, error)
            }
        }
    }

    fn receive(mut store: Access<T, Self>, handle: Handle) -> wasmtime::Result<(StreamReader<u8>, Outcome)> {
        match store.get().tcp3(&handle)?.take_reader() {
            Ok(reader) => {
                let (outcome, ended) = oneshot::channel();
                let stream = StreamReader::new(&mut store, Receiving::new(reader, outcome))?;
                Ok((stream, FutureReader::new(&mut store, ended)?))
            }
            Err(error) => Ok((StreamReader::new(&mut store, iter::empty())?, failed(&mut store, error)?)),
        }
    }
}

/// The outcome of a stream that could not be had.
fn failed<T>(store: &mut Access<'_, T, Sockets>, error: NetError) -> wasmtime::Result<Outcome> {
    let outcome: Result<(), ErrorCode> = Err(error_code(error).into());
    FutureReader::new(store, async move { wasmtime::error::Ok(outcome) })
}

impl HostTcpSocket for SocketsView<'_> {
    fn create(&mut self, wanted: IpAddressFamily) -> SocketResult<Handle> {
        let socket = TcpSocket::new(self.net.clone(), family(wanted));
        Ok(ours(&self.table.push(socket).map_err(SocketError::trap)?))
    }

    async fn bind(&mut self, handle: Handle, address: IpSocketAddress) -> SocketResult<()> {
        self.tcp3_or_trap(&handle)?.bind(address.into()).map_err(fail)
    }

    fn get_local_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp3_or_trap(&handle)?.local_address().map_err(fail)?.into())
    }

    fn get_remote_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp3_or_trap(&handle)?.remote_address().map_err(fail)?.into())
    }

    fn get_is_listening(&mut self, handle: Handle) -> wasmtime::Result<bool> {
        Ok(self.tcp3(&handle)?.is_listening())
    }

    fn get_address_family(&mut self, handle: Handle) -> wasmtime::Result<IpAddressFamily> {
        Ok(wasi_family(self.tcp3(&handle)?.family()))
    }

    fn set_listen_backlog_size(&mut self, handle: Handle, connections: u64) -> SocketResult<()> {
        self.tcp3_or_trap(&handle)?.set_backlog(connections).map_err(fail)
    }

    fn get_keep_alive_enabled(&mut self, handle: Handle) -> SocketResult<bool> {
        Ok(self.tcp3_options(&handle)?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, handle: Handle, enabled: bool) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.keep_alive = enabled)
    }

    fn get_keep_alive_idle_time(&mut self, handle: Handle) -> SocketResult<Duration> {
        Ok(self.tcp3_options(&handle)?.keep_alive_idle_ns)
    }

    fn set_keep_alive_idle_time(&mut self, handle: Handle, ns: Duration) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.keep_alive_idle_ns = ns)
    }

    fn get_keep_alive_interval(&mut self, handle: Handle) -> SocketResult<Duration> {
        Ok(self.tcp3_options(&handle)?.keep_alive_interval_ns)
    }

    fn set_keep_alive_interval(&mut self, handle: Handle, ns: Duration) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.keep_alive_interval_ns = ns)
    }

    fn get_keep_alive_count(&mut self, handle: Handle) -> SocketResult<u32> {
        Ok(self.tcp3_options(&handle)?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, handle: Handle, count: u32) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.keep_alive_count = count)
    }

    fn get_hop_limit(&mut self, handle: Handle) -> SocketResult<u8> {
        Ok(self.tcp3_options(&handle)?.hop_limit)
    }

    fn set_hop_limit(&mut self, handle: Handle, hops: u8) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.hop_limit = hops)
    }

    fn get_receive_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.tcp3_options(&handle)?.receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.receive_buffer_bytes = bytes)
    }

    fn get_send_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.tcp3_options(&handle)?.send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_tcp3(&handle, |options| options.send_buffer_bytes = bytes)
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, TcpSocket>(&handle))?;
        Ok(())
    }
}
