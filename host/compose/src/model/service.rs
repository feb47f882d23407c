//! `services`: one service as a file writes it, after `canonical` brought every short form to its long one.
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::{
    At, AttachmentModel, Bytes, Cores, DeployModel, FileMountModel, KeyValues, Milliseconds, Named, PortModel, Texts, VolumeMountModel,
    Words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceModel {
    /// `false`: its lines are not shown by `up`.
    pub attach: Option<bool>,
    pub build: Option<At<BuildModel>>,
    pub command: Option<At<Words>>,
    pub configs: Vec<At<FileMountModel>>,
    pub cpus: Option<Cores>,
    pub depends_on: BTreeMap<String, At<DependencyModel>>,
    pub deploy: DeployModel,
    pub env_file: Vec<EnvFileModel>,
    pub environment: KeyValues,
    pub healthcheck: Option<At<HealthModel>>,
    pub hostname: Option<At<String>>,
    pub image: Option<At<String>>,
    pub label_file: Named<String>,
    pub labels: KeyValues,
    pub links: Vec<At<String>>,
    pub mem_limit: Option<Bytes>,
    pub mem_reservation: Option<Bytes>,
    pub networks: Option<BTreeMap<String, At<AttachmentModel>>>,
    pub ports: Vec<At<PortModel>>,
    pub profiles: Texts,
    pub pull_policy: Option<At<String>>,
    pub restart: Option<At<String>>,
    pub scale: Option<u32>,
    pub secrets: Vec<At<FileMountModel>>,
    pub stop_grace_period: Option<Milliseconds>,
    pub volumes: Vec<At<VolumeMountModel>>,
    /// What compose has no word for.
    #[serde(rename = "x-minicloud")]
    pub minicloud: MinicloudModel,
}

/// `x-minicloud` of a service.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct MinicloudModel {
    /// Requests that one task serves at once.
    pub concurrency: Option<u32>,
    /// Port at which an HTTP component is served.
    pub http_port: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct BuildModel {
    pub context: Option<String>,
    pub args: KeyValues,
}

#[derive(Clone, Debug, Deserialize)]
pub struct EnvFileModel {
    pub path: At<String>,
    #[serde(default)]
    pub required: Option<bool>,
    /// `raw`: no variables in it.
    #[serde(default)]
    pub format: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HealthModel {
    pub test: Option<At<Test>>,
    pub interval: Option<Milliseconds>,
    pub timeout: Option<Milliseconds>,
    pub retries: Option<u32>,
    pub start_period: Option<Milliseconds>,
    pub disable: bool,
}

/// A health test: a text for a shell, or `[CMD, …]`, `[CMD-SHELL, …]`, `[NONE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Shell(String),
    List(Vec<String>),
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct DependencyModel {
    pub condition: ConditionWord,
    pub required: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConditionWord {
    #[default]
    ServiceStarted,
    ServiceHealthy,
    ServiceCompletedSuccessfully,
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Test;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command, or a list")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Test, E> {
                Ok(Test::Shell(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Test, A::Error> {
                let mut list = Vec::new();
                while let Some(word) = seq.next_element()? {
                    list.push(word);
                }
                Ok(Test::List(list))
            }
        }
        deserializer.deserialize_any(Form)
    }
}
