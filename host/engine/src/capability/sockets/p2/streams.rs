//! The two halves of a connection as `wasi:io` streams; the socket keeps a share, for `shutdown`.
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use minicloud_net::{NetError, PipeReader, PipeWriter};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

#[derive(Clone)]
pub struct Reader(Arc<Mutex<Option<PipeReader>>>);

impl Reader {
    pub fn new(reader: PipeReader) -> Reader {
        Reader(Arc::new(Mutex::new(Some(reader))))
    }

    /// No more will be read.
    pub fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<PipeReader>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut half = self.lock();
        let Some(reader) = half.as_mut() else { return Err(StreamError::Closed) };
        if size == 0 {
            return Ok(Bytes::new());
        }
        match reader.try_read_bytes(size) {
            Ok(None) => Ok(Bytes::new()),
            Ok(Some(bytes)) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(Some(bytes)) => Ok(bytes),
            Err(error) => Err(failed(error)),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        poll_fn(|cx| self.lock().as_mut().map_or(Poll::Ready(()), |reader| reader.poll_readable(cx))).await;
    }
}

#[derive(Clone)]
pub struct Writer(Arc<Mutex<Option<PipeWriter>>>);

impl Writer {
    pub fn new(writer: PipeWriter) -> Writer {
        Writer(Arc::new(Mutex::new(Some(writer))))
    }

    /// The end of the stream, after what was written.
    pub fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<PipeWriter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn check_write(&mut self) -> StreamResult<usize> {
        match self.lock().as_mut() {
            Some(writer) => writer.room().map_err(failed),
            None => Err(StreamError::Closed),
        }
    }

    /// Fits, since this is the only writer and `check_write` told the room; more is the guest's fault.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut half = self.lock();
        let Some(writer) = half.as_mut() else { return Err(StreamError::Closed) };
        writer.push(bytes).map_err(|error| match error {
            NetError::WouldBlock => StreamError::Trap(wasmtime::Error::msg("write exceeds what check-write permitted")),
            other => failed(other),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.lock().as_ref() {
            Some(_) => Ok(()),
            None => Err(StreamError::Closed),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        poll_fn(|cx| match self.lock().as_mut() {
            Some(writer) => writer.poll_writable(cx).map(|_| ()),
            None => Poll::Ready(()),
        })
        .await;
    }
}

/// `network-error-code` finds the cause in the error again.
fn failed(error: NetError) -> StreamError {
    match error {
        NetError::Broken => StreamError::Closed,
        error => StreamError::LastOperationFailed(wasmtime::Error::new(error)),
    }
}
