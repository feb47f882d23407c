//! What it can do on the network, by `std::net`: one connection at a time.

use crate::Outcome;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

/// Bytes written before as many are read back, so that neither side's buffers have to hold more.
const CHUNK_BYTES: usize = 8 * 1024;

pub fn run(words: &[&str]) -> Outcome {
    match words {
        ["echo-server", port] => echo_server(Ipv4Addr::UNSPECIFIED, port.parse()?),
        ["echo-client", host, port, bytes] => echo_client(host, port.parse()?, bytes.parse()?),
        ["bind-loopback"] => echo_server(Ipv4Addr::LOCALHOST, 7000),
        ["bind-loopback", port] => echo_server(Ipv4Addr::LOCALHOST, port.parse()?),
        ["bind-twice", port] => bind_twice(port.parse()?),
        ["connect", host, port] => connect(host, port.parse()?),
        ["udp-server", port] => udp_server(port.parse()?),
        ["udp-client", host, port] => udp_client(host, port.parse()?),
        ["resolve", name] => resolve(name),
        _ => Err(format!("unknown arguments {words:?}").into()),
    }
}

fn echo_server(address: Ipv4Addr, port: u16) -> Outcome {
    let listener = TcpListener::bind((address, port))?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        println!("accepted {peer}");
        match echo(stream) {
            Ok(bytes) => println!("echoed {bytes} bytes"),
            Err(error) => println!("connection broke: {}", name(error.kind())),
        }
    }
}

/// Sends back what comes until the peer has sent its last byte, then closes.
fn echo(mut stream: TcpStream) -> std::io::Result<usize> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            stream.shutdown(Shutdown::Write)?;
            return Ok(total);
        }
        stream.write_all(&buffer[..count])?;
        total += count;
    }
}

/// Sends so many bytes and checks what comes back; the last piece comes back only after this side
/// has said that it sends no more.
fn echo_client(host: &str, port: u16, bytes: usize) -> Outcome {
    let mut stream = TcpStream::connect((host, port))?;
    println!("connected {} -> {}", stream.local_addr()?, stream.peer_addr()?);
    let data: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let (lockstep, last) = data.split_at(bytes.saturating_sub(CHUNK_BYTES));
    let mut back = vec![0; CHUNK_BYTES];
    for piece in lockstep.chunks(CHUNK_BYTES) {
        stream.write_all(piece)?;
        stream.read_exact(&mut back[..piece.len()])?;
        if back[..piece.len()] != *piece {
            return Err("other bytes came back".into());
        }
    }
    stream.write_all(last)?;
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    if rest != last {
        return Err(format!("after the half-close {} of {} bytes came back", rest.len(), last.len()).into());
    }
    println!("echo ok {bytes}");
    Ok(())
}

fn bind_twice(port: u16) -> Outcome {
    let _first = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Err("the port was given twice".into()),
        Err(error) => {
            println!("second bind: {}", name(error.kind()));
            Ok(())
        }
    }
}

fn connect(host: &str, port: u16) -> Outcome {
    match TcpStream::connect((host, port)) {
        Ok(stream) => println!("connected to {}", stream.peer_addr()?),
        Err(error) => println!("connect: {}", name(error.kind())),
    }
    Ok(())
}

fn udp_server(port: u16) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("udp on {}", socket.local_addr()?);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (count, peer) = socket.recv_from(&mut buffer)?;
        println!("udp {count} bytes from {peer}");
        socket.send_to(&buffer[..count], peer)?;
    }
}

fn udp_client(host: &str, port: u16) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let server = (host, port).to_socket_addrs()?.next().ok_or("no address")?;
    socket.send_to(b"ping", server)?;
    let mut buffer = [0; 16];
    let (count, peer) = socket.recv_from(&mut buffer)?;
    println!("udp {:?} from {peer}", String::from_utf8_lossy(&buffer[..count]));
    Ok(())
}

fn resolve(host: &str) -> Outcome {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => addresses.for_each(|address: SocketAddr| println!("{}", address.ip())),
        Err(error) => return Err(format!("cannot resolve {host}: {error}").into()),
    }
    Ok(())
}

/// A word that tests can rely on.
fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::ConnectionReset => "reset",
        ErrorKind::ConnectionAborted => "aborted",
        ErrorKind::AddrInUse => "address in use",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        ErrorKind::TimedOut => "timed out",
        ErrorKind::PermissionDenied => "denied",
        ErrorKind::UnexpectedEof => "end of stream",
        ErrorKind::BrokenPipe => "broken pipe",
        _ => "another error",
    }
}
