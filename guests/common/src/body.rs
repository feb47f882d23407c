//! Reading the body of a request or a response, in bounded pieces.

use crate::clock;
use std::fmt;
use std::time::Duration;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use wasip3::wit_future;

/// Bytes asked for in one read.
const CHUNK_BYTES: usize = 64 * 1024;
/// What is read of a body that is refused, so that its sender gets to see the answer: a connection
/// closed on unread bytes is reset.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;
const DISCARD_BOUND: Duration = Duration::from_secs(2);

/// A body being read.
pub struct Body {
    stream: StreamReader<u8>,
    trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    buffer: Vec<u8>,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum BodyError {
    /// More bytes than the reader accepts.
    TooLarge,
    /// The peer failed to send the rest.
    Incomplete(ErrorCode),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("body too large"),
            Self::Incomplete(code) => write!(f, "body incomplete: {code:?}"),
        }
    }
}

impl std::error::Error for BodyError {}

impl Body {
    pub fn of_request(request: Request) -> Self {
        let (_, result) = wit_future::new(|| Ok(()));
        let (stream, trailers) = Request::consume_body(request, result);
        Self { stream, trailers, buffer: Vec::new() }
    }

    pub fn of_response(response: Response) -> Self {
        let (_, result) = wit_future::new(|| Ok(()));
        let (stream, trailers) = Response::consume_body(response, result);
        Self { stream, trailers, buffer: Vec::new() }
    }

    /// Passes every piece to `sink`, up to `limit` bytes in all.
    pub async fn for_each(mut self, limit: usize, mut sink: impl FnMut(&[u8])) -> Result<(), BodyError> {
        let mut total = 0;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            buffer.reserve(CHUNK_BYTES);
            let (result, buffer) = self.stream.read(buffer).await;
            total += buffer.len();
            if total > limit {
                self.discard().await;
                return Err(BodyError::TooLarge);
            }
            sink(&buffer);
            self.buffer = buffer;
            if result == StreamResult::Dropped {
                break;
            }
        }
        drop(self.stream);
        self.trailers.await.map(drop).map_err(BodyError::Incomplete)
    }

    /// Reads what is left, within bounds, and forgets it.
    pub async fn discard(mut self) {
        let rest = async {
            let mut buffer = Vec::with_capacity(CHUNK_BYTES);
            let mut total = 0;
            while total < DISCARDED_BYTES_MAX {
                buffer.clear();
                let (result, piece) = self.stream.read(buffer).await;
                total += piece.len();
                buffer = piece;
                if result == StreamResult::Dropped {
                    break;
                }
            }
        };
        // The answer is the same either way.
        let _ = clock::timeout(DISCARD_BOUND, rest).await;
    }

    /// The whole body, up to `limit` bytes.
    pub async fn collect(self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        self.for_each(limit, |piece| whole.extend_from_slice(piece)).await?;
        Ok(whole)
    }
}

/// The declared length of a body, where there is one.
pub fn content_length(headers: &Fields) -> Option<u64> {
    let value = headers.get("content-length").into_iter().next()?;
    std::str::from_utf8(&value).ok()?.trim().parse().ok()
}
