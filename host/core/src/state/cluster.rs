//! The cluster's own row: its authority, its secrets, its address pool.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::{NewCluster, Rejection};
use crate::id::Index;
use crate::limits;
use crate::spec::{Fingerprint, NetworkSpec};
use crate::time::Timestamp;

use super::{EGRESS, INGRESS, Role, Row, Writer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    pub founding: NewCluster,
    pub created_at: Timestamp,
    /// Counted up by a forced recovery; nodes of another epoch are refused.
    #[serde(default)]
    pub epoch: u64,
    /// Fingerprint of the key that seals secrets; `None` until there was a secret.
    #[serde(default)]
    pub seal_key: Option<Fingerprint>,
    pub version: Index,
}

impl Writer<'_> {
    /// Founds the cluster, with the two networks that every cluster has.
    pub(super) fn create_cluster(&mut self, cluster: &NewCluster) -> Result<(), Rejection> {
        if self.state.cluster.is_some() {
            return Err(Rejection::Conflict("the cluster exists already; add this node to it with 'minicloud join'".to_owned()));
        }
        let pool = cluster.address_pool;
        if pool != pool.trunc() || pool.prefix_len() > limits::ADDRESS_POOL_PREFIX_MAX {
            let longest = limits::ADDRESS_POOL_PREFIX_MAX;
            return Err(Rejection::Invalid(format!(
                "'{pool}' cannot be the address pool; give a network of at most /{longest}, such as 10.0.0.0/8"
            )));
        }
        if cluster.ingress_network == cluster.egress_network {
            return Err(Rejection::Invalid("the networks ingress and egress need ids of their own".to_owned()));
        }
        let row = super::Cluster { founding: cluster.clone(), created_at: self.at, epoch: 0, seal_key: None, version: self.index };
        self.put(Row::Cluster(Arc::new(row)));
        self.put_network(cluster.ingress_network, &built_in(INGRESS));
        self.put_network(cluster.egress_network, &built_in(EGRESS));
        Ok(())
    }

    pub(super) fn rotate_join_secret(&mut self, role: Role, secret_hash: &[u8; 32]) -> Result<(), Rejection> {
        let Some(mut row) = self.state.cluster.clone() else {
            return Err(Rejection::NotFound("there is no cluster yet; found one with 'minicloud init'".to_owned()));
        };
        let cluster = Arc::make_mut(&mut row);
        match role {
            Role::Manager => cluster.founding.manager_secret_hash = *secret_hash,
            Role::Worker => cluster.founding.worker_secret_hash = *secret_hash,
        }
        cluster.version = self.index;
        self.put(Row::Cluster(row));
        Ok(())
    }
}

fn built_in(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), labels: Default::default(), subnet: None, internal: false, attachable: name == EGRESS }
}
