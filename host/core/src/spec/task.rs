//! What one task runs, within which limits, and when it is replaced.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Constraint, FileKind, FileReference, HealthCheck, Image, Mount, Placeholder, Placement, expand, has_placeholder};
use crate::limits;

/// What one task runs. A task keeps the template it was created from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskTemplate {
    pub image: Image,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Value of `HOSTNAME`, with placeholders; by default `<service>-<slot>`.
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    #[serde(default)]
    pub secrets: Vec<FileReference>,
    #[serde(default)]
    pub configs: Vec<FileReference>,
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
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub constraints: Vec<Constraint>,
    #[serde(default)]
    pub placement: Placement,
    #[serde(default)]
    pub health: Option<HealthCheck>,
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
            secrets: Vec::new(),
            configs: Vec::new(),
            http_port: http_port_default(),
            concurrency: None,
            resources: Resources::default(),
            restart: RestartPolicy::default(),
            constraints: Vec::new(),
            placement: Placement::default(),
            health: None,
            stop_grace_ms: stop_grace_default(),
            force_update: 0,
        }
    }
}

impl TaskTemplate {
    /// The texts in which placeholders are put in: the hostname, the variables, the sources of mounts.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.hostname.iter().chain(self.env.values()).chain(self.mounts.iter().map(|mount| &mount.source))
    }

    /// Names of the volumes that it mounts.
    pub fn volumes(&self) -> impl Iterator<Item = &String> {
        self.mounts.iter().filter_map(Mount::volume)
    }

    pub fn mounts_volume(&self, name: &str) -> bool {
        self.volumes().any(|volume| volume == name)
    }

    /// Its secrets and configs.
    pub fn files(&self) -> impl Iterator<Item = (FileKind, &FileReference)> {
        let secrets = self.secrets.iter().map(|file| (FileKind::Secret, file));
        secrets.chain(self.configs.iter().map(|file| (FileKind::Config, file)))
    }

    pub fn has_placeholders(&self) -> bool {
        self.texts().any(|text| has_placeholder(text))
    }

    /// The template with what is known put in place. A text that makes no sense stays as it is: specs from before there
    /// were placeholders may have such.
    pub fn expanded(&self, known: impl Fn(&Placeholder) -> Option<String>) -> TaskTemplate {
        let put = |text: &mut String| {
            if let Ok(expanded) = expand(text, &known) {
                *text = expanded;
            }
        };
        let mut template = self.clone();
        template.hostname.iter_mut().for_each(put);
        template.env.values_mut().for_each(put);
        template.mounts.iter_mut().map(|mount| &mut mount.source).for_each(put);
        template
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartCondition {
    None,
    OnFailure,
    #[default]
    Any,
}
