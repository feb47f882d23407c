//! Answers that come line by line: one JSON value each.
use std::convert::Infallible;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Lines that wait for a slow client.
const LINES_WAITING_MAX: usize = 64;

/// A response whose lines a task sends, at the pace of the client.
pub fn response<F>(tell: impl FnOnce(mpsc::Sender<Bytes>) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (told, lines) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(tell(told));
    let lines = ReceiverStream::new(lines).map(Ok::<Bytes, Infallible>);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// A value as one line.
pub fn line(value: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).expect("an API type is plain data");
    bytes.push(b'\n');
    bytes.into()
}
