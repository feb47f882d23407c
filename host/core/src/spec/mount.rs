//! What a task sees of files: volumes of the cluster, and folders and files of its node.
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mount {
    #[serde(default)]
    pub kind: MountKind,
    /// Name of the volume, which is created when it does not exist, or absolute path of the folder or file; with placeholders.
    // Records of 0.1 know volumes alone.
    #[serde(alias = "volume")]
    pub source: String,
    /// Absolute path inside the task.
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A volume, which lives where it was first used and pins its tasks to that node.
    #[default]
    Volume,
    /// A folder, or a single file, of whichever node the task is on; where it is not, the task is rejected.
    Bind,
}

impl Mount {
    /// Name of the volume, if it is one.
    pub fn volume(&self) -> Option<&String> {
        (self.kind == MountKind::Volume).then_some(&self.source)
    }
}
