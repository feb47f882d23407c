//! The connection of one request, opened with the request's own first bytes in it.
//!
//! A connection that is opened first and written to then pays the way between two nodes twice before the server has
//! read a byte. Here nothing is opened before the request is written and flushed; what was written until then travels
//! along. Only for requests that may reach two backends (RFC 9110, 9.2.2): one that gave no answer may have read it.
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use minicloud_net::limits::FIRST_BYTES_MAX;
use minicloud_net::{Connection, NetError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Opens a connection with these first bytes.
type Open = Box<dyn FnOnce(Bytes) -> Opening + Send>;
type Opening = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;

/// Why a connection could not be opened; the client library tells only that it failed.
pub type Failure = Arc<OnceLock<NetError>>;

/// A stream that is opened when what was written first is flushed.
pub struct Dial {
    state: State,
    failure: Failure,
}

enum State {
    /// Nothing was flushed yet. Whoever reads is woken when it was.
    Written {
        first: BytesMut,
        open: Option<Open>,
        reader: Option<Waker>,
    },
    Opening(Opening),
    Open(Connection),
    Failed(NetError),
}

impl Dial {
    /// A connection that is there already.
    pub fn opened(connection: Connection) -> Dial {
        Dial { state: State::Open(connection), failure: Failure::default() }
    }

    pub fn with_first_bytes<F>(open: impl FnOnce(Bytes) -> F + Send + 'static) -> Dial
    where
        F: Future<Output = Result<Connection, NetError>> + Send + 'static,
    {
        let open: Open = Box::new(|first| Box::pin(open(first)));
        Dial { state: State::Written { first: BytesMut::new(), open: Some(open), reader: None }, failure: Failure::default() }
    }

    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Opens what was written, and answers the connection once it is there.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Connection>> {
        if let State::Written { first, open, reader } = &mut self.state {
            let (first, open) = (first.split().freeze(), open.take().expect("it is taken when this state is left"));
            reader.take().into_iter().for_each(Waker::wake);
            self.state = State::Opening(open(first));
        }
        if let State::Opening(opening) = &mut self.state {
            self.state = match ready!(opening.as_mut().poll(cx)) {
                Ok(connection) => State::Open(connection),
                Err(error) => {
                    self.failure.get_or_init(|| error);
                    State::Failed(error)
                }
            };
        }
        Poll::Ready(match &mut self.state {
            State::Open(connection) => Ok(connection),
            State::Failed(error) => Err((*error).into()),
            State::Written { .. } | State::Opening(_) => unreachable!("both were left above"),
        })
    }
}

impl AsyncRead for Dial {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let dial = self.get_mut();
        if let State::Written { reader, .. } = &mut dial.state {
            // There is no answer before there is a request.
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let connection = ready!(dial.poll_open(cx))?;
        AsyncRead::poll_read(Pin::new(connection), cx, buffer)
    }
}

impl AsyncWrite for Dial {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let dial = self.get_mut();
        if let State::Written { first, .. } = &mut dial.state {
            let count = bytes.len().min(FIRST_BYTES_MAX - first.len());
            if count > 0 || bytes.is_empty() {
                first.extend_from_slice(&bytes[..count]);
                return Poll::Ready(Ok(count));
            }
        }
        let connection = ready!(dial.poll_open(cx))?;
        AsyncWrite::poll_write(Pin::new(connection), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let dial = self.get_mut();
        if matches!(&dial.state, State::Written { first, .. } if first.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        let connection = ready!(dial.poll_open(cx))?;
        AsyncWrite::poll_flush(Pin::new(connection), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let dial = self.get_mut();
        if matches!(&dial.state, State::Written { first, .. } if first.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        let connection = ready!(dial.poll_open(cx))?;
        AsyncWrite::poll_shutdown(Pin::new(connection), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What dials were opened with, and the far ends.
    type Opened = Arc<Mutex<Vec<(Bytes, Connection)>>>;

    fn dial(answer: Result<(), NetError>) -> (Dial, Opened) {
        let opened = Opened::default();
        let list = opened.clone();
        let dial = Dial::with_first_bytes(move |first| async move {
            answer?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
            let (near, far) = Connection::pair(address, address);
            list.lock().unwrap().push((first, far));
            Ok(near)
        });
        (dial, opened)
    }

    #[tokio::test]
    async fn what_was_written_until_the_flush_travels_along() {
        let (mut dial, opened) = dial(Ok(()));
        dial.flush().await.unwrap();
        dial.write_all(b"GET / ").await.unwrap();
        dial.write_all(b"HTTP/1.1").await.unwrap();
        assert!(opened.lock().unwrap().is_empty(), "nothing is opened before it is flushed");
        dial.flush().await.unwrap();
        let (first, mut far) = opened.lock().unwrap().pop().unwrap();
        assert_eq!(first, "GET / HTTP/1.1");
        dial.write_all(b"more").await.unwrap();
        let mut more = [0; 4];
        far.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
        far.write_all(b"ok").await.unwrap();
        let mut answer = [0; 2];
        dial.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ok");
    }

    #[tokio::test]
    async fn what_is_too_much_to_travel_along_follows() {
        let (mut dial, opened) = dial(Ok(()));
        let sent: Vec<u8> = (0..3 * FIRST_BYTES_MAX).map(|at| at as u8).collect();
        dial.write_all(&sent).await.unwrap();
        dial.shutdown().await.unwrap();
        let (first, mut far) = opened.lock().unwrap().pop().unwrap();
        assert_eq!(first.len(), FIRST_BYTES_MAX);
        let mut received = first.to_vec();
        far.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn a_reader_that_came_first_gets_the_answer() {
        let (dial, opened) = dial(Ok(()));
        let (mut reader, mut writer) = tokio::io::split(dial);
        let reading = tokio::spawn(async move {
            let mut answer = [0; 2];
            reader.read_exact(&mut answer).await.map(|_| answer)
        });
        tokio::task::yield_now().await;
        writer.write_all(b"x").await.unwrap();
        writer.flush().await.unwrap();
        let (_, mut far) = opened.lock().unwrap().pop().unwrap();
        far.write_all(b"ok").await.unwrap();
        assert_eq!(&reading.await.unwrap().unwrap(), b"ok");
    }

    #[tokio::test]
    async fn why_it_could_not_be_opened_is_told() {
        let (mut dial, _) = dial(Err(NetError::Refused));
        let failure = dial.failure();
        dial.write_all(b"x").await.unwrap();
        assert_eq!(dial.flush().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(failure.get(), Some(&NetError::Refused));
        assert!(dial.write_all(b"y").await.is_err());
    }
}
