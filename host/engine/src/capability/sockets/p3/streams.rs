//! Component-model streams over the two halves of a connection, and over a listener's connections.
//!
//! Bytes are copied straight between a pipe and guest memory.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use minicloud_net::{Family, Listener, NetError, PipeReader, PipeWriter, TaskNet, TcpOptions, TcpSocket};
use tokio::sync::oneshot;
use wasmtime::component::{Destination, Resource, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::{self, ErrorCode};

use super::super::{SocketsView, error_code, ours};

/// Bytes of a read when the reader is the host itself; a guest brings its own buffer.
const READ_BYTES: usize = 16 << 10;

/// How a half ended, for the future beside its stream.
pub type Outcome = oneshot::Sender<Result<(), ErrorCode>>;

/// What arrives on a connection.
pub struct Receiving(Option<(PipeReader, Outcome)>);

impl Receiving {
    pub fn new(reader: PipeReader, outcome: Outcome) -> Receiving {
        Receiving(Some((reader, outcome)))
    }

    fn end(&mut self, result: Result<(), NetError>) {
        end(&mut self.0, result);
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamProducer<D> for Receiving {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, BytesMut>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((reader, _)) = &mut self.0 else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return ready_or(reader.poll_readable(cx), finish);
        }
        let mut buffer = destination.as_direct(store, READ_BYTES);
        match reader.poll_read(cx, buffer.remaining()) {
            Poll::Ready(Ok(0)) => {
                self.end(Ok(()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(Ok(count)) => {
                buffer.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.end(Err(error));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending => ready_or(Poll::Pending, finish),
        }
    }
}

/// What is sent on a connection.
pub struct Sending(Option<(PipeWriter, Outcome)>);

impl Sending {
    pub fn new(writer: PipeWriter, outcome: Outcome) -> Sending {
        Sending(Some((writer, outcome)))
    }

    fn end(&mut self, result: Result<(), NetError>) {
        end(&mut self.0, result);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamConsumer<D> for Sending {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((writer, _)) = &mut self.0 else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let mut source = source.as_direct(store);
        if source.remaining().is_empty() {
            return ready_or(writer.poll_writable(cx).map(|_| ()), finish);
        }
        match writer.poll_write(cx, source.remaining()) {
            Poll::Ready(Ok(count)) => {
                source.mark_read(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.end(Err(error));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending => ready_or(Poll::Pending, finish),
        }
    }
}

/// Drop a half, which the other end sees, and tell the guest why.
fn end<Half>(half: &mut Option<(Half, Outcome)>, result: Result<(), NetError>) {
    if let Some((half, outcome)) = half.take() {
        drop(half);
        // The guest may not care.
        outcome.send(result.map_err(|error| error_code(error).into())).ok();
    }
}

/// What a poll means to the stream: `finish` asks not to wait any more.
fn ready_or(poll: Poll<()>, finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    match poll {
        Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
        Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
        Poll::Pending => Poll::Pending,
    }
}

/// The connections of a listening socket.
pub struct Accepting<T> {
    pub listener: Arc<Listener>,
    pub net: TaskNet,
    pub family: Family,
    pub options: TcpOptions,
    pub view: for<'a> fn(&'a mut T) -> SocketsView<'a>,
}

impl<T: 'static> StreamProducer<T> for Accepting<T> {
    type Item = Resource<types::TcpSocket>;
    type Buffer = Option<Self::Item>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return ready_or(self.listener.poll_acceptable(cx), finish);
        }
        match self.listener.poll_accept(cx) {
            Poll::Ready(Ok(connection)) => {
                let socket = TcpSocket::connected(self.net.clone(), self.family, self.options, connection);
                let socket = (self.view)(store.data_mut()).table.push(socket)?;
                destination.set_buffer(Some(ours(&socket)));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            // The task was detached: nobody will connect any more.
            Poll::Ready(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending => ready_or(Poll::Pending, finish),
        }
    }
}
