//! A TCP connection to a name, with a bound on every wait.

use crate::clock::{self, Elapsed};
use std::fmt;
use std::time::Duration;
use wasip3::sockets::ip_name_lookup::{self, resolve_addresses};
use wasip3::sockets::types::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};
use wasip3::wit_stream;

/// Bytes asked for in one read.
const READ_BYTES: usize = 16 * 1024;

/// An open connection; dropping it closes both directions.
pub struct Connection {
    writer: StreamWriter<u8>,
    reader: StreamReader<u8>,
    _sent: FutureReader<Result<(), ErrorCode>>,
    _received: FutureReader<Result<(), ErrorCode>>,
    _socket: TcpSocket,
    bound: Duration,
}

/// What can go wrong on a connection.
#[derive(Debug)]
pub enum TcpError {
    Resolve(String, ip_name_lookup::ErrorCode),
    NoAddress(String),
    Connect(ErrorCode),
    Elapsed(Elapsed),
    Closed,
}

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(name, code) => write!(f, "cannot resolve {name}: {code:?}"),
            Self::NoAddress(name) => write!(f, "no address for {name}"),
            Self::Connect(code) => write!(f, "cannot connect: {code:?}"),
            Self::Elapsed(elapsed) => elapsed.fmt(f),
            Self::Closed => f.write_str("connection closed by peer"),
        }
    }
}

impl std::error::Error for TcpError {}

impl From<Elapsed> for TcpError {
    fn from(elapsed: Elapsed) -> Self {
        Self::Elapsed(elapsed)
    }
}

impl Connection {
    /// Connects to the first address of `name` that answers; `bound` holds for this and for every
    /// later read and write.
    pub async fn open(name: &str, port: u16, bound: Duration) -> Result<Self, TcpError> {
        let socket = clock::timeout(bound, connect(name, port)).await??;
        let (writer, outgoing) = wit_stream::new();
        let sent = socket.send(outgoing);
        let (reader, received) = socket.receive();
        Ok(Self { writer, reader, _sent: sent, _received: received, _socket: socket, bound })
    }

    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), TcpError> {
        let rest = clock::timeout(self.bound, self.writer.write_all(bytes)).await?;
        if rest.is_empty() { Ok(()) } else { Err(TcpError::Closed) }
    }

    /// Appends at least one byte to `buffer`.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<(), TcpError> {
        loop {
            let space = Vec::with_capacity(READ_BYTES);
            let (result, piece) = clock::timeout(self.bound, self.reader.read(space)).await?;
            buffer.extend_from_slice(&piece);
            match result {
                _ if !piece.is_empty() => return Ok(()),
                StreamResult::Complete(_) => {}
                StreamResult::Dropped | StreamResult::Cancelled => return Err(TcpError::Closed),
            }
        }
    }
}

async fn connect(name: &str, port: u16) -> Result<TcpSocket, TcpError> {
    let addresses = resolve_addresses(name.to_owned()).await;
    let addresses = addresses.map_err(|code| TcpError::Resolve(name.to_owned(), code))?;
    let mut outcome = Err(TcpError::NoAddress(name.to_owned()));
    for address in addresses {
        outcome = connect_to(address, port).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn connect_to(address: IpAddress, port: u16) -> Result<TcpSocket, TcpError> {
    let (family, address) = match address {
        IpAddress::Ipv4(address) => (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })),
        IpAddress::Ipv6(address) => {
            let address = Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    };
    let socket = TcpSocket::create(family).map_err(TcpError::Connect)?;
    socket.connect(address).await.map_err(TcpError::Connect)?;
    Ok(socket)
}
