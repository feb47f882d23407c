//! Streams over files, of WASI 0.3: bytes between guests and the threads that may wait for a disk.
//!
//! wasmtime-wasi's own hand 8 KiB to such a thread at a time, and the hand-over is what takes long. Here the streams of
//! WASI 0.2 do the work, in larger pieces; everything else about files stays wasmtime-wasi's.
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::{Destination, FutureReader, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as P2Code;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, StreamError};
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::FilesView;
use crate::limits::{FILE_READ_BYTES, FILE_WRITE_BYTES};
use crate::store::GuestState;

pub type Outcome = FutureReader<Result<(), ErrorCode>>;

/// A file as a stream, and how it ended. `open` opens it as WASI 0.2 does.
pub fn read(
    mut store: StoreContextMut<'_, GuestState>,
    open: impl FnOnce(&mut FilesView<'_>) -> FsResult<Resource<DynInputStream>>,
) -> wasmtime::Result<(StreamReader<u8>, Outcome)> {
    let (ended, outcome) = oneshot::channel();
    let reader = match opened(&mut store, open)? {
        Ok(stream) => StreamReader::new(&mut store, Reading(Some((stream, ended))))?,
        Err(code) => {
            ended.send(Err(code)).ok();
            StreamReader::new(&mut store, iter::empty())?
        }
    };
    Ok((reader, FutureReader::new(&mut store, outcome)?))
}

/// Writes a stream to a file; the future says how it ended. `open` opens it as WASI 0.2 does.
pub fn write(
    mut store: StoreContextMut<'_, GuestState>,
    mut data: StreamReader<u8>,
    open: impl FnOnce(&mut FilesView<'_>) -> FsResult<Resource<DynOutputStream>>,
) -> wasmtime::Result<Outcome> {
    let (ended, outcome) = oneshot::channel();
    match opened(&mut store, open)? {
        Ok(stream) => data.pipe(&mut store, Writing { open: Some((stream, ended)), under_way: 0 })?,
        Err(code) => {
            data.close(&mut store)?;
            ended.send(Err(code)).ok();
        }
    }
    FutureReader::new(&mut store, outcome)
}

/// A stream of WASI 0.2, or the answer to a guest that asks for what cannot be had.
fn opened<S: 'static>(
    store: &mut StoreContextMut<'_, GuestState>,
    open: impl FnOnce(&mut FilesView<'_>) -> FsResult<Resource<S>>,
) -> wasmtime::Result<Result<S, ErrorCode>> {
    let mut files = store.data_mut().files();
    match open(&mut files) {
        Ok(stream) => Ok(Ok(files.volumes.table.delete(stream)?)),
        Err(error) => Ok(Err(match error.downcast()? {
            P2Code::BadDescriptor => ErrorCode::BadDescriptor,
            P2Code::IsDirectory => ErrorCode::IsDirectory,
            P2Code::NotPermitted => ErrorCode::NotPermitted,
            P2Code::ReadOnly => ErrorCode::ReadOnly,
            _ => ErrorCode::Io,
        })),
    }
}

/// How a stream ended, for the future beside it.
type Ended = oneshot::Sender<Result<(), ErrorCode>>;

/// A file on its way to a guest, or past it.
struct Reading(Option<(DynInputStream, Ended)>);

impl Reading {
    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some((_, ended)) = self.0.take() {
            // The guest may not care.
            ended.send(result).ok();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamProducer<D> for Reading {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((stream, _)) = &mut self.0 else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        loop {
            match stream.read(FILE_READ_BYTES) {
                Ok(piece) if piece.is_empty() => match stream.ready().as_mut().poll(cx) {
                    Poll::Ready(()) => {}
                    // What has been begun is there for the next read.
                    Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                    Poll::Pending => return Poll::Pending,
                },
                Ok(piece) => {
                    let room = destination.remaining(store.as_context_mut());
                    if room.is_none() && piece.len() >= FILE_READ_BYTES {
                        // Past the guest, to the network for example: the next piece is read meanwhile. A guest that reads by
                        // itself sees the file as it is at that moment. An error is kept for the next read.
                        stream.read(FILE_READ_BYTES).ok();
                    }
                    hand_over(piece, room, store, destination);
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Err(StreamError::Closed) => {
                    self.end(Ok(()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Err(error) => {
                    let code = code(error)?;
                    self.end(Err(code));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
    }
}

fn hand_over<D>(piece: Bytes, room: Option<usize>, store: StoreContextMut<'_, D>, mut destination: Destination<'_, u8, Bytes>) {
    if room.is_some_and(|room| room >= piece.len()) {
        let mut guest = destination.as_direct(store, piece.len());
        guest.remaining()[..piece.len()].copy_from_slice(&piece);
        guest.mark_written(piece.len());
    } else {
        destination.set_buffer(piece);
    }
}

/// A file on its way from a guest. A guest's write is done when its bytes are in the file.
struct Writing {
    open: Option<(DynOutputStream, Ended)>,
    /// Bytes of the guest that are being written.
    under_way: usize,
}

impl Writing {
    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some((_, ended)) = self.open.take() {
            // The guest may not care.
            ended.send(result).ok();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamConsumer<D> for Writing {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Writing { open, under_way } = &mut *self;
        let Some((stream, _)) = open else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let mut source = source.as_direct(store);
        let failed = loop {
            match stream.check_write() {
                // Also when it is to finish: what is under way cannot be taken back.
                Ok(0) => ready!(stream.ready().as_mut().poll(cx)),
                Ok(_) if *under_way > 0 => {
                    source.mark_read(std::mem::take(under_way));
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Ok(_) if source.remaining().is_empty() => return Poll::Ready(Ok(StreamResult::Completed)),
                Ok(_) => {
                    let bytes = source.remaining();
                    // A file's stream takes any number of bytes at once.
                    let count = bytes.len().min(FILE_WRITE_BYTES);
                    match stream.write(Bytes::copy_from_slice(&bytes[..count])) {
                        Ok(()) => *under_way = count,
                        Err(error) => break error,
                    }
                }
                Err(error) => break error,
            }
        };
        let code = code(failed)?;
        self.end(Err(code));
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// What a guest is told of an operation that failed; an error is a trap.
fn code(error: StreamError) -> wasmtime::Result<ErrorCode> {
    match error {
        StreamError::LastOperationFailed(error) => Ok(error.downcast::<std::io::Error>().map_or(ErrorCode::Io, ErrorCode::from)),
        StreamError::Closed => Ok(ErrorCode::Io),
        StreamError::Trap(error) => Err(error),
    }
}
