//! Keeps the node's certificate fresh: a new one after half to four fifths of its life, or when the role changed.
use std::time::Duration;

use minicloud_core::id::NodeId;
use minicloud_core::state::{ClusterState, Role};
use minicloud_core::time::Timestamp;
use tracing::info;

use super::{Member, MemberError};
use crate::data_dir::NodeFile;
use crate::env::Env;
use crate::identity::{Authority, Identity, NodeKey, Subject};
use crate::join::{self, JoinError, Renewed};

/// Share of a certificate's life after which it is renewed, in percent: at least, and less than.
const RENEW_PERCENT: std::ops::Range<u64> = 50..80;

impl Member {
    /// Gets a new certificate now, with the role that the state has, and uses it from here on. Streams that are open
    /// go on. Begins and ends no consensus.
    pub async fn renew(&self) -> Result<Role, MemberError> {
        let Renewed { identity, seal_key } = self.ask_managers().await?;
        let role = self.use_identity(&identity)?;
        if let Some(key) = seal_key.filter(|_| role == Role::Manager) {
            self.seal_keys.keep(&key)?;
        }
        Ok(role)
    }

    /// Managers whose certificates all ran out could never meet again, so each makes itself one: it has the authority's
    /// key. The others still go by their own state. Does nothing when this state says that the node is a worker.
    pub(super) fn renew_alone(&self, state: &ClusterState) -> Result<(), MemberError> {
        let node = self.peers.local().node();
        let Some(cluster) = &state.cluster else { return Ok(()) };
        if state.nodes.get(&node).is_none_or(|row| row.role != Role::Manager) {
            return Ok(());
        }
        let authority = Authority::from_pem(&cluster.founding.ca_certificate, &cluster.founding.ca_key)?;
        let key = NodeKey::generate()?;
        let subject = Subject { node, role: Role::Manager, cluster: cluster.founding.id, issued: state.index };
        let certificate = authority.sign(&key.request_der()?, subject, self.env.now())?;
        let identity = key.into_identity(certificate, authority.certificate().clone())?;
        self.use_identity(&identity).map(drop)
    }

    fn use_identity(&self, identity: &Identity) -> Result<Role, MemberError> {
        let (before, role) = (self.role(), identity.certified.role);
        if before == Role::Worker {
            // What an earlier time as a manager left behind must not come alive again.
            self.forget_managing()?;
        }
        self.dir.write_identity(identity)?;
        if role != before {
            self.dir.write_node(&NodeFile { role, ..self.dir.node()? })?;
        }
        let listening = |source| MemberError::Listen { address: self.file.listen, source };
        self.transport.set_identity(identity).map_err(listening)?;
        self.peers.local().set_role(role);
        self.peers.redial();
        info!(%role, not_after = identity.not_after.0, "the node's certificate was renewed");
        Ok(role)
    }

    /// When the certificate in use is to be renewed: at random, so that nodes that joined together do not come together.
    pub fn renewal_due(&self) -> Result<Timestamp, MemberError> {
        Ok(due(&self.env, &self.dir.identity()?))
    }

    /// The others first: a manager that is being demoted has nothing to say any more.
    async fn ask_managers(&self) -> Result<Renewed, JoinError> {
        let mut managers: Vec<NodeId> = self.peers.managers().into_iter().map(|(node, _)| node).collect();
        if self.cluster.get().is_some() {
            managers.push(self.peers.local().node());
        }
        let mut failure = JoinError::Unreachable("no manager is known".into());
        for manager in managers {
            match join::renew(&self.peers, manager).await {
                Err(error @ JoinError::Unreachable(_)) => failure = error,
                decided => return decided,
            }
        }
        Err(failure)
    }
}

fn due(env: &Env, identity: &Identity) -> Timestamp {
    let life = identity.not_after.since(identity.not_before);
    let percent = RENEW_PERCENT.start + env.random.next_u64() % (RENEW_PERCENT.end - RENEW_PERCENT.start);
    identity.not_before + Duration::from_millis(u64::try_from(life.as_millis()).unwrap_or(u64::MAX) / 100 * percent)
}
