//! Keeps the node's certificate fresh: a new one after half to four fifths of its life, or when the role changed.
use std::time::Duration;

use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use minicloud_core::time::Timestamp;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{Member, MemberError};
use crate::env::Env;
use crate::identity::Identity;
use crate::join::{self, JoinError};
use crate::limits::{RENEWAL_CHECK, RENEWAL_RETRY};

/// Share of a certificate's life after which it is renewed, in percent: at least, and less than.
const RENEW_PERCENT: std::ops::Range<u64> = 50..80;

impl Member {
    /// Gets a new certificate now, with the role that the state has. Connections that stand go on. When the role
    /// changed, the node must be opened again to take it up.
    pub async fn renew(&self) -> Result<Role, MemberError> {
        let identity = self.ask_managers().await?;
        self.dir.write_identity(&identity)?;
        let role = identity.certified.role;
        if role != self.dir.node()?.role {
            self.dir.write_node(&crate::data_dir::NodeFile { role, ..self.dir.node()? })?;
        }
        let listening = |source| MemberError::Listen { address: self.file.listen, source };
        self.transport.set_identity(&identity).map_err(listening)?;
        self.peers.local().set_role(role);
        info!(%role, not_after = identity.not_after.0, "the node's certificate was renewed");
        Ok(role)
    }

    /// Renews in time, for ever.
    pub async fn keep_certificate(&self) {
        let mut renew_at = match self.dir.identity() {
            Ok(identity) => due(&self.env, &identity),
            Err(error) => {
                warn!(%error, "cannot read the certificate");
                self.env.now()
            }
        };
        loop {
            // Short sleeps: the machine may be suspended for days meanwhile.
            sleep(RENEWAL_CHECK).await;
            if self.env.now() < renew_at {
                continue;
            }
            match self.renew().await.and_then(|_| Ok(self.dir.identity()?)) {
                Ok(identity) => renew_at = due(&self.env, &identity),
                Err(error) => {
                    warn!(%error, "cannot renew the certificate");
                    sleep(RENEWAL_RETRY).await;
                }
            }
        }
    }

    async fn ask_managers(&self) -> Result<Identity, JoinError> {
        let mut managers: Vec<NodeId> = self.peers.managers().into_iter().map(|(node, _)| node).collect();
        if self.cluster.is_some() {
            managers.insert(0, self.peers.local().node());
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
