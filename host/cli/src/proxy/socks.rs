//! SOCKS version 5 (RFC 1928), the part a door needs: no authentication, and CONNECT.
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Where the client wants to go: a name stays a name, as only the network knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
}

/// What a client is told.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

/// Reads a client's greeting and request.
pub async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Target> {
    greet(stream).await?;
    if stream.read_u8().await? != VERSION {
        return Err(wrong("a request of another version"));
    }
    let command = stream.read_u8().await?;
    let _reserved = stream.read_u8().await?;
    let host = match stream.read_u8().await? {
        IPV4 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        IPV6 => Ipv6Addr::from(stream.read_u128().await?).to_string(),
        NAME => name(stream).await?,
        _ => {
            answer(stream, Reply::AddressTypeNotSupported).await?;
            return Err(wrong("an unknown kind of address"));
        }
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        answer(stream, Reply::CommandNotSupported).await?;
        return Err(wrong("a command other than CONNECT"));
    }
    Ok(Target { host, port })
}

async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    if stream.read_u8().await? != VERSION {
        return Err(wrong("a greeting of another version"));
    }
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    let method = if methods.contains(&NO_AUTHENTICATION) { NO_AUTHENTICATION } else { NO_ACCEPTABLE_METHOD };
    stream.write_all(&[VERSION, method]).await?;
    if method == NO_AUTHENTICATION { Ok(()) } else { Err(wrong("a client that insists on authentication")) }
}

async fn name(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut name = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut name).await?;
    String::from_utf8(name).map_err(|_| wrong("a name that is no text"))
}

/// Tells the client how its request went. The bound address means nothing here and is zero.
pub async fn answer(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `accept` makes of these bytes, and what the client was sent.
    fn spoken(bytes: &[u8]) -> (io::Result<Target>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, mut server) = tokio::io::duplex(4096);
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let target = accept(&mut server).await;
            drop(server);
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            (target, answer)
        })
    }

    #[test]
    fn a_name_is_kept() {
        let (target, answer) = spoken(b"\x05\x02\x00\x02\x05\x01\x00\x03\x03rng\x00\x50");
        assert_eq!(target.unwrap(), Target { host: "rng".into(), port: 80 });
        assert_eq!(answer, [5, 0]);
    }

    #[test]
    fn addresses_of_both_families() {
        let (target, _) = spoken(b"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x02\x1f\x90");
        assert_eq!(target.unwrap(), Target { host: "10.0.0.2".into(), port: 8080 });
        let (target, _) = spoken(b"\x05\x01\x00\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50");
        assert_eq!(target.unwrap(), Target { host: "::1".into(), port: 80 });
    }

    #[test]
    fn nonsense_ends_the_connection_with_the_right_reply() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &[][..]),
            (b"\x04\x01\x00\x50\x00\x00\x00\x01x\x00", &[]),
            (b"\x05\x01\x02", &[5, 0xff]),
            (b"\x05\x01\x00\x05\x02\x00\x01\x0a\x00\x00\x02\x1f\x90", &[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
            (b"\x05\x01\x00\x05\x01\x00\x09", &[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            (b"\x05\x01\x00\x05\x01\x00\x03\x02\xff\xfe\x00\x50", &[5, 0]),
            (b"\x05\x01\x00\x05\x01", &[5, 0]),
            (b"", &[]),
        ] {
            let (target, answer) = spoken(bytes);
            assert!(target.is_err(), "{bytes:?}");
            assert_eq!(answer, expected, "{bytes:?}");
        }
    }
}
