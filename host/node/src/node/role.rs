//! Keeps a running node in the role that the cluster gives it, and its certificate fresh.
//!
//! A promotion or demotion shows in the node's view. The node then asks for a certificate, whose role is the state's
//! word, and does what that role does: a manager takes part in consensus and has itself added to it; a worker, which
//! got its certificate only once it did not vote any more, stops and removes its log. Each step can be cut short
//! by a crash: the certificate on disk says where to go on. Tasks know nothing of it.
use std::sync::Arc;

use minicloud_core::state::Role;
use minicloud_core::time::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::duties::Duties;
use crate::cluster::ProposeError;
use crate::limits::{RENEWAL_CHECK, ROLE_RETRY_DELAY, ROLE_RETRY_DELAY_MAX};
use crate::member::{Member, MemberError};
use crate::session::SessionHandle;

pub(super) struct RoleKeeper {
    member: Arc<Member>,
    session: SessionHandle,
    duties: Duties,
    renew_at: Timestamp,
    /// The other managers confirmed that this one votes.
    enlisted: bool,
}

/// Why a turn came to nothing; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("cannot take up the role or renew the certificate: {0}")]
    Member(#[from] MemberError),
    #[error("the other managers do not confirm this one: {0}")]
    Enlist(#[from] ProposeError),
}

impl RoleKeeper {
    pub fn new(member: Arc<Member>, session: SessionHandle, duties: Duties) -> Result<RoleKeeper, MemberError> {
        let renew_at = member.renewal_due()?;
        Ok(RoleKeeper { member, session, duties, renew_at, enlisted: false })
    }

    /// Runs until `end`.
    pub async fn run(mut self, end: CancellationToken) {
        let _ = end.run_until_cancelled(self.keep()).await;
    }

    async fn keep(&mut self) {
        let mut failures = 0;
        loop {
            let wait = match self.turn().await {
                Ok(()) => {
                    failures = 0;
                    RENEWAL_CHECK
                }
                Err(error) => {
                    warn!(%error, "trying again");
                    failures += 1;
                    (ROLE_RETRY_DELAY * 2u32.saturating_pow(failures)).min(ROLE_RETRY_DELAY_MAX)
                }
            };
            // Short sleeps: the machine may be suspended for days meanwhile.
            let _ = timeout(wait, self.role_differs()).await;
        }
    }

    async fn turn(&mut self) -> Result<(), TurnError> {
        if self.shows_other_role() || self.member.env.now() >= self.renew_at {
            self.member.renew().await?;
            self.renew_at = self.member.renewal_due()?;
            self.enlisted = false;
        }
        match (self.member.role(), self.member.cluster.get()) {
            (Role::Manager, None) => {
                info!("this node is a manager now");
                let cluster = self.member.take_part().await?;
                self.duties.begin(&self.member, &cluster);
            }
            (Role::Worker, Some(_)) => {
                info!("this node is a worker now");
                self.duties.end();
                self.member.stop_taking_part().await?;
            }
            _ => {}
        }
        self.enlist().await?;
        if self.shows_other_role() {
            // The view is behind the certificate.
            sleep(ROLE_RETRY_DELAY).await;
        }
        Ok(())
    }

    async fn enlist(&mut self) -> Result<(), ProposeError> {
        if self.enlisted || self.member.cluster.get().is_none() {
            return Ok(());
        }
        tokio::select! {
            enlisted = self.member.enlist() => enlisted?,
            () = self.role_differs() => return Ok(()),
        }
        self.enlisted = true;
        Ok(())
    }

    fn shows_other_role(&self) -> bool {
        let (own, role) = (self.member.peers.local().node(), self.member.role());
        self.session.view().borrow().nodes.get(&own).is_some_and(|row| row.role != role)
    }

    /// Returns once the view shows this node in another role than it has.
    async fn role_differs(&self) {
        shown_otherwise(&self.member, &self.session).await;
    }
}

/// Returns once the view shows the node in another role than its certificate.
pub(super) async fn shown_otherwise(member: &Member, session: &SessionHandle) {
    let own = member.peers.local().node();
    let mut view = session.view();
    let shown = view.wait_for(|view| view.nodes.get(&own).is_some_and(|row| row.role != member.role())).await.is_ok();
    if !shown {
        std::future::pending::<()>().await;
    }
}
