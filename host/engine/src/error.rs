//! Why the engine refuses or fails: rejections name what the user can mend.
use std::path::PathBuf;

use minicloud_core::spec::Digest;
use minicloud_net::NetError;

/// A rejection (the component or the spec is wrong) or a failure (this machine cannot do it now).
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Rejection: the bytes are not WebAssembly.
    #[error("not a WebAssembly component: {reason}; build with `cargo build --target wasm32-wasip2`")]
    NotAComponent { reason: String },
    /// Rejection: a core module.
    #[error("a core WebAssembly module, not a component; build for wasm32-wasip2, or wrap it with `wasm-tools component new`")]
    CoreModule,
    /// Rejection: the component needs what no task has.
    #[error("the component imports what minicloud does not offer: {}", names.join(", "))]
    UnknownImports { names: Vec<String> },
    /// Rejection: an import is offered, but with another type.
    #[error("the component does not fit the interfaces offered here: {reason}")]
    Incompatible { reason: String },
    /// Rejection: nothing to run.
    #[error("the component exports neither wasi:cli/run (a command) nor wasi:http/handler or wasi:http/incoming-handler (an HTTP service)")]
    NothingToRun,
    /// Rejection: the bytes do not belong to the digest.
    #[error("the component's bytes have digest {found}, expected {expected}")]
    WrongDigest { expected: Digest, found: Digest },
    /// Rejection: too large to compile.
    #[error("the component has {bytes} bytes, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// Failure: the component's file cannot be read.
    #[error("cannot read the component at {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// Rejection: a volume, or a folder or file of the host, cannot be shown to the task.
    #[error("cannot mount {} at {guest}: {reason}", host.display())]
    Volume { guest: String, host: PathBuf, reason: String },
    /// Failure: the task's port cannot be bound.
    #[error("cannot listen on port {port} of the task: {source}")]
    Listen { port: u16, source: NetError },
    /// Rejection: the component broke while it was instantiated.
    #[error("the component failed to start: {message}")]
    StartFailed { message: String, backtrace: String },
    /// Failure: the start took too long.
    #[error("the component did not start within {seconds} s")]
    StartTimeout { seconds: u64 },
    /// Failure: this node has no room for another instance.
    #[error("this node cannot hold another instance: {reason}")]
    Full { reason: String },
    /// Failure: the folder of compiled components cannot be used.
    #[error("cannot use the cache folder {}: {reason}", path.display())]
    Cache { path: PathBuf, reason: String },
    /// Failure: the runtime itself cannot be set up.
    #[error("cannot set up the WebAssembly runtime: {reason}")]
    Setup { reason: String },
    /// Failure: the engine is shutting down.
    #[error("the engine is shutting down")]
    Closed,
}

impl EngineError {
    /// The user can mend it: another node, or another try, would refuse as well.
    pub fn is_rejection(&self) -> bool {
        match self {
            EngineError::NotAComponent { .. }
            | EngineError::CoreModule
            | EngineError::UnknownImports { .. }
            | EngineError::Incompatible { .. }
            | EngineError::NothingToRun
            | EngineError::WrongDigest { .. }
            | EngineError::TooLarge { .. } => true,
            EngineError::Unreadable { .. }
            | EngineError::Volume { .. }
            | EngineError::Listen { .. }
            | EngineError::StartFailed { .. }
            | EngineError::StartTimeout { .. }
            | EngineError::Full { .. }
            | EngineError::Cache { .. }
            | EngineError::Setup { .. }
            | EngineError::Closed => false,
        }
    }
}
