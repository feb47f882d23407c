//! Services: what is asked for, how it stands, how busy it is.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::{Index, ServiceId};
use minicloud_core::spec::{EndpointMode, Labels, Mount, PublishedPort, ServiceMode, ServiceSpec};
use minicloud_core::state::UpdateProgress;
use minicloud_core::time::Timestamp;

use super::{FileUse, HealthChange, RestartChange, UpdateConfigChange};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceSummary {
    pub id: ServiceId,
    pub name: String,
    pub mode: Mode,
    pub replicas_running: u32,
    /// Of a job: how many may run at once.
    pub replicas_desired: u32,
    /// Absent for what is no job.
    #[serde(default)]
    pub job: Option<JobCount>,
    pub image: String,
    pub ports: Vec<PublishedPort>,
    #[serde(default)]
    pub labels: Labels,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    #[default]
    Replicated,
    Global,
    ReplicatedJob,
    GlobalJob,
}

impl Mode {
    /// Its tasks are to end.
    pub fn is_job(self) -> bool {
        matches!(self, Mode::ReplicatedJob | Mode::GlobalJob)
    }

    /// One task on every node, so that it has no number of its own.
    pub fn is_per_node(self) -> bool {
        matches!(self, Mode::Global | Mode::GlobalJob)
    }
}

impl From<ServiceMode> for Mode {
    fn from(mode: ServiceMode) -> Mode {
        match mode {
            ServiceMode::Replicated { .. } => Mode::Replicated,
            ServiceMode::Global => Mode::Global,
            ServiceMode::ReplicatedJob { .. } => Mode::ReplicatedJob,
            ServiceMode::GlobalJob => Mode::GlobalJob,
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCount {
    /// Tasks that have run to their end.
    pub completed: u32,
    /// Tasks that are to.
    pub total: u32,
}

/// `GET /v1/services/{service}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceDetail {
    #[serde(flatten)]
    pub summary: ServiceSummary,
    pub spec: ServiceSpec,
    pub previous_spec: Option<ServiceSpec>,
    /// Its virtual address on each network.
    pub vips: Vec<ServiceVip>,
    pub update: Option<UpdateProgress>,
    /// Published ports that a node could not bind.
    #[serde(default)]
    pub port_problems: Vec<PortProblem>,
    pub created_at_ms: Timestamp,
    pub updated_at_ms: Timestamp,
    pub version: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceVip {
    /// Name of the network.
    pub network: String,
    #[schema(value_type = Option<String>)]
    pub address: Option<Ipv4Addr>,
}

/// A published port that a node could not bind; it tries again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortProblem {
    /// Hostname of the node.
    pub node: String,
    /// Where it tried to listen: `0.0.0.0:8000/tcp`.
    pub listen: String,
    pub error: String,
}

/// `POST /v1/services`. Networks are named; they are resolved by the manager that answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateService {
    /// Absent: made from the image's name.
    #[serde(default)]
    pub name: Option<String>,
    /// A bundled name (`redis`), or `sha256:…` of a component that was sent with `POST /v1/images`.
    pub image: String,
    /// What to show in place of a digest: the path of the file.
    #[serde(default)]
    pub image_name: Option<String>,
    #[serde(default)]
    pub mode: Mode,
    /// Absent: 1. Means nothing for a global service. Of a job: how many tasks are to run to their end.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Tasks of a replicated job at once; absent or 0: all.
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub networks: Vec<String>,
    /// One task in the foreground of a user, as `run` starts it: its networks must be attachable.
    #[serde(default)]
    pub foreground: bool,
    /// Further names of the service, by the network on which it has them.
    #[serde(default)]
    pub aliases: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub endpoint_mode: EndpointMode,
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    #[serde(default)]
    pub secrets: Vec<FileUse>,
    #[serde(default)]
    pub configs: Vec<FileUse>,
    #[serde(default)]
    pub limit_memory_bytes: Option<u64>,
    #[serde(default)]
    pub limit_cpu_millis: Option<u32>,
    #[serde(default)]
    pub reserve_memory_bytes: Option<u64>,
    #[serde(default)]
    pub reserve_cpu_millis: Option<u32>,
    #[serde(default)]
    pub concurrency: Option<u32>,
    #[serde(default)]
    pub http_port: Option<u16>,
    /// `node.role==worker` and so on.
    #[serde(default)]
    pub constraints: Vec<String>,
    #[serde(default)]
    pub replicas_max_per_node: Option<u32>,
    /// `spread=node.labels.zone` and so on; the first weighs most.
    #[serde(default)]
    pub placement_preferences: Vec<String>,
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub health: HealthChange,
    #[serde(default)]
    pub stop_grace_ms: Option<u64>,
    #[serde(default)]
    pub restart: RestartChange,
    #[serde(default)]
    pub update: UpdateConfigChange,
    #[serde(default)]
    pub rollback: UpdateConfigChange,
}

/// `POST /v1/services/{service}/update`. What is absent stays as it is; `*_rm` goes before `*_add`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateService {
    /// The version that the change was made from; another one is refused. Absent: whatever it is now.
    #[serde(default)]
    pub version: Option<Index>,
    #[serde(default)]
    pub image: Option<String>,
    #[serde(default)]
    pub image_name: Option<String>,
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub replicas: Option<u32>,
    /// 0: all at once.
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub networks_add: Vec<String>,
    #[serde(default)]
    pub networks_rm: Vec<String>,
    #[serde(default)]
    pub endpoint_mode: Option<EndpointMode>,
    #[serde(default)]
    pub ports_add: Vec<PublishedPort>,
    /// By target port, as `--publish-rm 80` names it.
    #[serde(default)]
    pub ports_rm: Vec<u16>,
    #[serde(default)]
    pub env_add: BTreeMap<String, String>,
    #[serde(default)]
    pub env_rm: Vec<String>,
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub args: Option<Vec<String>>,
    #[serde(default)]
    pub mounts_add: Vec<Mount>,
    /// By target path inside the task.
    #[serde(default)]
    pub mounts_rm: Vec<String>,
    #[serde(default)]
    pub secrets_add: Vec<FileUse>,
    /// By name or id.
    #[serde(default)]
    pub secrets_rm: Vec<String>,
    #[serde(default)]
    pub configs_add: Vec<FileUse>,
    /// By name or id.
    #[serde(default)]
    pub configs_rm: Vec<String>,
    /// 0: the default.
    #[serde(default)]
    pub limit_memory_bytes: Option<u64>,
    /// 0: no cap.
    #[serde(default)]
    pub limit_cpu_millis: Option<u32>,
    #[serde(default)]
    pub reserve_memory_bytes: Option<u64>,
    #[serde(default)]
    pub reserve_cpu_millis: Option<u32>,
    /// 0: the image's default.
    #[serde(default)]
    pub concurrency: Option<u32>,
    #[serde(default)]
    pub http_port: Option<u16>,
    #[serde(default)]
    pub constraints_add: Vec<String>,
    #[serde(default)]
    pub constraints_rm: Vec<String>,
    /// 0: no bound.
    #[serde(default)]
    pub replicas_max_per_node: Option<u32>,
    #[serde(default)]
    pub placement_preferences_add: Vec<String>,
    #[serde(default)]
    pub placement_preferences_rm: Vec<String>,
    #[serde(default)]
    pub labels_add: Labels,
    #[serde(default)]
    pub labels_rm: Vec<String>,
    #[serde(default)]
    pub health: HealthChange,
    #[serde(default)]
    pub stop_grace_ms: Option<u64>,
    #[serde(default)]
    pub restart: RestartChange,
    #[serde(default)]
    pub update: UpdateConfigChange,
    #[serde(default)]
    pub rollback: UpdateConfigChange,
    /// Replace every task though nothing else changed.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/services/{service}/rollback`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RollbackService {
    /// The version that is to be left; another one is refused. Absent: whatever it is now.
    #[serde(default)]
    pub version: Option<Index>,
}

/// `POST /v1/services/scale`: all of them, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScaleServices {
    /// By name or id.
    pub services: BTreeMap<String, u32>,
}
