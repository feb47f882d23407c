//! How the tasks of a service spread over the nodes that may have them.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Placement {
    /// Most replicas of the service on one node; 0: no bound. One that is being replaced counts once.
    #[serde(default)]
    pub replicas_max_per_node: u32,
    /// The first weighs most; within one value of its label the next decides.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub preferences: Vec<PlacementPreference>,
}

/// `spread=node.labels.zone`: as many tasks on the nodes of each value of the label. Nodes without it count as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementPreference {
    pub label: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("placement preference '{0}' is not of the form spread=node.labels.NAME")]
pub struct ParsePreferenceError(String);

const PREFIX: &str = "spread=node.labels.";

impl FromStr for PlacementPreference {
    type Err = ParsePreferenceError;
    fn from_str(text: &str) -> Result<Self, ParsePreferenceError> {
        match text.strip_prefix(PREFIX) {
            Some(label) if !label.is_empty() => Ok(PlacementPreference { label: label.to_owned() }),
            _ => Err(ParsePreferenceError(text.to_owned())),
        }
    }
}

impl fmt::Display for PlacementPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.label)
    }
}

impl Serialize for PlacementPreference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlacementPreference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
