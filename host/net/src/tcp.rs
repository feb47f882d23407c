//! The stream socket that guests see: WASI's states over [`TaskNet`], polled, for both versions of wasi:sockets.
//!
//! There is no TCP underneath, so most options are only remembered. `engine` adapts this to WASI's resources.
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::connection::Connection;
use crate::error::NetError;
use crate::family::{Family, is_unicast, may_be_remote};
use crate::limits;
use crate::listener::Listener;
use crate::pipe::{PipeReader, PipeWriter};
use crate::ports::Reservation;
use crate::task_net::TaskNet;

/// Options of a stream socket; accepted sockets inherit them. Setting one to 0 is refused by [`TcpSocket::set_options`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    pub keep_alive: bool,
    pub keep_alive_idle_ns: u64,
    pub keep_alive_interval_ns: u64,
    pub keep_alive_count: u32,
    pub hop_limit: u8,
    pub receive_buffer_bytes: u64,
    pub send_buffer_bytes: u64,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            keep_alive: false,
            keep_alive_idle_ns: 7_200_000_000_000,
            keep_alive_interval_ns: 75_000_000_000,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer_bytes: limits::PIPE_BYTES_DEFAULT as u64,
            send_buffer_bytes: limits::PIPE_BYTES_DEFAULT as u64,
        }
    }
}

impl TcpOptions {
    fn is_valid(&self) -> bool {
        let times = self.keep_alive_idle_ns > 0 && self.keep_alive_interval_ns > 0 && self.keep_alive_count > 0;
        times && self.hop_limit > 0 && self.receive_buffer_bytes > 0 && self.send_buffer_bytes > 0
    }
}

/// A stream socket of a guest.
#[derive(Debug)]
pub struct TcpSocket {
    net: TaskNet,
    family: Family,
    options: TcpOptions,
    backlog: usize,
    state: State,
}

enum State {
    Unbound,
    Bound(Reservation),
    Listening(Arc<Listener>),
    Connecting { future: Connecting, bound: Option<Reservation> },
    Connected(Connected),
    Closed(NetError),
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;

struct Connected {
    reader: Option<PipeReader>,
    writer: Option<PipeWriter>,
    local: SocketAddr,
    remote: SocketAddr,
    /// Kept, so that nobody else binds the port that this connection was made from.
    _bound: Option<Reservation>,
}

impl Connected {
    fn new(connection: Connection, bound: Option<Reservation>) -> Self {
        let Connection { reader, writer, local, remote } = connection;
        Connected { reader: Some(reader), writer: Some(writer), local, remote, _bound: bound }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            State::Unbound => f.write_str("unbound"),
            State::Bound(reservation) => write!(f, "bound to {}", reservation.address()),
            State::Listening(listener) => write!(f, "listening at {}", listener.local_address()),
            State::Connecting { .. } => f.write_str("connecting"),
            State::Connected(connected) => write!(f, "connected from {} to {}", connected.local, connected.remote),
            State::Closed(error) => write!(f, "closed: {error}"),
        }
    }
}

impl TcpSocket {
    pub fn new(net: TaskNet, family: Family) -> Self {
        TcpSocket { net, family, options: TcpOptions::default(), backlog: limits::BACKLOG_DEFAULT, state: State::Unbound }
    }

    /// A socket around a connection that a listener of this socket's task accepted.
    pub fn connected(net: TaskNet, family: Family, options: TcpOptions, connection: Connection) -> Self {
        let state = State::Connected(Connected::new(connection, None));
        TcpSocket { net, family, options, backlog: limits::BACKLOG_DEFAULT, state }
    }

    /// Reserves an address of the task; port 0 chooses one.
    pub fn bind(&mut self, address: SocketAddr) -> Result<(), NetError> {
        if !matches!(self.state, State::Unbound) {
            return Err(NetError::InvalidState);
        }
        if !self.family.accepts(address.ip()) || !is_unicast(address.ip()) {
            return Err(NetError::InvalidArgument);
        }
        self.state = State::Bound(self.net.reserve(address)?);
        Ok(())
    }

    /// Begins to connect; [`Self::poll_connect`] drives it and tells the outcome.
    pub fn start_connect(&mut self, remote: SocketAddr) -> Result<(), NetError> {
        if !matches!(self.state, State::Unbound | State::Bound(_)) {
            return Err(NetError::InvalidState);
        }
        if !self.family.accepts(remote.ip()) || !is_unicast(remote.ip()) || !may_be_remote(remote) {
            return Err(NetError::InvalidArgument);
        }
        let bound = match std::mem::replace(&mut self.state, State::Unbound) {
            State::Bound(reservation) => Some(reservation),
            _ => None,
        };
        let future = Box::pin(self.net.connect(bound.as_ref().map(Reservation::address), remote));
        self.state = State::Connecting { future, bound };
        Ok(())
    }

    /// Ready once the attempt that [`Self::start_connect`] began has ended; a failure closes the socket for good.
    pub fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let (result, bound) = match &mut self.state {
            State::Connecting { future, bound } => (ready!(future.as_mut().poll(cx)), bound.take()),
            State::Connected(_) => return Poll::Ready(Ok(())),
            State::Closed(error) => return Poll::Ready(Err(*error)),
            State::Unbound | State::Bound(_) | State::Listening(_) => return Poll::Ready(Err(NetError::InvalidState)),
        };
        let error = result.as_ref().err().copied();
        self.state = match result {
            Ok(connection) => State::Connected(Connected::new(connection, bound)),
            Err(error) => State::Closed(error),
        };
        Poll::Ready(error.map_or(Ok(()), Err))
    }

    /// Listens at the bound address, or at every address and a chosen port. The listener lives on without the socket.
    pub fn listen(&mut self) -> Result<Arc<Listener>, NetError> {
        let reservation = match std::mem::replace(&mut self.state, State::Unbound) {
            State::Bound(reservation) => reservation,
            State::Unbound => self.net.reserve(SocketAddr::new(self.family.unspecified(), 0))?,
            other => {
                self.state = other;
                return Err(NetError::InvalidState);
            }
        };
        let listener = Arc::new(self.net.listen_on(reservation, self.backlog)?);
        self.state = State::Listening(listener.clone());
        Ok(listener)
    }

    /// The next connection of a listening socket, as a socket with the same options.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<TcpSocket, NetError>> {
        let State::Listening(listener) = &self.state else { return Poll::Ready(Err(NetError::InvalidState)) };
        let connection = ready!(listener.poll_accept(cx))?;
        Poll::Ready(Ok(TcpSocket::connected(self.net.clone(), self.family, self.options, connection)))
    }

    /// As [`Self::poll_accept`], but `None` instead of waiting.
    pub fn try_accept(&self) -> Result<Option<TcpSocket>, NetError> {
        let State::Listening(listener) = &self.state else { return Err(NetError::InvalidState) };
        let connection = listener.try_accept()?;
        Ok(connection.map(|connection| TcpSocket::connected(self.net.clone(), self.family, self.options, connection)))
    }

    /// Both halves of a connected socket, once.
    pub fn take_streams(&mut self) -> Result<(PipeReader, PipeWriter), NetError> {
        let connected = self.connected_mut()?;
        if connected.reader.is_none() || connected.writer.is_none() {
            return Err(NetError::InvalidState);
        }
        Ok((self.take_reader()?, self.take_writer()?))
    }

    /// The receiving half of a connected socket, once.
    pub fn take_reader(&mut self) -> Result<PipeReader, NetError> {
        self.connected_mut()?.reader.take().ok_or(NetError::InvalidState)
    }

    /// The sending half of a connected socket, once.
    pub fn take_writer(&mut self) -> Result<PipeWriter, NetError> {
        self.connected_mut()?.writer.take().ok_or(NetError::InvalidState)
    }

    fn connected_mut(&mut self) -> Result<&mut Connected, NetError> {
        match &mut self.state {
            State::Connected(connected) => Ok(connected),
            State::Closed(error) => Err(*error),
            _ => Err(NetError::InvalidState),
        }
    }

    pub fn local_address(&self) -> Result<SocketAddr, NetError> {
        match &self.state {
            State::Bound(reservation) => Ok(reservation.address()),
            State::Listening(listener) => Ok(listener.local_address()),
            State::Connected(connected) => Ok(self.family.show(connected.local)),
            State::Closed(error) => Err(*error),
            State::Unbound | State::Connecting { .. } => Err(NetError::InvalidState),
        }
    }

    pub fn remote_address(&self) -> Result<SocketAddr, NetError> {
        match &self.state {
            State::Connected(connected) => Ok(self.family.show(connected.remote)),
            State::Closed(error) => Err(*error),
            _ => Err(NetError::InvalidState),
        }
    }

    pub fn net(&self) -> &TaskNet {
        &self.net
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn is_bound(&self) -> bool {
        !matches!(self.state, State::Unbound)
    }

    pub fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    pub fn options(&self) -> TcpOptions {
        self.options
    }

    /// Remembers options; [`NetError::InvalidArgument`] when one that must not be is 0.
    pub fn set_options(&mut self, options: TcpOptions) -> Result<(), NetError> {
        if !options.is_valid() {
            return Err(NetError::InvalidArgument);
        }
        self.options = options;
        Ok(())
    }

    /// How many connections may wait to be accepted; clamped to [`limits::BACKLOG_MAX`].
    pub fn set_backlog(&mut self, backlog: u64) -> Result<(), NetError> {
        let clamped = usize::try_from(backlog).unwrap_or(usize::MAX).min(limits::BACKLOG_MAX);
        match &self.state {
            _ if clamped == 0 => return Err(NetError::InvalidArgument),
            State::Unbound | State::Bound(_) => {}
            State::Listening(listener) => listener.set_backlog(clamped),
            State::Closed(error) => return Err(*error),
            State::Connecting { .. } | State::Connected(_) => return Err(NetError::InvalidState),
        }
        self.backlog = clamped;
        Ok(())
    }
}
