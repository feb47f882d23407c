//! Turns a [`Reply`] into a WASI response, and writes the access log.

use crate::reply::Reply;
use crate::{clock, log};
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

/// What a handler needs of a request's first line, kept after the request is consumed.
#[derive(Debug, Clone)]
pub struct RequestLine {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Address of the client; only the host's word for it is believed.
    pub client: Option<String>,
}

impl RequestLine {
    pub fn of(request: &Request) -> Self {
        let path = request.get_path_with_query();
        let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
        Self { method: method_name(request.get_method()), path, client: client(request) }
    }

    /// The method a resource decides on: `HEAD` is `GET` whose body is not sent.
    pub fn effective_method(&self) -> &str {
        if self.is_head() { "GET" } else { &self.method }
    }

    /// The path without its query.
    pub fn resource(&self) -> &str {
        self.path.split_once('?').map_or(&self.path, |(path, _)| path)
    }

    fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// The last of those that the request is said to come from: the host adds it, what stands before it anybody may claim.
fn client(request: &Request) -> Option<String> {
    let value = request.get_headers().get("x-forwarded-for").pop()?;
    let list = String::from_utf8(value).ok()?;
    list.rsplit(',').next().map(|last| last.trim().to_owned())
}

/// Answers the request, and logs it once the answer is on its way. Headers tell the length of a body even where it is
/// not sent, as for `HEAD`.
pub fn respond(line: &RequestLine, reply: Reply) -> Result<Response, ErrorCode> {
    let fields = fields(&reply)?;
    let body = if line.is_head() { Vec::new() } else { reply.body.into_owned() };
    let bytes = body.len();
    let (writer, contents) = if body.is_empty() {
        (None, None)
    } else {
        let (writer, reader) = wit_stream::new();
        (Some(writer), Some(reader))
    };
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, contents, trailers);
    response.set_status_code(reply.status).map_err(|()| internal("status code"))?;
    let line = line.clone();
    spawn_local(async move {
        if let Some(mut writer) = writer {
            // The client may leave early: the rest of the body is then nobody's.
            writer.write_all(body).await;
        }
        let client = line.client.as_deref();
        log::line(log::access(clock::unix_seconds(), client, &line.method, &line.path, reply.status, bytes));
    });
    Ok(response)
}

fn fields(reply: &Reply) -> Result<Fields, ErrorCode> {
    let mut entries = Vec::new();
    // The length of a 304 would be that of the body the client holds (RFC 9110, 8.6).
    if reply.status != 304 {
        let length = reply.body.len().to_string();
        entries.push(("content-length".to_owned(), length.into_bytes()));
    }
    let own = reply.headers.iter();
    entries.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())));
    Fields::from_list(&entries).map_err(|error| internal(&format!("{error:?}")))
}

fn internal(reason: &str) -> ErrorCode {
    ErrorCode::InternalError(Some(reason.to_owned()))
}

fn method_name(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    };
    name.to_owned()
}
