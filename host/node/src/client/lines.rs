//! An answer that comes line by line: one JSON value each.
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;

use super::error::{ClientError, broken};
use crate::api::types::ErrorBody;

/// Bytes of one line.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Typed lines of a streaming call. Dropping it ends the call.
pub struct Lines<T> {
    body: Incoming,
    /// What has come and was not handed out, from `searched` on not yet looked at for a line end.
    pending: BytesMut,
    searched: usize,
    ended: bool,
    line: PhantomData<fn() -> T>,
}

impl<T> Lines<T> {
    pub(super) fn new(body: Incoming) -> Lines<T> {
        Lines { body, pending: BytesMut::new(), searched: 0, ended: false, line: PhantomData }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        let end = self.pending[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| at + self.searched);
        self.searched = if end.is_some() { 0 } else { self.pending.len() };
        let mut line = self.pending.split_to(end? + 1);
        line.truncate(line.len() - 1);
        Some(line.freeze())
    }
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        StreamExt::next(self).await
    }
}

impl<T: DeserializeOwned> Stream for Lines<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(line) = this.take_line() {
                return Poll::Ready(Some(parse(&line)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => this.pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(broken(error))));
                }
                None => this.ended = true,
            }
            if this.pending.len() > LINE_BYTES_MAX {
                this.ended = true;
                this.pending.clear();
                this.searched = 0;
                return Poll::Ready(Some(Err(broken("it sent a line that has no end"))));
            }
        }
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|error| match serde_json::from_slice::<ErrorBody>(line) {
        Ok(ErrorBody { error, kind }) => ClientError::Api { kind, message: error, status: 200 },
        Err(_) => broken(error),
    })
}
