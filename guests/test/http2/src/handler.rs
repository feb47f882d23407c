//! The `wasi:http/incoming-handler` export: a fresh instance for each request.

use crate::proxy;
use std::cell::Cell;
use std::io::{Read, Write};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

struct Service;
wasip2::http::proxy::export!(Service);

impl Guest for Service {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let head = matches!(request.method(), Method::Head);
        let (status, body) = answer(&request);
        if let Err(error) = respond(out, status, &body, head) {
            // The client has left.
            let _ = writeln!(std::io::stderr(), "error: {error}");
        }
    }
}

fn answer(request: &IncomingRequest) -> (u16, Vec<u8>) {
    let path = request.path_with_query().unwrap_or_default();
    let (resource, query) = path.split_once('?').unwrap_or((&path, ""));
    let value = query.split_once('=').map_or("", |(_, value)| value);
    let count = REQUESTS.get() + 1;
    REQUESTS.set(count);
    let text = |status: u16, text: String| (status, text.into_bytes());
    match resource {
        "/" => {
            let host = std::env::var("HOSTNAME").unwrap_or_default();
            text(200, format!("{} {path} on {host} request {count}\n", method(&request.method())))
        }
        "/get" => proxy::get(value).unwrap_or_else(|error| text(502, format!("{error}\n"))),
        "/slow" => {
            std::thread::sleep(std::time::Duration::from_millis(value.parse().unwrap_or(100)));
            text(200, "slow\n".to_owned())
        }
        "/body" => echo(request).map_or_else(|error| text(400, error), |body| (200, body)),
        "/headers" => text(200, headers(request)),
        "/status" => text(value.parse().unwrap_or(500), "as asked\n".to_owned()),
        "/trap" => std::process::abort(),
        _ => text(404, "not found\n".to_owned()),
    }
}

fn echo(request: &IncomingRequest) -> Result<Vec<u8>, String> {
    let body = request.consume().map_err(|()| "no body")?;
    let mut stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn headers(request: &IncomingRequest) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in request.headers().entries() {
        lines.push(format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    lines.sort();
    format!("authority: {}\n{}", request.authority().unwrap_or_default(), lines.concat())
}

fn respond(out: ResponseOutparam, status: u16, bytes: &[u8], head: bool) -> Result<(), String> {
    let length = bytes.len().to_string().into_bytes();
    let fields = Fields::from_list(&[("content-length".to_owned(), length)]);
    let fields = fields.map_err(|error| format!("{error:?}"))?;
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).map_err(|()| "status code")?;
    let body = response.body().map_err(|()| "no body")?;
    ResponseOutparam::set(out, Ok::<_, ErrorCode>(response));
    if !head {
        let mut stream = body.write().map_err(|()| "no stream")?;
        stream.write_all(bytes).and_then(|()| Write::flush(&mut stream)).map_err(|error| error.to_string())?;
    }
    OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))
}

fn method(method: &Method) -> String {
    match method {
        Method::Other(name) => name.clone(),
        named => format!("{named:?}").rsplit("::").next().unwrap_or_default().to_uppercase(),
    }
}
