//! The three services a worker calls, each by its name.

use crate::unit::{self, BYTES_PER_UNIT};
use futures::future::join;
use guest_common::body::{Body, BodyError};
use guest_common::clock::{self, Elapsed};
use guest_common::redis::{Client, ClientError};
use guest_common::resp::Value;
use std::fmt;
use std::time::Duration;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

/// Bound of a whole HTTP call. `rng` may honestly take long: 1,024 requests may wait there for
/// 0.1 s each, and a lost peer is noticed by the network long before.
const HTTP_BOUND: Duration = Duration::from_secs(120);
/// Bound of every single wait for `redis`.
const REDIS_BOUND: Duration = Duration::from_secs(30);
/// The largest answer accepted from `rng` and `hasher`; what they owe is 32 and 64 bytes.
const ANSWER_BYTES_MAX: usize = 4096;
const REDIS_PORT: u16 = 6379;

/// Why a unit of work failed.
#[derive(Debug)]
pub enum WorkError {
    /// The request could not even be built.
    Request(&'static str),
    Http(&'static str, ErrorCode),
    Status(&'static str, u16),
    Body(&'static str, BodyError),
    Elapsed(&'static str, Elapsed),
    /// An answer that is not what the service owes.
    Answer(&'static str),
    Redis(ClientError),
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(part) => write!(f, "cannot build the request: {part}"),
            Self::Http(service, code) => write!(f, "{service}: {code:?}"),
            Self::Status(service, status) => write!(f, "{service} answered with status {status}"),
            Self::Body(service, error) => write!(f, "{service}: {error}"),
            Self::Elapsed(service, elapsed) => write!(f, "{service}: {elapsed}"),
            Self::Answer(service) => write!(f, "{service} gave an answer it should not"),
            Self::Redis(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkError {}

impl From<ClientError> for WorkError {
    fn from(error: ClientError) -> Self {
        Self::Redis(error)
    }
}

/// Random bytes from `rng`.
pub async fn random_bytes() -> Result<Vec<u8>, WorkError> {
    let path = format!("/{BYTES_PER_UNIT}");
    let bytes = call("rng", Method::Get, &path, None).await?;
    if bytes.len() == BYTES_PER_UNIT { Ok(bytes) } else { Err(WorkError::Answer("rng")) }
}

/// The digest of `bytes` from `hasher`.
pub async fn hash(bytes: &[u8]) -> Result<String, WorkError> {
    let answer = call("hasher", Method::Post, "/", Some(bytes.to_vec())).await?;
    unit::digest(answer).ok_or(WorkError::Answer("hasher"))
}

/// One HTTP call; the host opens a fresh connection for it.
async fn call(service: &'static str, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Vec<u8>, WorkError> {
    let exchange = async {
        let response = send(service, method, path, body).await?;
        let status = response.get_status_code();
        if status != 200 {
            return Err(WorkError::Status(service, status));
        }
        let answer = Body::of_response(response).collect(ANSWER_BYTES_MAX).await;
        answer.map_err(|error| WorkError::Body(service, error))
    };
    let outcome = clock::timeout(HTTP_BOUND, exchange).await;
    outcome.map_err(|elapsed| WorkError::Elapsed(service, elapsed))?
}

async fn send(service: &'static str, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Response, WorkError> {
    let fields = Fields::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (mut writer, contents) = match &body {
        Some(bytes) => {
            set(&fields, "content-type", "application/octet-stream")?;
            set(&fields, "content-length", &bytes.len().to_string())?;
            let (writer, reader) = wit_stream::new();
            (Some(writer), Some(reader))
        }
        None => (None, None),
    };
    let (request, _sent) = Request::new(fields, contents, trailers, None);
    let set = |part, outcome: Result<(), ()>| outcome.map_err(|()| WorkError::Request(part));
    set("method", request.set_method(&method))?;
    set("scheme", request.set_scheme(Some(&Scheme::Http)))?;
    set("authority", request.set_authority(Some(service)))?;
    set("path", request.set_path_with_query(Some(path)))?;
    let write = async {
        if let (Some(writer), Some(bytes)) = (&mut writer, body) {
            // What a service does not read, its answer explains.
            writer.write_all(bytes).await;
        }
        writer = None;
    };
    let (response, ()) = join(client::send(request), write).await;
    response.map_err(|code| WorkError::Http(service, code))
}

fn set(fields: &Fields, name: &'static str, value: &str) -> Result<(), WorkError> {
    fields.set(name, &[value.as_bytes().to_vec()]).map_err(|_| WorkError::Request(name))
}

/// The counters and the wallet, over one connection that is opened when needed.
#[derive(Default)]
pub struct Redis {
    client: Option<Client>,
}

impl Redis {
    pub async fn add_hashes(&mut self, units: u64) -> Result<(), WorkError> {
        self.integer(&[b"INCRBY", b"hashes", units.to_string().as_bytes()]).await.map(drop)
    }

    /// Puts a coin into the wallet; false when it was there already.
    pub async fn add_coin(&mut self, digest: &str, bytes: &[u8]) -> Result<bool, WorkError> {
        let created = self.integer(&[b"HSET", b"wallet", digest.as_bytes(), bytes]).await?;
        Ok(created != 0)
    }

    /// Sends one command that answers an integer. The client is put back only after a success, so
    /// that an error, or a wait given up, leaves no half-read connection behind.
    async fn integer(&mut self, command: &[&[u8]]) -> Result<i64, WorkError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::open("redis", REDIS_PORT, REDIS_BOUND).await?,
        };
        let answer = client.call(command).await?;
        let Value::Integer(number) = answer else { return Err(WorkError::Answer("redis")) };
        self.client = Some(client);
        Ok(number)
    }
}
