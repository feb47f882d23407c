//! What travels over the API, as data: used by the handlers, by `client.rs` and by the command line.
//!
//! Keys are in snake case and stable: scripts read them. New fields are added with a default, none is renamed.
mod change;
mod cluster;
mod declared;
mod event;
mod file;
mod image;
mod logs;
mod network;
mod node;
mod progress;
mod service;
mod task;
mod usage;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::Index;

pub use change::{HealthChange, RestartChange, UpdateConfigChange};
pub use cluster::{Info, JoinToken, LeaderSummary, ManagerSummary, Version};
pub use declared::{Checked, Declared, Outcome};
pub use event::{EventLine, EventQuery};
pub use file::{Base64, CreateFile, DeclaredFile, FileDetail, FileSummary, FileUse, UpdateFile};
pub use image::{ImageDetail, ImageName, ImageSummary, ImportImage, PrunedImages, RemovedImage, TagImage, Transfer, TransferImage};
pub use logs::{LogLine, LogQuery};
pub use network::{CreateNetwork, CreateVolume, NetworkDetail, NetworkSummary, VolumeDetail, VolumeSummary};
pub use node::{ManagerStatus, NodeDetail, NodeSummary};
pub use progress::{Progress, ProgressTask};
pub use service::{
    CreateService, JobCount, Mode, PortProblem, RollbackService, ScaleServices, ServiceDetail, ServiceSummary, ServiceVip, UpdateService,
};
pub use task::TaskSummary;
pub use usage::{NodeStats, NodeUsage, ServiceUsage, Stats, StatsQuery, TaskUsageLine};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// One clear line that says what to do.
    pub error: String,
    pub kind: ErrorKind,
}

/// What kind of refusal or failure an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    NotFound,
    Conflict,
    Invalid,
    /// Made from an older version of the row; read again and retry.
    Stale,
    /// This node cannot answer now, or is not the one to ask.
    Unavailable,
    /// A fault of ours, or of this machine.
    Internal,
}

/// A row was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    pub id: String,
    pub name: String,
    /// Where in the log the change stands.
    pub index: Index,
    /// What the user should know though it was done.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A row was changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Where in the log the change stands.
    pub index: Index,
    /// What the user should know though it was done.
    #[serde(default)]
    pub warnings: Vec<String>,
}
