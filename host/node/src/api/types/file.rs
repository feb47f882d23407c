//! Secrets and configs.
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use minicloud_core::id::FileId;
use minicloud_core::spec::Labels;
use minicloud_core::time::Timestamp;

use super::Outcome;

/// A secret or a config, without what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileSummary {
    pub id: FileId,
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    /// Bytes of the content.
    pub size_bytes: u64,
    pub created_at_ms: Timestamp,
    /// When its labels last changed.
    pub updated_at_ms: Timestamp,
}

/// `GET /v1/secrets/{secret}` and `GET /v1/configs/{config}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDetail {
    #[serde(flatten)]
    pub summary: FileSummary,
    /// Names of the services that have it.
    pub services: Vec<String>,
    /// The content of a config. That of a secret is never told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Base64>,
}

/// `POST /v1/secrets` and `POST /v1/configs`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateFile {
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    pub data: Base64,
}

/// `POST /v1/secrets/{secret}/update` and `POST /v1/configs/{config}/update`. The content never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateFile {
    #[serde(default)]
    pub labels_add: Labels,
    #[serde(default)]
    pub labels_rm: Vec<String>,
}

/// `POST /v1/secrets/declare` and `POST /v1/configs/declare`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeclaredFile {
    pub id: FileId,
    /// The name asked for, or one with a number behind it.
    pub name: String,
    /// `created` or `unchanged`: a file is never updated.
    pub outcome: Outcome,
}

/// A secret or config as a service is to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileUse {
    /// Name or id.
    pub source: String,
    /// Path inside the task; one that is not absolute lies in `/run/secrets` for a secret, in `/` for a config. Absent: the name.
    #[serde(default)]
    pub target: Option<String>,
    /// Permissions, which WASI has no way to show. Absent: 0444.
    #[serde(default)]
    pub mode: Option<u32>,
}

/// Bytes, as base64 in JSON. `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Byte)]
pub struct Base64(pub Vec<u8>);

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Base64, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The error of the decoder would show a part of it.
        STANDARD.decode(text).map(Base64).map_err(|_| de::Error::custom("the data is not base64"))
    }
}
