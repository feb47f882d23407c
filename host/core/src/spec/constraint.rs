//! What a node must be to get a task.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
