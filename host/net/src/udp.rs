//! The datagram socket that guests see: WASI's states over [`TaskNet`], polled, for both versions of wasi:sockets.
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::datagram::{Datagram, UdpSocketHandle};
use crate::error::NetError;
use crate::family::{Family, may_be_remote};
use crate::limits;
use crate::task_net::TaskNet;

/// Options of a datagram socket, only remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    pub hop_limit: u8,
    pub receive_buffer_bytes: u64,
    pub send_buffer_bytes: u64,
}

impl Default for UdpOptions {
    fn default() -> Self {
        let bytes = limits::DATAGRAM_BYTES_QUEUED_MAX as u64;
        UdpOptions { hop_limit: 64, receive_buffer_bytes: bytes, send_buffer_bytes: bytes }
    }
}

/// A datagram socket of a guest.
#[derive(Debug)]
pub struct UdpSocket {
    net: TaskNet,
    family: Family,
    options: UdpOptions,
    bound: Option<Arc<UdpSocketHandle>>,
    remote: Option<SocketAddr>,
}

impl UdpSocket {
    pub fn new(net: TaskNet, family: Family) -> Self {
        UdpSocket { net, family, options: UdpOptions::default(), bound: None, remote: None }
    }

    /// Reserves an address of the task; port 0 chooses one.
    pub fn bind(&mut self, address: SocketAddr) -> Result<(), NetError> {
        if self.bound.is_some() {
            return Err(NetError::InvalidState);
        }
        if !self.family.accepts(address.ip()) {
            return Err(NetError::InvalidArgument);
        }
        self.bound = Some(Arc::new(self.net.bind_udp(address)?));
        Ok(())
    }

    /// Talks to one peer from now on, and hears no other.
    pub fn connect(&mut self, remote: SocketAddr) -> Result<(), NetError> {
        self.check_remote(remote)?;
        self.ensure_bound()?;
        self.remote = Some(remote);
        Ok(())
    }

    pub fn disconnect(&mut self) -> Result<(), NetError> {
        self.remote.take().map(|_| ()).ok_or(NetError::InvalidState)
    }

    /// Sends to `to`, or to the peer of a connected socket; binds to a chosen port first where that was not done.
    pub fn send(&mut self, payload: Bytes, to: Option<SocketAddr>) -> Result<(), NetError> {
        let to = match (to, self.remote) {
            (Some(to), Some(remote)) if to != remote => return Err(NetError::InvalidArgument),
            (Some(to), _) | (None, Some(to)) => to,
            (None, None) => return Err(NetError::InvalidArgument),
        };
        self.check_remote(to)?;
        if payload.len() > limits::DATAGRAM_BYTES_MAX {
            return Err(NetError::DatagramTooLarge);
        }
        self.ensure_bound()?.send_to(payload, to)
    }

    /// Ready once [`Self::poll_receive`] might not wait.
    pub fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.bound.as_ref().map_or(Poll::Ready(()), |bound| bound.poll_receivable(cx))
    }

    /// The oldest datagram, on a connected socket only from its peer.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, NetError>> {
        let bound = self.bound.as_ref().ok_or(NetError::InvalidState)?;
        loop {
            let datagram = ready!(bound.poll_receive(cx))?;
            if self.hears(&datagram) {
                return Poll::Ready(Ok(datagram));
            }
        }
    }

    /// As [`Self::poll_receive`], but `None` instead of waiting.
    pub fn try_receive(&self) -> Result<Option<Datagram>, NetError> {
        let bound = self.bound.as_ref().ok_or(NetError::InvalidState)?;
        while let Some(datagram) = bound.try_receive()? {
            if self.hears(&datagram) {
                return Ok(Some(datagram));
            }
        }
        Ok(None)
    }

    fn hears(&self, datagram: &Datagram) -> bool {
        self.remote.is_none_or(|remote| remote == datagram.source)
    }

    fn check_remote(&self, remote: SocketAddr) -> Result<(), NetError> {
        // What this socket was shown as a sender it may answer, IPv4 in the clothes of IPv6 included.
        let fits = self.family.accepts(remote.ip()) || (self.family == Family::V6 && remote.ip().to_canonical().is_ipv4());
        if fits && may_be_remote(remote) { Ok(()) } else { Err(NetError::InvalidArgument) }
    }

    fn ensure_bound(&mut self) -> Result<&Arc<UdpSocketHandle>, NetError> {
        if self.bound.is_none() {
            let address = SocketAddr::new(self.family.unspecified(), 0);
            self.bound = Some(Arc::new(self.net.bind_udp(address)?));
        }
        self.bound.as_ref().ok_or(NetError::InvalidState)
    }

    /// The bound socket, for those who send or receive apart from this one.
    pub fn handle(&self) -> Option<Arc<UdpSocketHandle>> {
        self.bound.clone()
    }

    pub fn local_address(&self) -> Result<SocketAddr, NetError> {
        self.bound.as_ref().map(|bound| bound.local_address()).ok_or(NetError::InvalidState)
    }

    pub fn remote_address(&self) -> Result<SocketAddr, NetError> {
        self.remote.ok_or(NetError::InvalidState)
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn options(&self) -> UdpOptions {
        self.options
    }

    /// Remembers options; [`NetError::InvalidArgument`] when one is 0.
    pub fn set_options(&mut self, options: UdpOptions) -> Result<(), NetError> {
        if options.hop_limit == 0 || options.receive_buffer_bytes == 0 || options.send_buffer_bytes == 0 {
            return Err(NetError::InvalidArgument);
        }
        self.options = options;
        Ok(())
    }
}
