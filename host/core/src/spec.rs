//! What users declare: services, networks, volumes. Plain data; every new field gets a default.
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::{NetworkId, NodeId};
use crate::limits;

/// Key-value labels, sorted.
pub type Labels = BTreeMap<String, String>;

/// A service: what runs, how many, and how it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    pub network: NetworkId,
    /// Further names of the service on this network.
    #[serde(default)]
    pub aliases: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceMode {
    /// This many tasks, spread over the nodes.
    Replicated { replicas: u32 },
    /// One task on every eligible node.
    Global,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointMode {
    /// The name resolves to one virtual address that spreads connections.
    #[default]
    Vip,
    /// The name resolves to the addresses of the running tasks.
    Dnsrr,
}

/// What one task runs. A task keeps the template it was created from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTemplate {
    pub image: Image,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Value of `HOSTNAME`; by default `<service>-<slot>`.
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Port on which an HTTP component is served at its task's address.
    #[serde(default = "http_port_default")]
    pub http_port: u16,
    /// Requests that an HTTP component serves at once; `None`: the image's default, else unbounded within the host's limits.
    #[serde(default)]
    pub concurrency: Option<u32>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub restart: RestartPolicy,
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Milliseconds a stopping task may drain.
    #[serde(default = "stop_grace_default")]
    pub stop_grace_ms: u64,
    /// Counted up by `update --force`, so that tasks are replaced though nothing else changed.
    #[serde(default)]
    pub force_update: u64,
}

fn http_port_default() -> u16 {
    80
}

fn stop_grace_default() -> u64 {
    limits::STOP_GRACE_DEFAULT.as_millis() as u64
}

impl TaskTemplate {
    /// A template with every default, for `image`.
    pub fn new(image: Image) -> Self {
        TaskTemplate {
            image,
            args: Vec::new(),
            env: BTreeMap::new(),
            hostname: None,
            mounts: Vec::new(),
            http_port: http_port_default(),
            concurrency: None,
            resources: Resources::default(),
            restart: RestartPolicy::default(),
            constraints: Vec::new(),
            stop_grace_ms: stop_grace_default(),
            force_update: 0,
        }
    }
}

/// The component a task runs: every task of a service runs the bytes with this digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Image {
    /// As the user named it: `redis`, or the path of a file.
    pub name: String,
    pub digest: Digest,
}

/// SHA-256 of a component's bytes. Text: `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a digest (sha256: and 64 hex digits)")]
pub struct ParseDigestError(String);

impl FromStr for Digest {
    type Err = ParseDigestError;
    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let error = || ParseDigestError(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(error)?;
        if hex.len() != 64 || !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Name of the volume; it is created when it does not exist.
    pub volume: String,
    /// Absolute path inside the task.
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Most bytes that all memories of the task may have together; 0: the default.
    #[serde(default)]
    pub limit_memory_bytes: u64,
    /// Most CPU time per second, in thousandths of a core; 0: no cap.
    #[serde(default)]
    pub limit_cpu_millis: u32,
    /// Memory that the scheduler sets aside, in bytes.
    #[serde(default)]
    pub reserve_memory_bytes: u64,
    /// CPU that the scheduler sets aside, in thousandths of a core.
    #[serde(default)]
    pub reserve_cpu_millis: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    #[serde(default)]
    pub condition: RestartCondition,
    /// Fixed wait in milliseconds; `None`: 100 ms, doubled with each failure up to 30 s.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// Restarts within the window; 0: no bound.
    #[serde(default)]
    pub max_attempts: u32,
    /// Milliseconds in which attempts are counted; 0: for ever.
    #[serde(default)]
    pub window_ms: u64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy { condition: RestartCondition::Any, delay_ms: None, max_attempts: 0, window_ms: 0 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartCondition {
    None,
    OnFailure,
    #[default]
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Port on the nodes; 0: one is chosen.
    #[serde(default)]
    pub published: u16,
    /// Port of the task.
    pub target: u16,
    #[serde(default)]
    pub protocol: Protocol,
    #[serde(default)]
    pub mode: PublishMode,
    /// Address to bind on each node instead of the node's ingress address.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

impl PublishedPort {
    /// Whether the two could not both be bound on one node. A port that is still to be chosen clashes with none.
    pub fn clashes(&self, other: &PublishedPort) -> bool {
        let everywhere = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
        let same_address = everywhere(self.address) || everywhere(other.address) || self.address == other.address;
        self.published != 0 && self.published == other.published && self.protocol == other.protocol && same_address
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// Every node listens and routes to any task.
    #[default]
    Ingress,
    /// Only the nodes that run a task listen, each for its own.
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateConfig {
    /// Slots replaced at once; 0: all.
    #[serde(default = "one")]
    pub parallelism: u32,
    #[serde(default)]
    pub delay_ms: u64,
    /// `None`: start-first, except where a volume is held.
    #[serde(default)]
    pub order: Option<UpdateOrder>,
    #[serde(default = "monitor_default")]
    pub monitor_ms: u64,
    #[serde(default)]
    pub failure_action: FailureAction,
    /// Share of tasks that may fail before the failure action, in thousandths.
    #[serde(default)]
    pub max_failure_permille: u32,
}

fn one() -> u32 {
    1
}

fn monitor_default() -> u64 {
    limits::UPDATE_MONITOR_DEFAULT.as_millis() as u64
}

impl Default for UpdateConfig {
    fn default() -> Self {
        UpdateConfig {
            parallelism: 1,
            delay_ms: 0,
            order: None,
            monitor_ms: monitor_default(),
            failure_action: FailureAction::Pause,
            max_failure_permille: 0,
        }
    }
}

impl UpdateConfig {
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    StartFirst,
    StopFirst,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    #[default]
    Pause,
    Continue,
    Rollback,
}

/// `node.labels.disk==ssd`: what a node must be to get a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub key: ConstraintKey,
    pub equal: bool,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintKey {
    NodeId,
    Hostname,
    Role,
    Os,
    Arch,
    Label(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "constraint '{0}' is not of the form KEY==VALUE or KEY!=VALUE, with KEY one of node.id, node.hostname, node.role, node.platform.os, node.platform.arch, node.labels.NAME"
)]
pub struct ParseConstraintError(String);

impl FromStr for Constraint {
    type Err = ParseConstraintError;
    fn from_str(text: &str) -> Result<Self, ParseConstraintError> {
        let error = || ParseConstraintError(text.to_owned());
        let (key, equal, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), _) => (key, true, value),
            (None, Some((key, value))) => (key, false, value),
            (None, None) => return Err(error()),
        };
        let value = value.trim().to_owned();
        let key = match key.trim() {
            "node.id" => ConstraintKey::NodeId,
            "node.hostname" => ConstraintKey::Hostname,
            "node.role" => ConstraintKey::Role,
            "node.platform.os" => ConstraintKey::Os,
            "node.platform.arch" => ConstraintKey::Arch,
            key => match key.strip_prefix("node.labels.") {
                Some(label) if !label.is_empty() => ConstraintKey::Label(label.to_owned()),
                _ => return Err(error()),
            },
        };
        if value.is_empty() {
            return Err(error());
        }
        Ok(Constraint { key, equal, value })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            ConstraintKey::NodeId => f.write_str("node.id")?,
            ConstraintKey::Hostname => f.write_str("node.hostname")?,
            ConstraintKey::Role => f.write_str("node.role")?,
            ConstraintKey::Os => f.write_str("node.platform.os")?,
            ConstraintKey::Arch => f.write_str("node.platform.arch")?,
            ConstraintKey::Label(label) => write!(f, "node.labels.{label}")?,
        }
        write!(f, "{}{}", if self.equal { "==" } else { "!=" }, self.value)
    }
}

impl Serialize for Constraint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
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
