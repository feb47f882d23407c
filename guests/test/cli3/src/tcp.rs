//! TCP: an echo server, and clients that check it.

use crate::run::{Outcome, lookup, show};
use futures::future::{join, try_join_all};
use guest_common::log;
use wasip3::sockets::types::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::wit_bindgen::{StreamReader, StreamResult};
use wasip3::{spawn_local, wit_stream};

const READ_BYTES: usize = 64 * 1024;

/// Serves any number of clients at once, for ever.
pub async fn echo_server(port: u16) -> Outcome {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(at((0, 0, 0, 0), port))?;
    let mut connections = socket.listen()?;
    log::line(format_args!("listening on {}", socket.get_local_address().map(text)?));
    while let Some(connection) = connections.next().await {
        spawn_local(async move {
            match echo(connection).await {
                Ok(bytes) => log::line(format_args!("echoed {bytes} bytes")),
                Err(code) => log::line(format_args!("connection broke: {code:?}")),
            }
        });
    }
    Err("the listener has ended".into())
}

async fn echo(connection: TcpSocket) -> Result<usize, ErrorCode> {
    log::line(format_args!("accepted {}", connection.get_remote_address().map(text)?));
    let (mut reader, received) = connection.receive();
    let (mut writer, outgoing) = wit_stream::new();
    let sent = connection.send(outgoing);
    let mut total = 0;
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let (result, piece) = reader.read(buffer).await;
        total += piece.len();
        buffer = writer.write_all(piece).await;
        if !buffer.is_empty() || result == StreamResult::Dropped {
            break;
        }
    }
    drop(writer);
    sent.await?;
    received.await?;
    Ok(total)
}

/// So many clients at once, each sending and checking so many bytes. Each says that it sends no
/// more while bytes are still coming back.
pub async fn echo_clients(host: &str, port: u16, bytes: usize, count: usize) -> Outcome {
    try_join_all((0..count).map(|_| echo_client(host, port, bytes))).await?;
    log::line(format_args!("echo ok {bytes}"));
    Ok(())
}

async fn echo_client(host: &str, port: u16, bytes: usize) -> Outcome {
    let socket = connect(host, port).await?;
    let (reader, received) = socket.receive();
    let (mut writer, outgoing) = wit_stream::new();
    let sent = socket.send(outgoing);
    let data = move |from: usize, to: usize| (from..to).map(|at| (at % 251) as u8);
    let write = async move {
        for from in (0..bytes).step_by(READ_BYTES) {
            let piece = data(from, bytes.min(from + READ_BYTES)).collect();
            if !writer.write_all(piece).await.is_empty() {
                break;
            }
        }
        drop(writer);
        sent.await
    };
    let (sent, back) = join(write, check(reader)).await;
    sent?;
    received.await?;
    if back? == bytes { Ok(()) } else { Err("not all bytes came back".into()) }
}

/// Counts the bytes that come, if they are the right ones.
async fn check(mut reader: StreamReader<u8>) -> Result<usize, &'static str> {
    let mut total = 0;
    loop {
        let (result, piece) = reader.read(Vec::with_capacity(READ_BYTES)).await;
        if piece.iter().zip(total..).any(|(byte, at)| *byte != (at % 251) as u8) {
            return Err("other bytes came back");
        }
        total += piece.len();
        if result == StreamResult::Dropped {
            return Ok(total);
        }
    }
}

/// Tells how a connection attempt ends.
pub async fn try_connect(host: &str, port: u16) -> Outcome {
    match connect(host, port).await {
        Ok(socket) => {
            let remote = socket.get_remote_address().map(text)?;
            log::line(format_args!("connected to {remote}"));
        }
        Err(error) => log::line(format_args!("connect: {error}")),
    }
    Ok(())
}

async fn connect(host: &str, port: u16) -> Result<TcpSocket, Box<dyn std::error::Error>> {
    let addresses = lookup(host).await?;
    let address = addresses.into_iter().find_map(|address| match address {
        IpAddress::Ipv4(address) => Some(address),
        IpAddress::Ipv6(_) => None,
    });
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    let outcome = socket.connect(at(address.ok_or("no address")?, port)).await;
    outcome.map_err(|code| match code {
        ErrorCode::ConnectionRefused => "refused".to_owned(),
        ErrorCode::ConnectionReset => "reset".to_owned(),
        ErrorCode::RemoteUnreachable => "unreachable".to_owned(),
        ErrorCode::Timeout => "timed out".to_owned(),
        ErrorCode::AccessDenied => "denied".to_owned(),
        code => format!("{code:?}"),
    })?;
    Ok(socket)
}

pub fn at(address: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

pub fn text(address: IpSocketAddress) -> String {
    match address {
        IpSocketAddress::Ipv4(address) => format!("{}:{}", show(IpAddress::Ipv4(address.address)), address.port),
        IpSocketAddress::Ipv6(address) => format!("[{}]:{}", show(IpAddress::Ipv6(address.address)), address.port),
    }
}
