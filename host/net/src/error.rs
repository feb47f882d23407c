//! What can go wrong on the virtual network, in the terms of the socket calls that report it.
//!
//! `engine` maps these to the error codes of WASI, `node` to its own errors and to QUIC reset codes.
use std::io;

/// Why an operation on the virtual network failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NetError {
    /// Nobody listens there, or every backend refused.
    #[error("connection refused: nothing accepts connections at this address")]
    Refused,
    #[error("timed out: the other end did not answer")]
    TimedOut,
    /// No such address, or no network shared with it.
    #[error("unreachable: no network of this task leads to this address")]
    Unreachable,
    /// The other end gave the connection up.
    #[error("connection reset by the other end")]
    Reset,
    /// This end gave it up: its task was stopped.
    #[error("aborted: the task was detached from the network")]
    Aborted,
    /// This end already closed its sending side.
    #[error("broken: this end is closed for sending")]
    Broken,
    #[error("address in use: another socket of this task is bound to it")]
    AddressInUse,
    #[error("address not bindable: it is no address of this task")]
    AddressNotBindable,
    #[error("the socket is in the wrong state for this call")]
    InvalidState,
    #[error("invalid argument: the address or size does not fit this call")]
    InvalidArgument,
    #[error("name not found on any network of this task")]
    NameNotFound,
    #[error("the socket is not connected")]
    NotConnected,
    #[error("no room for this much now: wait until writable")]
    WouldBlock,
    #[error("datagram too large: at most {max} bytes", max = crate::limits::DATAGRAM_BYTES_MAX)]
    DatagramTooLarge,
    #[error("too many sockets or connections in this task: close some first")]
    TooManySockets,
}

impl From<NetError> for io::Error {
    fn from(error: NetError) -> Self {
        let kind = match error {
            NetError::Refused => io::ErrorKind::ConnectionRefused,
            NetError::TimedOut => io::ErrorKind::TimedOut,
            NetError::Unreachable => io::ErrorKind::HostUnreachable,
            NetError::Reset => io::ErrorKind::ConnectionReset,
            NetError::Aborted => io::ErrorKind::ConnectionAborted,
            NetError::Broken => io::ErrorKind::BrokenPipe,
            NetError::AddressInUse => io::ErrorKind::AddrInUse,
            NetError::AddressNotBindable => io::ErrorKind::AddrNotAvailable,
            NetError::InvalidState | NetError::InvalidArgument | NetError::DatagramTooLarge => io::ErrorKind::InvalidInput,
            NetError::NameNotFound => io::ErrorKind::NotFound,
            NetError::NotConnected => io::ErrorKind::NotConnected,
            NetError::WouldBlock => io::ErrorKind::WouldBlock,
            NetError::TooManySockets => io::ErrorKind::QuotaExceeded,
        };
        io::Error::new(kind, error)
    }
}
