//! What users declare: services, networks, volumes, and the words for nodes. Plain data; every new field gets a default.
mod constraint;
mod file;
mod health;
mod image;
mod mount;
mod node;
mod placeholder;
mod placement;
mod port;
mod task;
mod update;

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::{NetworkId, NodeId};

pub use constraint::{Constraint, ConstraintKey, ParseConstraintError};
pub use file::{FILE_MODE_DEFAULT, FileKind, FileReference, FileSpec, Fingerprint, Payload};
pub use health::{HealthCheck, HealthProbe};
pub use image::{Digest, Image, ParseDigestError};
pub use mount::{Mount, MountKind};
pub use node::{Availability, NodeDescription, NodeStatus, Role};
pub use placeholder::{ParsePlaceholderError, Placeholder, expand, has_placeholder};
pub use placement::{ParsePreferenceError, Placement, PlacementPreference};
pub use port::{Protocol, PublishMode, PublishedPort};
pub use task::{Resources, RestartCondition, RestartPolicy, TaskTemplate};
pub use update::{FailureAction, UpdateConfig, UpdateOrder, UpdateProgress, UpdateState};

/// Key-value labels, sorted.
pub type Labels = BTreeMap<String, String>;

/// A service: what runs, how many, and how it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceSpec {
    /// A DNS label, unique in the cluster; never changes.
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    pub mode: ServiceMode,
    pub task: TaskTemplate,
    /// Networks its tasks are attached to, in the order given.
    #[serde(default)]
    pub networks: Vec<NetworkAttachment>,
    #[serde(default)]
    pub endpoint_mode: EndpointMode,
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    #[serde(default)]
    pub update: UpdateConfig,
    /// How a rollback of this spec's successor replaces tasks.
    #[serde(default)]
    pub rollback: UpdateConfig,
}

impl ServiceSpec {
    /// When a task that ended is followed by another. What a job has done is not done again, so for it `any` is `on-failure`.
    pub fn restart_policy(&self) -> RestartPolicy {
        let policy = self.task.restart;
        match policy.condition {
            RestartCondition::Any if self.mode.is_job() => RestartPolicy { condition: RestartCondition::OnFailure, ..policy },
            _ => policy,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkAttachment {
    pub network: NetworkId,
    /// Further names of the service on this network.
    #[serde(default)]
    pub aliases: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServiceMode {
    /// This many tasks, spread over the nodes.
    Replicated { replicas: u32 },
    /// One task on every eligible node.
    Global,
    /// This many tasks that each run to their end once.
    ReplicatedJob {
        total: u32,
        /// Tasks at once; 0: all.
        #[serde(default)]
        max_concurrent: u32,
    },
    /// One task on every eligible node, which runs to its end once.
    GlobalJob,
}

impl ServiceMode {
    /// Its tasks are to end: done is what has run to its end.
    pub fn is_job(self) -> bool {
        matches!(self, ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob)
    }

    /// Its slots are nodes, so it has no number of its own.
    pub fn is_per_node(self) -> bool {
        matches!(self, ServiceMode::Global | ServiceMode::GlobalJob)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EndpointMode {
    /// The name resolves to one virtual address that spreads connections.
    #[default]
    Vip,
    /// The name resolves to the addresses of the running tasks.
    Dnsrr,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    /// `None`: a /16 of the cluster's pool.
    #[serde(default)]
    pub subnet: Option<Ipv4Net>,
    /// No way out of the cluster, whatever else its tasks are attached to.
    #[serde(default)]
    pub internal: bool,
    /// Foreground tasks and `minicloud proxy` may attach.
    #[serde(default)]
    pub attachable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    /// Node that holds the data; `None` until the first task that mounts it is placed.
    #[serde(default)]
    pub node: Option<NodeId>,
}
