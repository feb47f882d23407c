//! The `wasi:http/handler` export: one long-lived instance serves many requests at once.

use crate::answer::{self, Answer};
use crate::content;
use guest_common::log;
use guest_common::serve::{RequestLine, respond};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

struct RegistryService;
wasip3::http::service::export!(RegistryService);

impl Guest for RegistryService {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let line = RequestLine::of(&request);
        match answer::answer(&line, request).await {
            Ok(Answer::Reply(reply)) => respond(&line, reply.header("docker-distribution-api-version", "registry/2.0")),
            Ok(Answer::Content(content)) => content::respond(&line, content).await,
            Err(fault) => {
                if fault.status >= 500 {
                    log::line(format!("error: {}", fault.message));
                }
                respond(&line, fault.reply().header("docker-distribution-api-version", "registry/2.0"))
            }
        }
    }
}
