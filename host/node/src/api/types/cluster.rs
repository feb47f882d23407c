//! The cluster and this node as a whole.
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::types::ManagerStatus;
use minicloud_core::id::{ClusterId, NodeId};
use minicloud_core::state::Role;

/// `GET /v1/version`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    pub version: String,
    pub api_version: String,
    pub os: String,
    pub arch: String,
}

/// `GET /v1/info`. What only managers know is absent on a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    pub node_id: NodeId,
    pub hostname: String,
    pub role: Role,
    pub cluster_id: ClusterId,
    pub leader: Option<LeaderSummary>,
    /// Every manager that this node knows.
    pub managers: Vec<ManagerSummary>,
    /// Members of the cluster.
    pub nodes: usize,
    /// Members that have a session now.
    pub nodes_ready: usize,
    pub services: Option<usize>,
    /// Tasks running in the cluster.
    pub tasks_running: Option<usize>,
    /// Where other nodes reach this one.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    #[schema(value_type = String)]
    pub listen_address: SocketAddr,
    /// Where published ports are bound: an IP address, `0.0.0.0` for every one.
    #[schema(value_type = String)]
    pub ingress_address: std::net::IpAddr,
    #[schema(value_type = Option<String>)]
    pub dns_address: Option<SocketAddr>,
    /// Why names are not answered at the default address.
    #[serde(default)]
    pub dns_problem: Option<String>,
    #[schema(value_type = String)]
    pub data_dir: PathBuf,
    pub pid: u32,
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaderSummary {
    pub id: NodeId,
    pub hostname: String,
    #[schema(value_type = String)]
    pub address: SocketAddr,
    pub term: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagerSummary {
    pub id: NodeId,
    pub hostname: String,
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Absent where only a manager could tell.
    pub status: Option<ManagerStatus>,
}

/// `GET /v1/join-token/{role}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    pub role: Role,
    pub token: String,
    /// Where a new node can join: this node's address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
}
