//! A compose file as types: what the specification says, before it is put into minicloud's words.
//!
//! Keys that are not here are mistakes, but for those of `meaningless` and for `x-…`. The name of each type is the one
//! that `meaningless` and `de` know it by.
mod deploy;
mod mount;
mod network;
mod port;
mod service;
mod values;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use crate::de::At;
pub use deploy::{
    ActionWord, DeployMode, DeployModel, EndpointWord, LimitsModel, OrderWord, PlacementModel, PreferenceModel, ResourceModel,
    RestartModel, RestartWord, UpdateModel,
};
pub use mount::{FileModel, FileMountModel, VolumeKind, VolumeModel, VolumeMountModel};
pub use network::{AttachmentModel, IpamModel, IpamPoolModel, NetworkModel};
pub use port::{ModeWord, PortModel, ProtocolWord};
pub use service::{BuildModel, ConditionWord, DependencyModel, EnvFileModel, HealthModel, MinicloudModel, ServiceModel, Test};
pub use values::{Bytes, Cores, External, KeyValues, Milliseconds, Named, Ratio, Texts, Words, milliseconds};

/// A whole file, after all files were merged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Compose {
    /// Of old files; says nothing any more.
    pub version: Option<String>,
    pub name: Option<At<String>>,
    pub services: BTreeMap<String, At<ServiceModel>>,
    pub networks: BTreeMap<String, At<NetworkModel>>,
    pub volumes: BTreeMap<String, At<VolumeModel>>,
    pub secrets: BTreeMap<String, At<FileModel>>,
    pub configs: BTreeMap<String, At<FileModel>>,
}
