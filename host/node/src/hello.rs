//! The first frame of each connection: who speaks, for which cluster and epoch, in which protocol versions.
//!
//! `peers` says it on links that this node dialled, `router` checks it on links that it accepted, and answers
//! with its own. The certificate proves node and role; this frame catches what certificates do not: another
//! cluster's leftovers, a node that missed a forced recovery, versions that do not fit.
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use minicloud_core::id::{ClusterId, NodeId};
use minicloud_core::state::Role;
use serde::{Deserialize, Serialize};

use crate::frame;
use crate::transport::{BoxStream, Certified, CloseCode, Lane, Link, LinkError, Peer};

/// Versions of the protocol between nodes that this build speaks, oldest and newest.
pub const PROTOCOL_MIN: u32 = 1;
/// See [`PROTOCOL_MIN`].
pub const PROTOCOL_MAX: u32 = 1;

/// What this node says of itself. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeId,
    cluster: ClusterId,
    epoch: AtomicU64,
    manager: AtomicBool,
    address: RwLock<SocketAddr>,
}

impl Local {
    pub fn new(node: NodeId, role: Role, cluster: ClusterId, epoch: u64, address: SocketAddr) -> Local {
        Local(Arc::new(Inner {
            node,
            cluster,
            epoch: AtomicU64::new(epoch),
            manager: AtomicBool::new(role == Role::Manager),
            address: RwLock::new(address),
        }))
    }

    pub fn node(&self) -> NodeId {
        self.0.node
    }

    pub fn cluster(&self) -> ClusterId {
        self.0.cluster
    }

    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Relaxed)
    }

    /// Never goes back.
    pub fn raise_epoch(&self, epoch: u64) {
        self.0.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    pub fn role(&self) -> Role {
        if self.0.manager.load(Ordering::Relaxed) { Role::Manager } else { Role::Worker }
    }

    pub fn set_role(&self, role: Role) {
        self.0.manager.store(role == Role::Manager, Ordering::Relaxed);
    }

    /// Where other nodes reach this one.
    pub fn address(&self) -> SocketAddr {
        *self.0.address.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_address(&self, address: SocketAddr) {
        *self.0.address.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    fn hello(&self, lane: Lane) -> Hello {
        Hello {
            cluster: self.cluster(),
            epoch: self.epoch(),
            node: self.node(),
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            lane,
            address: self.address(),
        }
    }

    fn check(&self, hello: &Hello, certified: Certified) -> Result<Peer, Refusal> {
        let refuse = |code, reason: String| Err(Refusal { code, reason });
        if hello.cluster != self.cluster() {
            return refuse(CloseCode::WrongCluster, format!("this is cluster {}, not {}", self.cluster(), hello.cluster));
        }
        if hello.node != certified.node {
            return refuse(CloseCode::NotAMember, format!("node {} came with the certificate of {}", hello.node, certified.node));
        }
        if hello.protocol_min > PROTOCOL_MAX || hello.protocol_max < PROTOCOL_MIN {
            let theirs = format!("{} to {}", hello.protocol_min, hello.protocol_max);
            return refuse(
                CloseCode::Protocol,
                format!("node {} speaks protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}, not {theirs}: install matching versions", self.node()),
            );
        }
        self.check_epoch(hello.epoch, certified)?;
        Ok(Peer { node: certified.node, role: certified.role, address: hello.address })
    }

    /// Workers hold no log, so they follow to a later epoch; a manager of another epoch holds another history.
    fn check_epoch(&self, epoch: u64, certified: Certified) -> Result<(), Refusal> {
        let ours = self.epoch();
        if epoch == ours || (epoch < ours && certified.role == Role::Worker) {
            return Ok(());
        }
        if epoch > ours && self.role() == Role::Worker {
            self.raise_epoch(epoch);
            return Ok(());
        }
        let (behind, ahead) = if epoch < ours { (certified.node, self.node()) } else { (self.node(), certified.node) };
        Err(Refusal {
            code: CloseCode::WrongEpoch,
            reason: format!(
                "node {behind} missed the forced recovery that {ahead} went through: remove the data directory of {behind} and join it again"
            ),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    cluster: ClusterId,
    epoch: u64,
    node: NodeId,
    protocol_min: u32,
    protocol_max: u32,
    lane: Lane,
    address: SocketAddr,
}

/// Why a connection was refused, as the peer is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub code: CloseCode,
    pub reason: String,
}

type Answer = Result<Hello, Refusal>;

/// Says who we are on a link that we dialled, and learns who is there.
pub async fn introduce(link: &dyn Link, local: &Local, lane: Lane) -> Result<Peer, LinkError> {
    let Some(certified) = link.certified() else {
        return Err(LinkError::Refused { code: CloseCode::CertificateRequired, reason: "the peer showed no certificate".into() });
    };
    let mut stream = link.open().await?;
    let answer = exchange(&mut stream, &local.hello(lane)).await.map_err(|error| LinkError::Lost(error.to_string()))?;
    let checked = answer.and_then(|hello| local.check(&hello, certified));
    checked.map_err(|refusal| {
        link.close(refusal.code, &refusal.reason);
        LinkError::Refused { code: refusal.code, reason: refusal.reason }
    })
}

async fn exchange(stream: &mut BoxStream, hello: &Hello) -> std::io::Result<Answer> {
    frame::write(stream, hello).await?;
    tokio::io::AsyncWriteExt::flush(stream).await?;
    frame::expect(stream).await
}

/// Hears who dialled us, and answers. `admit` has the last word on a peer whose frame fits; the caller closes the link
/// of a refused one, once it had time to read the answer.
pub async fn receive(
    link: &dyn Link,
    local: &Local,
    certified: Certified,
    admit: impl Fn(Peer) -> Result<Peer, Refusal>,
) -> Result<(Peer, Lane), LinkError> {
    let mut stream = link.accept().await?;
    let heard: std::io::Result<Hello> = frame::expect(&mut stream).await;
    let hello = heard.map_err(|error| {
        link.close(CloseCode::Garbage, "the first frame is no hello");
        LinkError::Lost(error.to_string())
    })?;
    let checked = local.check(&hello, certified).and_then(admit);
    let answer: Answer = match &checked {
        Ok(_) => Ok(local.hello(hello.lane)),
        Err(refusal) => Err(refusal.clone()),
    };
    let sent = frame::write(&mut stream, &answer).await;
    let ended = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
    match checked {
        Ok(peer) => {
            sent.and(ended).map_err(|error| LinkError::Lost(error.to_string()))?;
            Ok((peer, hello.lane))
        }
        // The answer carries the reason; the peer closes. A close of ours could overtake it.
        Err(Refusal { code, reason }) => Err(LinkError::Refused { code, reason }),
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::Index;

    use super::*;

    fn local(node: u64, role: Role, epoch: u64) -> Local {
        Local::new(NodeId(node), role, ClusterId(7), epoch, "127.0.0.1:1".parse().unwrap())
    }

    fn code(here: &Local, there: &Local) -> Option<CloseCode> {
        let certified = Certified { node: there.node(), role: there.role(), issued: Index(0), expired: false };
        here.check(&there.hello(Lane::Control), certified).err().map(|refusal| refusal.code)
    }

    #[test]
    fn managers_of_different_epochs_refuse_each_other() {
        let (old, new) = (local(1, Role::Manager, 0), local(2, Role::Manager, 1));
        assert_eq!(code(&old, &new), Some(CloseCode::WrongEpoch));
        assert_eq!(code(&new, &old), Some(CloseCode::WrongEpoch));
        assert_eq!(code(&new, &local(3, Role::Manager, 1)), None);
    }

    #[test]
    fn a_worker_follows_to_a_later_epoch_and_never_back() {
        let (worker, old, new) = (local(9, Role::Worker, 0), local(1, Role::Manager, 0), local(2, Role::Manager, 1));
        assert_eq!(code(&new, &worker), None);
        assert_eq!(code(&worker, &new), None);
        assert_eq!(worker.epoch(), 1);
        assert_eq!(code(&worker, &old), Some(CloseCode::WrongEpoch));
        assert_eq!(code(&old, &worker), Some(CloseCode::WrongEpoch));
    }

    #[test]
    fn strangers_are_told_why() {
        let here = local(1, Role::Manager, 0);
        let there = local(2, Role::Manager, 0);
        let certified = Certified { node: NodeId(2), role: Role::Manager, issued: Index(0), expired: false };
        let refused = |change: fn(&mut Hello)| {
            let mut hello = there.hello(Lane::Control);
            change(&mut hello);
            here.check(&hello, certified).unwrap_err().code
        };
        assert_eq!(refused(|hello| hello.cluster = ClusterId(8)), CloseCode::WrongCluster);
        assert_eq!(refused(|hello| hello.node = NodeId(3)), CloseCode::NotAMember);
        assert_eq!(refused(|hello| hello.protocol_min = PROTOCOL_MAX + 1), CloseCode::Protocol);
    }
}
