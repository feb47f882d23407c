//! A project in minicloud's words: what `compose` and `stack` create, with the names that it gets in the cluster.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use minicloud_core::spec::{Constraint, EndpointMode, FailureAction, Labels, PublishedPort, Resources, RestartPolicy, UpdateOrder};

use crate::health::Health;
use crate::place::{Place, Warning};

/// Whose habits hold where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// One node; a service that ends is not started again unless it says so.
    Compose,
    /// A cluster, as `docker stack` has it.
    Stack,
}

#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    pub folder: PathBuf,
    /// The services that are wanted, by name; those they need come earlier in `start_order`.
    pub services: Vec<Service>,
    /// Keys of services that no chosen profile names.
    pub disabled: Vec<String>,
    pub networks: Vec<ProjectNetwork>,
    pub volumes: Vec<ProjectVolume>,
    pub secrets: Vec<ProjectFile>,
    pub configs: Vec<ProjectFile>,
    pub warnings: Vec<Warning>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name in the file, and in its networks.
    pub key: String,
    /// Its name in the cluster: `project_key`.
    pub name: String,
    pub at: Place,
    pub source: Source,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub hostname: Option<String>,
    pub mode: Mode,
    pub max_per_node: Option<u32>,
    /// Node labels to spread over, as `node.labels.zone`.
    pub spread: Vec<String>,
    pub constraints: Vec<Constraint>,
    pub networks: Vec<NetworkRef>,
    pub endpoint_mode: EndpointMode,
    pub ports: Vec<PublishedPort>,
    pub mounts: Vec<VolumeMount>,
    pub secrets: Vec<FileMount>,
    pub configs: Vec<FileMount>,
    pub labels: Labels,
    pub resources: Resources,
    pub restart: RestartPolicy,
    pub update: Update,
    pub rollback: Update,
    pub health: Option<Health>,
    pub stop_grace_ms: Option<u64>,
    pub concurrency: Option<u32>,
    pub http_port: Option<u16>,
    pub needs: Vec<Dependency>,
    /// `up` in the foreground shows its lines.
    pub attach: bool,
    /// `None`: the registry is asked what the name stands for, and what is here will do where it does not answer.
    pub pull: Option<Pull>,
}

/// When an image is fetched from its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    Always,
    /// When the node has no image of the name.
    Missing,
    Never,
}

/// Where the component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Image(String),
    Build(Build),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    pub folder: PathBuf,
    /// Variables of the build command.
    pub args: BTreeMap<String, String>,
    /// The name it gets, when `image` gives one.
    pub image: Option<String>,
    /// It is built again each time.
    pub always: bool,
    pub at: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Replicated { replicas: u32 },
    Global,
    ReplicatedJob { completions: u32 },
    GlobalJob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRef {
    /// Its name in the cluster.
    pub network: String,
    pub aliases: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    pub source: MountSource,
    pub target: String,
    pub read_only: bool,
    pub at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A volume by its name in the cluster.
    Volume(String),
    /// A folder or file of the machine; `make`: a folder, if nothing is there.
    Host { path: PathBuf, make: bool },
}

/// A secret or config as a file of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMount {
    /// Its name in the cluster.
    pub name: String,
    /// Where the task finds it: a path, or a name below the usual folder.
    pub target: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub key: String,
    pub condition: Condition,
    pub required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Started,
    Healthy,
    Completed,
}

/// What an update or rollback says; what is absent has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Update {
    pub parallelism: Option<u32>,
    pub delay_ms: Option<u64>,
    pub order: Option<UpdateOrder>,
    pub monitor_ms: Option<u64>,
    pub failure_action: Option<FailureAction>,
    pub max_failure_permille: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectNetwork {
    pub key: String,
    pub name: String,
    /// It exists already, and is left as it is.
    pub external: bool,
    pub internal: bool,
    pub attachable: bool,
    pub subnet: Option<String>,
    pub labels: Labels,
    pub at: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectVolume {
    pub key: String,
    pub name: String,
    pub external: bool,
    pub labels: Labels,
    pub at: Place,
}

/// A secret or config that the project declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    pub key: String,
    pub name: String,
    /// `None`: it exists already.
    pub content: Option<Content>,
    pub labels: Labels,
    pub at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(PathBuf),
    Text(String),
}

impl Service {
    /// Tasks that are wanted; `None`: one on every node.
    pub fn replicas(&self) -> Option<u32> {
        match self.mode {
            Mode::Replicated { replicas } | Mode::ReplicatedJob { completions: replicas } => Some(replicas),
            Mode::Global | Mode::GlobalJob => None,
        }
    }
}

/// An address that means every address.
pub(crate) fn specific(address: IpAddr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address)
}
