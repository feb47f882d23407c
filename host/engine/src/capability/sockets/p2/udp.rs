//! Datagram sockets with 0.2's pair of streams, which share the socket of minicloud-net.
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_net::{UdpOptions, UdpSocket};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    self, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram, IncomingDatagramStream,
    OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};

use super::super::{SocketsView, ours};
use super::{fail, family, wasi_family};

/// Datagrams per call.
const DATAGRAMS_MAX: usize = 16;
/// Bytes of the datagrams of one `receive`.
const RECEIVE_BYTES_MAX: usize = 64 << 10;

type Handle = Resource<udp::UdpSocket>;

#[derive(Clone)]
struct Shared(Arc<Mutex<UdpSocket>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, UdpSocket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Udp {
    socket: Shared,
    bind_started: bool,
}

struct Incoming(Shared);

struct Outgoing {
    socket: Shared,
    permitted: usize,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Udp {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.lock().poll_receivable(cx)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {}
}

impl SocketsView<'_> {
    fn udp(&mut self, handle: &Handle) -> SocketResult<&mut Udp> {
        Ok(self.table.get_mut(&ours::<_, Udp>(handle))?)
    }

    fn set_udp(&mut self, handle: &Handle, change: impl FnOnce(&mut UdpOptions)) -> SocketResult<()> {
        let mut socket = self.udp(handle)?.socket.lock();
        let mut options = socket.options();
        change(&mut options);
        socket.set_options(options).map_err(fail)
    }

    fn has_streams(&self, handle: &Handle) -> SocketResult<bool> {
        let mut children = self.table.iter_children(&ours::<_, Udp>(handle))?;
        Ok(children.any(|child| child.is::<Incoming>() || child.is::<Outgoing>()))
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    async fn create_udp_socket(&mut self, wanted: IpAddressFamily) -> SocketResult<Handle> {
        let socket = UdpSocket::new(self.net.clone(), family(wanted));
        let socket = Shared(Arc::new(Mutex::new(socket)));
        Ok(ours(&self.table.push(Udp { socket, bind_started: false })?))
    }
}

impl udp::Host for SocketsView<'_> {}

impl HostUdpSocket for SocketsView<'_> {
    async fn start_bind(&mut self, handle: Handle, _: Resource<Network>, address: IpSocketAddress) -> SocketResult<()> {
        let udp = self.udp(&handle)?;
        if udp.bind_started {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        udp.socket.lock().bind(address.into()).map_err(fail)?;
        udp.bind_started = true;
        Ok(())
    }

    fn finish_bind(&mut self, handle: Handle) -> SocketResult<()> {
        match std::mem::take(&mut self.udp(&handle)?.bind_started) {
            true => Ok(()),
            false => Err(ErrorCode::NotInProgress.into()),
        }
    }

    async fn stream(
        &mut self,
        handle: Handle,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)> {
        if self.has_streams(&handle)? {
            return Err(SocketError::trap(wasmtime::Error::msg("the former datagram streams are still open")));
        }
        let shared = self.udp(&handle)?.socket.clone();
        {
            let mut socket = shared.lock();
            socket.local_address().map_err(fail)?;
            match remote {
                Some(remote) => socket.connect(remote.into()).map_err(fail)?,
                // That it was not connected is as good.
                None => drop(socket.disconnect()),
            }
        }
        let parent = ours::<_, Udp>(&handle);
        let incoming = self.table.push_child(Incoming(shared.clone()), &parent)?;
        let outgoing = self.table.push_child(Outgoing { socket: shared, permitted: 0 }, &parent)?;
        Ok((ours(&incoming), ours(&outgoing)))
    }

    fn local_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.udp(&handle)?.socket.lock().local_address().map_err(fail)?.into())
    }

    fn remote_address(&mut self, handle: Handle) -> SocketResult<IpSocketAddress> {
        Ok(self.udp(&handle)?.socket.lock().remote_address().map_err(fail)?.into())
    }

    fn address_family(&mut self, handle: Handle) -> wasmtime::Result<IpAddressFamily> {
        Ok(wasi_family(self.table.get(&ours::<_, Udp>(&handle))?.socket.lock().family()))
    }

    fn unicast_hop_limit(&mut self, handle: Handle) -> SocketResult<u8> {
        Ok(self.udp(&handle)?.socket.lock().options().hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, handle: Handle, hops: u8) -> SocketResult<()> {
        self.set_udp(&handle, |options| options.hop_limit = hops)
    }

    fn receive_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.udp(&handle)?.socket.lock().options().receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_udp(&handle, |options| options.receive_buffer_bytes = bytes)
    }

    fn send_buffer_size(&mut self, handle: Handle) -> SocketResult<u64> {
        Ok(self.udp(&handle)?.socket.lock().options().send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, handle: Handle, bytes: u64) -> SocketResult<()> {
        self.set_udp(&handle, |options| options.send_buffer_bytes = bytes)
    }

    fn subscribe(&mut self, handle: Handle) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours::<_, Udp>(&handle))
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, Udp>(&handle))?;
        Ok(())
    }
}

impl HostIncomingDatagramStream for SocketsView<'_> {
    fn receive(&mut self, stream: Resource<IncomingDatagramStream>, max_results: u64) -> SocketResult<Vec<IncomingDatagram>> {
        let socket = self.table.get(&ours::<_, Incoming>(&stream))?.0.lock();
        let wanted = usize::try_from(max_results).unwrap_or(usize::MAX).min(DATAGRAMS_MAX);
        let (mut datagrams, mut bytes) = (Vec::new(), 0);
        while datagrams.len() < wanted && bytes < RECEIVE_BYTES_MAX {
            match socket.try_receive() {
                Ok(Some(datagram)) => {
                    bytes += datagram.payload.len();
                    datagrams.push(IncomingDatagram { data: datagram.payload.into(), remote_address: datagram.source.into() });
                }
                Ok(None) => break,
                Err(_) if !datagrams.is_empty() => break,
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(datagrams)
    }

    fn subscribe(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours::<_, Incoming>(&stream))
    }

    fn drop(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, Incoming>(&stream))?;
        Ok(())
    }
}

impl HostOutgoingDatagramStream for SocketsView<'_> {
    /// Sending never waits: what finds no room on its way is dropped, as UDP may.
    fn check_send(&mut self, stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        self.table.get_mut(&ours::<_, Outgoing>(&stream))?.permitted = DATAGRAMS_MAX;
        Ok(DATAGRAMS_MAX as u64)
    }

    fn send(&mut self, stream: Resource<OutgoingDatagramStream>, datagrams: Vec<OutgoingDatagram>) -> SocketResult<u64> {
        let outgoing = self.table.get_mut(&ours::<_, Outgoing>(&stream))?;
        if datagrams.len() > std::mem::take(&mut outgoing.permitted) {
            return Err(SocketError::trap(wasmtime::Error::msg("send exceeds what check-send permitted")));
        }
        let mut socket = outgoing.socket.lock();
        let mut sent = 0;
        for datagram in datagrams {
            match socket.send(datagram.data.into(), datagram.remote_address.map(Into::into)) {
                Ok(()) => sent += 1,
                Err(_) if sent > 0 => break,
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours::<_, Outgoing>(&stream))
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(ours::<_, Outgoing>(&stream))?;
        Ok(())
    }
}
