//! Secrets and configs on their way to the tasks that have them, over streams of kind `File`.
//!
//! An agent asks a manager for the files of one task. The manager opens secrets and answers only when that task is
//! assigned to the node that asks, by the node's certificate, and has those files; so a node gets the files of its own
//! tasks and no others. On the node they live in memory alone, as long as a task there has them.
mod local;
mod service;

use std::fmt;

use bytes::Bytes;
use minicloud_core::id::{FileId, Index, TaskId};
use serde::{Deserialize, Serialize};

pub use local::{ClusterFiles, FileSource, Held};
pub use service::{FileDesk, FileService};

/// Which files of which task; the answer is a [`Told`], then one [`Content`] for each in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub task: TaskId,
    pub files: Vec<FileId>,
    /// The view in which the task was assigned: a manager that is behind waits for it.
    pub index: Index,
}

type Told = Result<(), Denied>;

/// Why files were not handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denied {
    /// Another manager will not do it either.
    Refused(String),
    /// This manager cannot now.
    Later(String),
}

/// The content of a file, wiped from memory when the last handle is dropped. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Bytes);

impl Content {
    pub fn new(content: zeroize::Zeroizing<Vec<u8>>) -> Content {
        struct Owner(zeroize::Zeroizing<Vec<u8>>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Content(Bytes::from_owner(Owner(content)))
    }

    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}
