//! `deploy`: how many tasks, where, within which limits, and how they are replaced.
use serde::Deserialize;

use super::{At, Bytes, Cores, KeyValues, Milliseconds, Ratio};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeployModel {
    pub mode: DeployMode,
    pub replicas: Option<u32>,
    pub endpoint_mode: Option<At<EndpointWord>>,
    pub labels: KeyValues,
    pub placement: PlacementModel,
    pub resources: LimitsModel,
    pub restart_policy: Option<RestartModel>,
    pub update_config: UpdateModel,
    pub rollback_config: UpdateModel,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum DeployMode {
    #[default]
    Replicated,
    Global,
    ReplicatedJob,
    GlobalJob,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum EndpointWord {
    Vip,
    Dnsrr,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PlacementModel {
    pub constraints: Vec<At<String>>,
    pub preferences: Vec<At<PreferenceModel>>,
    pub max_replicas_per_node: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct PreferenceModel {
    pub spread: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LimitsModel {
    pub limits: ResourceModel,
    pub reservations: ResourceModel,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceModel {
    pub cpus: Option<Cores>,
    pub memory: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RestartModel {
    pub condition: Option<RestartWord>,
    pub delay: Option<Milliseconds>,
    pub max_attempts: Option<u32>,
    pub window: Option<Milliseconds>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWord {
    None,
    OnFailure,
    Any,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UpdateModel {
    pub parallelism: Option<u32>,
    pub delay: Option<Milliseconds>,
    pub order: Option<OrderWord>,
    pub monitor: Option<Milliseconds>,
    pub failure_action: Option<ActionWord>,
    pub max_failure_ratio: Option<Ratio>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OrderWord {
    StartFirst,
    StopFirst,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ActionWord {
    Pause,
    Continue,
    Rollback,
}
