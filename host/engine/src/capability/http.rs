//! Outgoing `wasi:http`: requests to names and addresses of the task's own networks, over a fresh connection each.
//!
//! A connection is not kept for the next request, since it is connections that are balanced over the tasks of a
//! service. wasmtime-wasi-http is built without its own sender, so there is no way round the virtual network.
mod dial;

use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::uri::Scheme;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use minicloud_net::{Connection, NetError, TaskNet};
use tokio::time::{Sleep, timeout};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as P2Error;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode as P3Error;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::limits::HTTP_CLIENT_TIMEOUT;
use dial::Dial;

const HTTP_PORT: u16 = 80;

/// What a request may take.
type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

/// The sender of one task.
pub struct HttpClient {
    net: TaskNet,
}

impl HttpClient {
    pub fn new(net: TaskNet) -> HttpClient {
        HttpClient { net }
    }
}

impl WasiHttpHooks for HttpClient {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTP)
    }

    /// Inside the cluster every link between nodes is encrypted already; TLS of the guest's own is up to the guest.
    fn is_supported_scheme(&mut self, scheme: &Scheme) -> bool {
        *scheme == Scheme::HTTP
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        response_read: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        drop(response_read);
        Box::new(send(self.net.clone(), request, Timeouts::new(options)))
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> P2Error {
        match error {
            _ if error.is_timeout() => P2Error::HttpResponseTimeout,
            _ if is_broken_off(error) => P2Error::ConnectionTerminated,
            _ => P2Error::HttpProtocolError,
        }
    }

    fn p3_error_from_hyper(&mut self, error: &hyper::Error) -> P3Error {
        match error {
            _ if error.is_timeout() => P3Error::HttpResponseTimeout,
            _ if is_broken_off(error) => P3Error::ConnectionTerminated,
            _ => P3Error::HttpProtocolError,
        }
    }
}

fn is_broken_off(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || error.is_body_write_aborted()
}

async fn send(net: TaskNet, mut request: http::Request<WasiBody>, timeouts: Timeouts) -> Sent {
    let target = Target::of(request.uri())?;
    *request.uri_mut() = origin_form(request.uri())?;
    let (dial, patience) = if request.method().is_idempotent() {
        // The time to connect is part of the time to the first byte.
        (dial(net, target, timeouts.connect)?, timeouts.connect.saturating_add(timeouts.first_byte))
    } else {
        let addresses = target.addresses(&net).map_err(connect_error)?;
        let connecting = timeout(timeouts.connect, connect(net, addresses, target.port, Bytes::new()));
        let connection = connecting.await.map_err(|_| Error::ConnectionTimeout)?.map_err(connect_error)?;
        (Dial::opened(connection), timeouts.first_byte)
    };
    let failure = dial.failure();
    let sent = exchange(dial, request, patience, timeouts.between_bytes).await;
    sent.map_err(|error| failure.get().copied().map_or(error, connect_error))
}

/// Sends the request, and answers the response once its head is there.
async fn exchange(dial: Dial, request: http::Request<WasiBody>, patience: Duration, between_bytes: Duration) -> Sent {
    let (mut sender, driver) = handshake(TokioIo::new(dial)).await?;
    let mut driver = Box::pin(driver);
    let response = {
        let answer = pin!(timeout(patience, sender.send_request(request)));
        match select(answer, &mut driver).await {
            Either::Left((response, _)) => Either::Left(response),
            // The connection ended: either the answer is complete already, or it will not come.
            Either::Right((ended, answer)) => Either::Right((ended, answer.await)),
        }
    };
    let (response, io): (_, Io) = match response {
        Either::Left(response) => (response, Box::new(async move { Ok(driver.await?) })),
        Either::Right((ended, response)) => (response, Box::new(async move { Ok(ended?) })),
    };
    let response = response.map_err(|_| Error::ConnectionReadTimeout)??;
    Ok((response.map(|body| TimedBody::new(body, between_bytes).boxed_unsync()), io))
}

/// A connection that will be opened with the head of the request in it.
fn dial(net: TaskNet, target: Target, patience: Duration) -> Result<Dial, Error> {
    let addresses = target.addresses(&net).map_err(connect_error)?;
    Ok(Dial::with_first_bytes(move |first| async move {
        let connecting = connect(net, addresses, target.port, first);
        timeout(patience, connecting).await.unwrap_or(Err(NetError::TimedOut))
    }))
}

/// A connection to the first of the addresses that takes it.
async fn connect(net: TaskNet, addresses: Vec<IpAddr>, port: u16, first: Bytes) -> Result<Connection, NetError> {
    let mut last = NetError::NameNotFound;
    for address in addresses {
        match net.connect_with(SocketAddr::new(address, port), first.clone()).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_error(error: NetError) -> Error {
    match error {
        NetError::NameNotFound => Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
        NetError::Refused => Error::ConnectionRefused,
        NetError::TimedOut => Error::ConnectionTimeout,
        NetError::Unreachable => Error::DestinationIpUnroutable,
        NetError::TooManySockets => Error::ConnectionLimitReached,
        NetError::Reset | NetError::Aborted | NetError::Broken => Error::ConnectionTerminated,
        other => Error::InternalError(Some(other.to_string())),
    }
}

/// Host and port of a request.
struct Target {
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &http::Uri) -> Result<Target, Error> {
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        Ok(Target { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(HTTP_PORT) })
    }

    fn addresses(&self, net: &TaskNet) -> Result<Vec<IpAddr>, NetError> {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host);
        match bare.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => net.resolve(bare),
        }
    }
}

/// The request line names the path only; scheme and host are for proxies.
fn origin_form(uri: &http::Uri) -> Result<http::Uri, Error> {
    let path = uri.path_and_query().map(|path| path.as_str()).filter(|path| !path.is_empty()).unwrap_or("/");
    path.parse().map_err(|_| Error::HttpRequestUriInvalid)
}

#[derive(Clone, Copy)]
struct Timeouts {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Timeouts {
    fn new(options: Option<RequestOptions>) -> Timeouts {
        let options = options.unwrap_or_default();
        let bounded = |wanted: Option<Duration>| wanted.unwrap_or(HTTP_CLIENT_TIMEOUT).min(HTTP_CLIENT_TIMEOUT);
        Timeouts {
            connect: bounded(options.connect_timeout),
            first_byte: bounded(options.first_byte_timeout),
            between_bytes: bounded(options.between_bytes_timeout),
        }
    }
}

/// A response's body that fails when nothing comes for too long.
struct TimedBody {
    incoming: Incoming,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    fn new(incoming: Incoming, patience: Duration) -> TimedBody {
        TimedBody { incoming, patience, waiting: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
            }
            Poll::Pending => {
                let patience = self.patience;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                ready!(waiting.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_has_no_host() {
        let path = |uri: &str| origin_form(&uri.parse().unwrap()).unwrap().to_string();
        assert_eq!(path("http://rng/32?x=1"), "/32?x=1");
        assert_eq!(path("http://rng"), "/");
    }

    #[test]
    fn a_target_has_port_80_unless_it_says_so() {
        let target = |uri: &str| Target::of(&uri.parse().unwrap()).map(|target| (target.host, target.port)).unwrap();
        assert_eq!(target("http://rng/"), ("rng".to_owned(), 80));
        assert_eq!(target("http://10.0.0.2:8080/"), ("10.0.0.2".to_owned(), 8080));
        assert!(Target::of(&"/32".parse().unwrap()).is_err());
    }
}
