//! Networks and volumes.
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::{NetworkId, VolumeId};
use minicloud_core::spec::Labels;
use minicloud_core::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkSummary {
    pub id: NetworkId,
    pub name: String,
    /// `overlay`
    pub driver: String,
    /// `cluster`
    pub scope: String,
    /// Absent until it is chosen, a moment after the network was created.
    #[schema(value_type = Option<String>)]
    pub subnet: Option<Ipv4Net>,
    pub internal: bool,
    pub attachable: bool,
    #[serde(default)]
    pub labels: Labels,
}

/// `GET /v1/networks/{network}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkDetail {
    #[serde(flatten)]
    pub summary: NetworkSummary,
    /// Names of the services on it.
    pub services: Vec<String>,
    /// Tasks with an address on it that are still to run.
    pub tasks: usize,
    pub created_at_ms: Timestamp,
}

/// `POST /v1/networks`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateNetwork {
    pub name: String,
    /// Only `overlay`, which is the default.
    #[serde(default)]
    pub driver: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subnet: Option<Ipv4Net>,
    #[serde(default)]
    pub internal: bool,
    #[serde(default)]
    pub attachable: bool,
    #[serde(default)]
    pub labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeSummary {
    pub id: VolumeId,
    pub name: String,
    /// `local`
    pub driver: String,
    /// Hostname of the node that holds the data; absent until the first task that mounts it is placed.
    pub node: Option<String>,
    #[serde(default)]
    pub labels: Labels,
}

/// `GET /v1/volumes/{volume}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VolumeDetail {
    #[serde(flatten)]
    pub summary: VolumeSummary,
    /// Names of the services that mount it.
    pub services: Vec<String>,
    pub created_at_ms: Timestamp,
}

/// `POST /v1/volumes`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateVolume {
    pub name: String,
    /// Only `local`, which is the default.
    #[serde(default)]
    pub driver: Option<String>,
    #[serde(default)]
    pub labels: Labels,
}
