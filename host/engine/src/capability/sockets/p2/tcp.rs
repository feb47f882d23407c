//! Stream sockets with 0.2's start/finish calls; the states themselves are minicloud-net's.
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use minicloud_net::{Listener, TcpOptions, TcpSocket};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{self, Duration, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, subscribe};

use super::super::{SocketsView, ours};
use super::streams::{Reader, Writer};
use super::{at_once, fail, family, wasi_family};

type Handle = Resource<tcp::TcpSocket>;

/// A call that was started and not yet finished.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Started {
    Bind,
    Connect,
    Listen,
}

struct Tcp {
    socket: TcpSocket,
    started: Option<Started>,
    listener: Option<Arc<Listener>>,
    streams: Option<(Reader, Writer)>,
}

impl Tcp {
    fn new(socket: TcpSocket) -> Tcp {
        Tcp { socket, started: None, listener: None, streams: None }
    }

    fn begin(&self) -> SocketResult<()> {
        match self.started {
            Some(_) => Err(ErrorCode::ConcurrencyConflict.into()),
            None => Ok(()),
        }
    }

    fn finish(&mut self, expected: Started) -> SocketResult<()> {
        if self.started != Some(expected) {
            return Err(ErrorCode::NotInProgress.into());
        }
        self.started = None;
        Ok(())
    }

    fn open_streams(&mut self) -> SocketResult<(DynInputStream, DynOutputStream)> {
        let (reader, writer) = self.socket.take_streams().map_err(fail)?;
        let (reader, writer) = (Reader::new(reader), Writer::new(writer));
        self.streams = Some((reader.clone(), writer.clone()));
        Ok((Box::new(reader), Box::new(writer)))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Tcp {
    async fn ready(&mut self) {
        match (self.started, &self.listener) {
            // The outcome stays with the socket, for `finish_connect`.
            (Some(Started::Connect), _) => drop(poll_fn(|cx| self.socket.poll_connect(cx)).await),
            (None, Some(listener)) => poll_fn(|cx| listener.poll_acceptable(cx)).await,
            _ => {}
        }
    }
}

impl SocketsView<'_> {
    fn tcp(&mut self, handle: &Handle) -> SocketResult<&mut Tcp> {
        Ok(self.table.get_mut(&ours::<_, Tcp>(handle))?)
    }

    fn set_tcp(&mut self, handle: &Handle, change: impl FnOnce(&mut TcpOptions)) -> SocketResult<()> {
        let socket = &mut self.tcp(handle)?.socket;
        let mut options = socket.options();
        change(&mut options);
        socket.set_options(options).map_err(fail)
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, wanted: IpAddressFamily) -> SocketResult<Handle> {
        let socket = TcpSocket::new(self.net.clone(), family(wanted));
        Ok(ours(&self.table.push(Tcp::new(socket))?))
    }
}

impl tcp::Host for SocketsView<'_> {}

impl HostTcpSocket for SocketsView<'_> {
    async fn start_bind(&mut self, handle: Handle, _: Resource<Network>, address: IpSocketAddress) -> SocketResult<()> {
        let tcp = self.tcp(&handle)?;
        tcp.begin()?;
        tcp.socket.bind(address.into()).map_err(fail)?;
        tcp.started = Some(Started::Bind);
        Ok(())
    }

    fn finish_bind(&mut self, handle: Handle) -> SocketResult<()> {
        self.tcp(&handle)?.finish(Started::Bind)
    }

    fn start_connect(&mut self, handle: Handle, _: Resource<Network>, address: IpSocketAddress) -> SocketResult<()> {
        let tcp = self.tcp(&handle)?;
        tcp.begin()?;
        tcp.socket.start_connect(address.into()).map_err(fail)?;
        tcp.started = Some(Started::Connect);
        Ok(())
    }

    fn finish_connect(&mut self, handle: Handle) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let tcp = self.tcp(&handle)?;
        if tcp.started != Some(Started::Connect) {
            return Err(ErrorCode::NotInProgress.into());
        }
        let Poll::Ready(connected) = tcp.socket.poll_connect(&mut at_once()) else { return Err(ErrorCode::WouldBlock.into()) };
        tcp.started = None;
        connected.map_err(fail)?;
        let (input, output) = tcp.open_streams()?;
        let parent = ours::<_, Tcp>(&handle);
        Ok((self.table.push_child(input, &parent)?, self.table.push_child(output, &parent)?))
    }

    async fn start_listen(&mut self, handle: Handle) -> SocketResult<()> {
        let tcp = self.tcp(&handle)?;
        tcp.begin()?;
        if !tcp.socket.is_bound() {
            // 0.2, other than 0.3, binds nothing by itself.
            return Err(ErrorCode::InvalidState.into());
        }
        tcp.listener = Some(tcp.socket.listen().map_err(fail)?);
        tcp.started = Some(Started::Listen);
        Ok(())
    }

    fn finish_listen(&mut self, handle: Handle) -> SocketResult<()> {
        self.tcp(&handle)?.finish(Started::Listen)
    }

    fn accept(&mut self, handle: Handle) -> SocketResult<(Handle, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let accepted = self.tcp(&handle)?.socket.try_accept().map_err(fail)?;
        let mut tcp = Tcp::new(accepted.ok_or(ErrorCode::WouldBlock)?);
        let (input, output) = tcp.open_streams()?;
        let parent = self.table.push(tcp)?;
        let input = self.table.push_child(input, &parent)?;
        let output = self.table.push_child(output, &parent)?;
        Ok((ours(&parent), input, output))
    }

    fn local_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&handle)?.socket.local_address().map_err(fail)?.into())
    }

    fn remote_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&handle)?.socket.remote_address().map_err(fail)?.into())
    }

    fn is_listening(&mut self, handle: Handle) -> wasmtime::Result<bool> {
        Ok(self.table.get(&ours::<_, Tcp>(&handle))?.socket.is_listening())
    }

    fn address_family(&mut self, handle: Handle) -> wasmtime::Result<IpAddressFamily> {
        Ok(wasi_family(self.table.get(&ours::<_, Tcp>(&handle))?.socket.family()))
    }

    fn set_listen_backlog_size(&mut self, handle: Handle, connections: u64) -> SocketResult<()> {
        self.tcp(&handle)?.socket.set_backlog(connections).map_err(fail)
    }

    fn keep_alive_enabled(&mut self, handle: Handle) -> SocketResult<bool> {
        Ok(self.tcp(&handle)?.socket.options().keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, handle: Handle, enabled: bool) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.keep_alive = enabled)
    }

    fn keep_alive_idle_time(&mut self, handle: Handle) -> SocketResult<Duration> {
        Ok(self.tcp(&handle)?.socket.options().keep_alive_idle_ns)
    }

    fn set_keep_alive_idle_time(&mut self, handle: Handle, ns: Duration) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.keep_alive_idle_ns = ns)
    }

    fn keep_alive_interval(&mut self, handle: Handle) -> SocketResult<Duration> {
        Ok(self.tcp(&handle)?.socket.options().keep_alive_interval_ns)
    }

    fn set_keep_alive_interval(&mut self, handle: Handle, ns: Duration) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.keep_alive_interval_ns = ns)
    }

    fn keep_alive_count(&mut self, handle: Handle) -> SocketResult<u32> {
        Ok(self.tcp(&handle)?.socket.options().keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, handle: Handle, count: u32) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.keep_alive_count = count)
    }

    fn hop_limit(&mut self, handle: Handle) -> SocketResult<u8> {
        Ok(self.tcp(&handle)?.socket.options().hop_limit)
    }

    fn set_hop_limit(&mut self, handle: Handle, hops: u8) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.hop_limit = hops)
    }

    fn receive_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.tcp(&handle)?.socket.options().receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.receive_buffer_bytes = bytes)
    }

    fn send_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.tcp(&handle)?.socket.options().send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_tcp(&handle, |options| options.send_buffer_bytes = bytes)
    }

    fn subscribe(&mut self, handle: Handle) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours::<_, Tcp>(&handle))
    }

    fn shutdown(&mut self, handle: Handle, how: ShutdownType) -> SocketResult<()> {
        let Some((reader, writer)) = &self.tcp(&handle)?.streams else { return Err(ErrorCode::InvalidState.into()) };
        if !matches!(how, ShutdownType::Send) {
            reader.close();
        }
        if !matches!(how, ShutdownType::Receive) {
            writer.close();
        }
        Ok(())
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, Tcp>(&handle))?;
        Ok(())
    }
}
