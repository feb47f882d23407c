//! `volumes`, `secrets` and `configs`: what is declared, and what a service mounts of it.
use serde::Deserialize;

use super::{At, External, KeyValues};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeModel {
    pub name: Option<At<String>>,
    pub driver: Option<At<String>>,
    pub external: External,
    pub labels: KeyValues,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeMountModel {
    #[serde(rename = "type")]
    pub kind: VolumeKind,
    pub source: Option<String>,
    pub target: Option<String>,
    pub read_only: bool,
    pub bind: BindModel,
}

/// How a folder of the machine is mounted.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BindModel {
    pub create_host_path: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum VolumeKind {
    #[default]
    Volume,
    Bind,
    Tmpfs,
    Npipe,
    Cluster,
    Image,
}

/// A secret or a config.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileModel {
    pub name: Option<At<String>>,
    pub file: Option<At<String>>,
    pub environment: Option<At<String>>,
    pub content: Option<At<String>>,
    pub external: External,
    pub labels: KeyValues,
    pub template_driver: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileMountModel {
    pub source: Option<String>,
    pub target: Option<String>,
}
