//! One HTTP exchange over the socket.
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::broken;
use super::{Client, ClientError, Lines, NetworkStream, Result};
use crate::api::socket;

/// Bytes of an answer that is taken whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        whole(self.exchange(Method::GET, path, "", Bytes::new()).await?).await
    }

    pub(super) async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(broken)?;
        whole(self.exchange(method, path, "application/json", body.into()).await?).await
    }

    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, body: Bytes) -> Result<T> {
        whole(self.exchange(Method::POST, path, "application/wasm", body).await?).await
    }

    pub(super) async fn stream<T>(&self, path: &str) -> Result<Lines<T>> {
        let response = self.exchange(Method::GET, path, "", Bytes::new()).await?;
        Ok(Lines::new(success(response).await?.into_body()))
    }

    pub(super) async fn send_for_lines<T>(&self, path: &str, body: &impl Serialize) -> Result<Lines<T>> {
        let body = serde_json::to_vec(body).map_err(broken)?;
        let response = self.exchange(Method::POST, path, "application/json", body.into()).await?;
        Ok(Lines::new(success(response).await?.into_body()))
    }

    pub(super) async fn upgrade(&self, path: &str) -> Result<NetworkStream> {
        let mut request = self.request(Method::POST, path, "", Bytes::new())?;
        request.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static(UPGRADE_PROTOCOL));
        let response = self.dispatch(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(response).await.map(TokioIo::new).map_err(broken);
        }
        success(response).await?;
        Err(broken("it did not switch protocols"))
    }

    async fn exchange(&self, method: Method, path: &str, content_type: &'static str, body: Bytes) -> Result<Response<Incoming>> {
        self.dispatch(self.request(method, path, content_type, body)?).await
    }

    fn request(&self, method: Method, path: &str, content_type: &'static str, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "minicloud");
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        request.body(Full::new(body)).map_err(broken)
    }

    async fn dispatch(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let stream = socket::connect(&self.socket).await.map_err(|error| ClientError::connecting(&self.socket, error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends by itself: with the answer, or when the body or the upgraded stream is dropped.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(broken)
    }
}

/// What a raw stream is called in the `upgrade` header.
pub const UPGRADE_PROTOCOL: &str = "minicloud-stream";

async fn whole<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = bytes_of(success(response).await?).await?;
    serde_json::from_slice(&body).map_err(broken)
}

async fn success(response: Response<Incoming>) -> Result<Response<Incoming>> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    Err(ClientError::answered(status, &bytes_of(response).await?))
}

async fn bytes_of(response: Response<Incoming>) -> Result<Bytes> {
    Ok(Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(broken)?.to_bytes())
}
