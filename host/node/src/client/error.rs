//! What a call of the API can end with.
use std::io;
use std::path::{Path, PathBuf};

use crate::api::types::{ErrorBody, ErrorKind};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node refused, or could not.
    #[error("{message}")]
    Api { kind: ErrorKind, message: String, status: u16 },
    /// Nobody listens on the socket.
    #[error("no node runs here ({})", .0.display())]
    NotRunning(PathBuf),
    /// The connection broke, or what came is not of this API.
    #[error("the node did not answer; if it ended, minicloud.log in its data directory says why")]
    Io(#[from] io::Error),
}

impl ClientError {
    pub(super) fn connecting(socket: &Path, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                ClientError::NotRunning(socket.to_owned())
            }
            _ => ClientError::Io(io::Error::new(error.kind(), format!("{}: {error}", socket.display()))),
        }
    }

    pub(super) fn answered(status: u16, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(ErrorBody { error, kind }) => ClientError::Api { kind, message: error, status },
            Err(_) => {
                let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
                ClientError::Api { kind: ErrorKind::Internal, message: format!("the node answered {status}: {text}"), status }
            }
        }
    }

    /// The kind of the node's refusal, if it was one.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            ClientError::Api { kind, .. } => Some(*kind),
            ClientError::NotRunning(_) | ClientError::Io(_) => None,
        }
    }
}

pub(super) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Io(io::Error::other(error))
}
