//! Frames on a stream: length, version byte, named MessagePack. Bounded by [`FRAME_BYTES_MAX`].
//!
//! Everything nodes say to each other, apart from raw overlay bytes, is a frame. Unknown fields are ignored
//! by the encoding, so a newer peer may add some; the version byte changes only when the encoding does.
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limits::FRAME_BYTES_MAX;

/// Version byte in front of every encoded record, in frames and on disk.
pub const ENCODING_VERSION: u8 = 1;
const HEADER_BYTES: usize = 4;

/// Writes one frame. Buffered by the stream itself; nothing is flushed.
pub async fn write<T: Serialize + ?Sized>(stream: &mut (impl AsyncWrite + Unpin + ?Sized), value: &T) -> io::Result<()> {
    stream.write_all(&to_bytes(value)?).await
}

/// Reads one frame; `None` when the peer ended the stream between two frames.
pub async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<Option<T>> {
    let Some(length) = read_length(stream).await? else {
        return Ok(None);
    };
    let mut record = Vec::new();
    let got = stream.take(length as u64).read_to_end(&mut record).await?;
    if got < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "stream ended inside a frame"));
    }
    decode(&record).map(Some)
}

/// Reads one frame that must be there.
pub async fn expect<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<T> {
    read(stream).await?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "peer ended the stream without an answer"))
}

/// Writes one frame and reads the one that answers it.
pub async fn ask<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    value: &(impl Serialize + ?Sized),
) -> io::Result<T> {
    write(stream, value).await?;
    expect(stream).await
}

/// A record behind its version byte, as it is stored or framed.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> io::Result<Vec<u8>> {
    let mut record = vec![ENCODING_VERSION];
    encode_into(&mut record, value)?;
    Ok(record)
}

/// The inverse of [`encode`].
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> io::Result<T> {
    match record.split_first() {
        Some((&ENCODING_VERSION, value)) => rmp_serde::from_slice(value).map_err(invalid),
        Some((version, _)) => Err(invalid(format!("record of encoding version {version}, and this node reads {ENCODING_VERSION}"))),
        None => Err(invalid("empty record")),
    }
}

/// A whole frame as bytes.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; HEADER_BYTES];
    frame.push(ENCODING_VERSION);
    encode_into(&mut frame, value)?;
    let length = frame.len() - HEADER_BYTES;
    if length > FRAME_BYTES_MAX {
        return Err(invalid(format!("frame of {length} bytes is above the limit of {FRAME_BYTES_MAX}")));
    }
    let header = u32::try_from(length).expect("FRAME_BYTES_MAX fits 32 bits");
    frame[..HEADER_BYTES].copy_from_slice(&header.to_le_bytes());
    Ok(frame)
}

fn encode_into<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) -> io::Result<()> {
    value.serialize(&mut rmp_serde::Serializer::new(buffer).with_struct_map()).map_err(invalid)
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<Option<usize>> {
    let mut header = [0; HEADER_BYTES];
    let mut have = 0;
    while have < HEADER_BYTES {
        match stream.read(&mut header[have..]).await? {
            0 if have == 0 => return Ok(None),
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "stream ended inside a frame's header")),
            count => have += count,
        }
    }
    let length = u32::from_le_bytes(header) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid(format!("frame of {length} bytes is above the limit of {FRAME_BYTES_MAX}")));
    }
    Ok(Some(length))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_read_back_and_end_cleanly() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let sender = tokio::spawn(async move {
            write(&mut a, "one").await.unwrap();
            write(&mut a, &vec![7u8; 500]).await.unwrap();
        });
        assert_eq!(read::<String>(&mut b).await.unwrap().as_deref(), Some("one"));
        assert_eq!(read::<Vec<u8>>(&mut b).await.unwrap(), Some(vec![7; 500]));
        assert_eq!(read::<String>(&mut b).await.unwrap(), None);
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_allocates_nothing_large() {
        let cases: [&[u8]; 5] = [&[1], &[0xff; 64], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 9], &[3, 0, 0, 0, 1, 0xc1, 0]];
        for bytes in cases {
            assert!(read::<String>(&mut &bytes[..]).await.is_err(), "{bytes:?}");
        }
    }
}
