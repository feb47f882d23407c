//! A node: brings its parts up, introduces them to each other, and takes them down in order.
//!
//! Owns no behaviour: what a part does stands in its own file. Called by the binary, and by tests that run nodes in
//! one process.
mod duties;
mod enter;
mod options;
mod parts;
mod peers;
mod role;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use options::{Addresses, DnsDoor, NodeOptions, Start};

use crate::data_dir::DataDir;
use crate::env::Env;
use enter::PidFile;
use parts::Parts;

/// A node that serves. See the module.
pub struct Node {
    parts: Parts,
    /// Cancelled when the API is asked for the node's end.
    stop: CancellationToken,
    _pid: PidFile,
}

impl Node {
    /// Founds, joins or opens, and returns once the node serves its API.
    pub async fn start(options: NodeOptions, start: Start) -> anyhow::Result<Node> {
        // Fails when another part of the process chose one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let env = Env::real();
        let dir = DataDir::lock(&options.data_dir)?;
        let pid = PidFile::write(dir.path())?;
        let (member, settings) = enter::enter(&env, dir, start).await?;
        let stop = CancellationToken::new();
        let parts = Parts::start(options, member, settings, &stop).await?;
        Ok(Node { parts, stop, _pid: pid })
    }

    /// Serves until `end` resolves, or the API or a fatal fault ends it; then stops in order.
    pub async fn run_until(self, end: impl Future<Output = ()>) {
        tokio::select! {
            () = end => {}
            () = self.stop.cancelled() => info!("told to end through the API"),
            reason = self.parts.failed() => error!(reason, "consensus stopped on this node, so the node ends"),
        }
        self.parts.stop().await;
        info!("ended");
    }
}
