//! Ctrl-C while a command waits: what was asked for goes on without it.
use std::fmt;

/// The user did not want to wait any longer.
#[derive(Debug)]
pub struct Interrupted {
    see: String,
}

impl Interrupted {
    pub fn service(service: &str) -> Self {
        Interrupted { see: format!("service ps {service}") }
    }

    pub fn stack(stack: &str) -> Self {
        Interrupted { see: format!("stack ps {stack}") }
    }

    pub fn node(node: &str) -> Self {
        Interrupted { see: format!("node ps {node}") }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operation continues in the background; see 'minicloud {}'", self.see)
    }
}

impl std::error::Error for Interrupted {}

/// Resolves when the user presses Ctrl-C.
pub async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
