//! The connections of the API: not more than a bounded number at once, and none that asks nothing.
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tracing::warn;

use crate::limits::{ACCEPT_RETRY_DELAY, API_CONNECTIONS_MAX, API_FIRST_BYTE_TIMEOUT};

pub(super) struct Doors {
    listener: UnixListener,
    connections: Arc<Semaphore>,
}

impl Doors {
    pub fn new(listener: UnixListener) -> Doors {
        Doors { listener, connections: Arc::new(Semaphore::new(API_CONNECTIONS_MAX)) }
    }
}

impl Listener for Doors {
    type Io = Guarded<UnixStream>;
    type Addr = ();

    async fn accept(&mut self) -> (Guarded<UnixStream>, ()) {
        loop {
            let permit = self.connections.clone().acquire_owned().await.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, _)) => return (Guarded::new(stream, permit), ()),
                Err(error) => {
                    warn!(%error, "could not accept a client of the API");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection and its place among those allowed. Who says nothing for [`API_FIRST_BYTE_TIMEOUT`] gives it up.
pub(super) struct Guarded<S> {
    stream: S,
    /// Until the first byte came.
    patience: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl<S> Guarded<S> {
    fn new(stream: S, permit: OwnedSemaphorePermit) -> Guarded<S> {
        Guarded { stream, patience: Some(Box::pin(sleep(API_FIRST_BYTE_TIMEOUT))), _permit: permit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.patience = None;
        }
        let is_over = self.patience.as_mut().is_some_and(|patience| patience.as_mut().poll(cx).is_ready());
        if is_over { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { read }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_gives_its_place_up_and_who_asked_keeps_it() {
        let places = Arc::new(Semaphore::new(2));
        let place = || places.clone().try_acquire_owned().unwrap();
        let (near, _silent) = tokio::io::duplex(64);
        let mut guarded = Guarded::new(near, place());
        let error = guarded.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (near, mut far) = tokio::io::duplex(64);
        let mut guarded = Guarded::new(near, place());
        far.write_all(b"a").await.unwrap();
        assert_eq!(guarded.read_u8().await.unwrap(), b'a');
        let later = tokio::spawn(async move { guarded.read_u8().await });
        sleep(API_FIRST_BYTE_TIMEOUT * 3).await;
        far.write_all(b"b").await.unwrap();
        assert_eq!(later.await.unwrap().unwrap(), b'b');
    }
}
