//! One direction of a connection: a queue of chunks between one writer and one reader.
//!
//! Bounded in bytes; small writes are copied together, so the number of chunks and the memory behind them stay
//! bounded too. Wakers are called after the lock is released. Owns no address and no route; [`crate::Connection`]
//! joins two of these, and overlays pump them.
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::End;
use crate::error::NetError;
use crate::limits;
use crate::wakers::{lock, register};

use self::state::{State, Writing};

mod state;

/// Reads what the other end wrote. Dropping it fails the writes of the other end with [`NetError::Reset`].
#[derive(Debug)]
pub struct PipeReader {
    pipe: Arc<Pipe>,
    end: Option<Arc<End>>,
}

/// Writes to the other end. Dropping it is the end of the stream.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: Arc<Pipe>,
    end: Option<Arc<End>>,
}

/// A direction that holds at most `capacity_bytes` unread bytes. Costs no buffer until something is written.
pub fn pipe(capacity_bytes: usize) -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Pipe(Mutex::new(State::new(capacity_bytes.max(1)))));
    (PipeWriter { pipe: pipe.clone(), end: None }, PipeReader { pipe, end: None })
}

#[derive(Debug)]
pub(crate) struct Pipe(Mutex<State>);

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Pipe {
    /// Ends the writer's side: cleanly, or with the unread bytes thrown away. The first end stands.
    fn end_writing(&self, how: Writing) {
        let mut state = lock(&self.0);
        if state.writing != Writing::Open {
            return;
        }
        state.writing = how;
        let discarded = (how == Writing::Reset).then(|| state.discard());
        let wakers = (state.read_waker.take(), state.write_waker.take());
        drop(state);
        drop(discarded);
        wake(wakers.0);
        wake(wakers.1);
    }

    fn end_reading(&self) {
        let mut state = lock(&self.0);
        if state.reader_gone {
            return;
        }
        state.reader_gone = true;
        let discarded = state.discard();
        let wakers = (state.read_waker.take(), state.write_waker.take());
        drop(state);
        drop(discarded);
        drop(wakers.0);
        wake(wakers.1);
    }

    /// The writing task is gone. What it finished in order still arrives; what it left open is reset.
    pub(crate) fn abort_writer(&self) {
        self.end_writing(Writing::Reset);
    }

    /// The reading task is gone: its reads and the other end's writes fail.
    pub(crate) fn abort_reader(&self) {
        let mut state = lock(&self.0);
        state.writing = Writing::Reset;
        state.reader_gone = true;
        let discarded = state.discard();
        let wakers = (state.read_waker.take(), state.write_waker.take());
        drop(state);
        drop(discarded);
        wake(wakers.0);
        wake(wakers.1);
    }
}

impl PipeReader {
    /// Ready once a read would not wait: there are bytes, or the stream has ended or was reset.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.pipe.0);
        if state.len > 0 || state.ended().is_some() {
            return Poll::Ready(());
        }
        let displaced = register(&mut state.read_waker, cx.waker());
        drop(state);
        drop(displaced);
        Poll::Pending
    }

    /// The next bytes, without a copy where that is possible; empty at the end of the stream. `max` is at least 1.
    pub fn poll_read_bytes(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, NetError>> {
        match self.try_read_bytes(max).transpose() {
            Some(result) => Poll::Ready(result),
            None => {
                ready!(self.poll_readable(cx));
                // Only the writer can have changed the state in between, and it only makes reading possible.
                Poll::Ready(self.try_read_bytes(max).map(Option::unwrap_or_default))
            }
        }
    }

    /// As [`Self::poll_read_bytes`], but `None` instead of waiting, and without forgetting who waits.
    pub fn try_read_bytes(&mut self, max: usize) -> Result<Option<Bytes>, NetError> {
        if max == 0 {
            return Err(NetError::InvalidArgument);
        }
        let mut state = lock(&self.pipe.0);
        if state.len == 0 {
            return state.ended().map(|end| end.map(|()| Bytes::new())).transpose();
        }
        let bytes = state.take(max);
        let waker = state.writer_to_wake();
        drop(state);
        wake(waker);
        self.count(bytes.len());
        Ok(Some(bytes))
    }

    /// Copies the next bytes into `buffer`; 0 at the end of the stream (or for an empty buffer).
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_readable(cx));
        Poll::Ready(self.read_now(buffer))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        let mut count = 0;
        while count < buffer.len() {
            let mut state = lock(&self.pipe.0);
            if state.len == 0 {
                if count == 0 {
                    state.ended().transpose()?;
                }
                break;
            }
            let copied = state.copy_from_tail(&mut buffer[count..]);
            // Large chunks are copied outside of the lock, so that the writer is not held up.
            let chunk = if copied == 0 { state.take(buffer.len() - count) } else { Bytes::new() };
            let waker = state.writer_to_wake();
            drop(state);
            wake(waker);
            buffer[count + copied..count + copied + chunk.len()].copy_from_slice(&chunk);
            count += copied + chunk.len();
        }
        self.count(count);
        Ok(count)
    }

    fn count(&self, bytes: usize) {
        if let Some(end) = &self.end {
            end.count_received(bytes);
        }
    }

    pub(crate) fn tie(&mut self, end: Arc<End>) {
        self.end = Some(end);
    }

    pub(crate) fn end(&self) -> Option<&Arc<End>> {
        self.end.as_ref()
    }

    pub(crate) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.end_reading();
    }
}

impl PipeWriter {
    /// Ready with the number of bytes that [`Self::push`] takes now, at least 1; an error once nothing would arrive.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        let mut state = lock(&self.pipe.0);
        match state.room() {
            Ok(0) => {}
            room => return Poll::Ready(room),
        }
        let displaced = register(&mut state.write_waker, cx.waker());
        drop(state);
        drop(displaced);
        Poll::Pending
    }

    /// The number of bytes that [`Self::push`] takes now, maybe 0, without forgetting who waits.
    pub fn room(&self) -> Result<usize, NetError> {
        lock(&self.pipe.0).room()
    }

    /// Sends `bytes` whole, or fails with [`NetError::WouldBlock`] when they are more than there is room for.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), NetError> {
        let mut state = lock(&self.pipe.0);
        if bytes.len() > state.room()? {
            return Err(NetError::WouldBlock);
        }
        let count = bytes.len();
        if count < limits::COALESCE_BELOW_BYTES {
            state.append(&bytes);
        } else {
            state.enqueue(bytes);
        }
        let waker = if count > 0 { state.read_waker.take() } else { None };
        drop(state);
        wake(waker);
        self.count(count);
        Ok(())
    }

    /// Copies as much of `bytes` as fits now, at least one byte; 0 only for an empty slice.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, NetError>> {
        if bytes.is_empty() {
            return Poll::Ready(self.room().map(|_| 0));
        }
        let room = ready!(self.poll_writable(cx))?;
        let count = room.min(bytes.len()).min(limits::WRITE_BYTES_MAX);
        Poll::Ready(self.write_now(&bytes[..count]))
    }

    /// As [`Self::poll_write`] of the slices one after the other, in one step: a reader wakes once.
    pub fn poll_write_gathered(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, NetError>> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Poll::Ready(self.room().map(|_| 0));
        }
        let room = ready!(self.poll_writable(cx))?;
        let count = room.min(total).min(limits::WRITE_BYTES_MAX);
        let mut gathered = BytesMut::with_capacity(count);
        for slice in slices {
            let left = count - gathered.len();
            gathered.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        Poll::Ready(self.push(gathered.freeze()).map(|()| count))
    }

    /// The room was seen; it cannot shrink, because there is no other writer.
    fn write_now(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        if bytes.len() >= limits::COALESCE_BELOW_BYTES {
            return self.push(Bytes::copy_from_slice(bytes)).map(|()| bytes.len());
        }
        let mut state = lock(&self.pipe.0);
        state.room()?;
        state.append(bytes);
        let waker = state.read_waker.take();
        drop(state);
        wake(waker);
        self.count(bytes.len());
        Ok(bytes.len())
    }

    /// Ready once the other end has read everything, or is gone.
    pub fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.pipe.0);
        if state.len == 0 {
            return Poll::Ready(());
        }
        let displaced = register(&mut state.write_waker, cx.waker());
        drop(state);
        drop(displaced);
        Poll::Pending
    }

    /// Ready once nothing written would arrive any more: the other end is gone, or this one is closed.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.pipe.0);
        if state.room().is_err() {
            return Poll::Ready(());
        }
        let displaced = register(&mut state.write_waker, cx.waker());
        drop(state);
        drop(displaced);
        Poll::Pending
    }

    /// The end of the stream: the reader sees it after what was written. Also what dropping does.
    pub fn close(self) {}

    /// As [`Self::close`], for those who keep the writer, to wait until it has drained.
    pub fn finish(&mut self) {
        self.pipe.end_writing(Writing::Finished);
    }

    /// Gives the stream up: unread bytes are dropped, and the reader sees [`NetError::Reset`].
    pub fn reset(self) {
        self.pipe.end_writing(Writing::Reset);
    }

    fn count(&self, bytes: usize) {
        if let Some(end) = &self.end {
            end.count_sent(bytes);
        }
    }

    pub(crate) fn tie(&mut self, end: Arc<End>) {
        self.end = Some(end);
    }

    pub(crate) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.pipe.end_writing(Writing::Finished);
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Not by a slice of the buffer: to be one, all of it would have to be zeroed first.
        let reader = self.get_mut();
        let mut bytes = ready!(reader.poll_read_bytes(cx, buffer.remaining()))?;
        while !bytes.is_empty() {
            buffer.put_slice(&bytes);
            // An end or an error is still there for the next read.
            bytes = match buffer.remaining() {
                0 => Bytes::new(),
                room => reader.try_read_bytes(room).ok().flatten().unwrap_or_default(),
            };
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        PipeWriter::poll_write(self.get_mut(), cx, bytes).map_err(io::Error::from)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_gathered(cx, slices).map_err(io::Error::from)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}
