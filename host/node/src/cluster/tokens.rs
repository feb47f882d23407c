//! Join tokens as operators see them. The state keeps only hashes; every manager can derive the secrets again.
use minicloud_core::command::Command;
use minicloud_core::command::Rejection;
use minicloud_core::state::{ClusterState, Role};

use super::{Cluster, ProposeError};
use crate::identity::{certificate_from_pem, fingerprint};
use crate::token::{Secret, Token};

impl Cluster {
    /// The token that lets a node join in this role.
    pub async fn join_token(&self, role: Role) -> Result<Token, ProposeError> {
        let state = self.read().await?;
        let (_, secret) = current(&state, role)?;
        Ok(token(&state, secret)?)
    }

    /// Makes a new token for this role; the old one admits nobody any more. Members stay.
    pub async fn rotate_join_token(&self, role: Role) -> Result<Token, ProposeError> {
        let state = self.read().await?;
        let (generation, _) = current(&state, role)?;
        let secret = Secret::derive(ca_key(&state)?, role, generation + 1);
        self.propose(Command::RotateJoinSecret { role, secret_hash: secret.hash() }).await?;
        Ok(token(&state, secret)?)
    }
}

fn current(state: &ClusterState, role: Role) -> Result<(u32, Secret), Rejection> {
    let founding = &state.cluster.as_ref().ok_or_else(unfounded)?.founding;
    let hash = match role {
        Role::Manager => &founding.manager_secret_hash,
        Role::Worker => &founding.worker_secret_hash,
    };
    Secret::find(ca_key(state)?, role, hash).ok_or_else(|| {
        Rejection::NotFound(format!("the {role} token cannot be shown: make a new one with 'minicloud join-token {role} --rotate'"))
    })
}

fn token(state: &ClusterState, secret: Secret) -> Result<Token, Rejection> {
    let pem = &state.cluster.as_ref().ok_or_else(unfounded)?.founding.ca_certificate;
    let certificate = certificate_from_pem(pem.as_bytes()).map_err(|error| Rejection::Invalid(error.to_string()))?;
    Ok(Token { authority: fingerprint(&certificate), secret })
}

fn ca_key(state: &ClusterState) -> Result<&str, Rejection> {
    state.cluster.as_ref().map(|cluster| cluster.founding.ca_key.as_str()).ok_or_else(unfounded)
}

fn unfounded() -> Rejection {
    Rejection::NotFound("there is no cluster yet: found one with 'minicloud init'".into())
}
