//! Certificates over the wire: newcomers join with a token, members renew.
//!
//! Any manager serves it. It reads the state linearizably, so a token that was rotated admits nobody; it sets
//! subject, names and role itself; and the node's record stands in the log before anything is signed.
use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use minicloud_core::command::{Command, Rejection};
use minicloud_core::id::{ClusterId, NodeId};
use minicloud_core::state::{Availability, ClusterState, Role};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::cluster::{Cluster, ProposeError};
use crate::env::Env;
use crate::frame;
use crate::identity::{Authority, Identity, IdentityError, NodeKey, Subject};
use crate::limits::JOIN_TIMEOUT;
use crate::peers::{PeerError, Peers};
use crate::quic::connect_newcomer;
use crate::router::{JoinService, StreamService};
use crate::seal::{SealKey, SealKeys, WireKey, have_key};
use crate::token::{Secret, Token, role_of};
use crate::transport::{BoxStream, LinkError, Peer, StreamKind};

#[derive(Serialize, Deserialize)]
struct JoinRequest {
    secret: String,
    /// DER of a certificate signing request; only its key is used.
    request: Vec<u8>,
    hostname: String,
    availability: Availability,
    /// `None`: the address that the manager sees, with `port`.
    advertise: Option<IpAddr>,
    port: u16,
}

#[derive(Serialize, Deserialize)]
struct RenewRequest {
    request: Vec<u8>,
}

/// What a newcomer is given.
#[derive(Serialize, Deserialize)]
struct Admission {
    node: NodeId,
    role: Role,
    cluster: ClusterId,
    epoch: u64,
    address: SocketAddr,
    certificate: Vec<u8>,
    managers: Vec<(NodeId, SocketAddr)>,
    /// For a manager: the key that seals secrets, if the cluster has one.
    #[serde(default)]
    seal_key: Option<WireKey>,
}

type Answer<T> = Result<T, Denied>;

/// DER of a node's certificate and of the authority's.
type Certificates = (Vec<u8>, Vec<u8>);

/// Why a certificate was not given.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Denied {
    /// Another try does not help.
    Refused(String),
    /// The cluster could not decide now.
    Later(String),
}

/// What a newcomer says of itself.
#[derive(Clone, Debug)]
pub struct Joining {
    pub token: Token,
    /// Tried in this order.
    pub managers: Vec<SocketAddr>,
    pub hostname: String,
    pub availability: Availability,
    /// Where it will listen. The port must be the real one.
    pub listen: SocketAddr,
    /// Where others shall reach it; `None`: where the manager sees it.
    pub advertise: Option<IpAddr>,
}

/// A new member, before anything is written down.
pub struct Joined {
    pub identity: Identity,
    pub epoch: u64,
    /// Where others reach it.
    pub address: SocketAddr,
    pub managers: Vec<(NodeId, SocketAddr)>,
    pub seal_key: Option<SealKey>,
}

/// A certificate that was renewed.
pub struct Renewed {
    pub identity: Identity,
    /// For a manager: the key that seals secrets, if the cluster has one.
    pub seal_key: Option<SealKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The user can mend it.
    #[error("{0}")]
    Refused(String),
    #[error("no manager could be joined: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins the cluster that the token names, through the first manager that answers.
pub async fn join(joining: &Joining) -> Result<Joined, JoinError> {
    let mut failures = Vec::new();
    for manager in &joining.managers {
        match timeout(JOIN_TIMEOUT, join_at(*manager, joining)).await {
            Ok(Ok(joined)) => return Ok(joined),
            Ok(Err(JoinError::Unreachable(reason))) => failures.push(format!("{manager}: {reason}")),
            Ok(Err(error)) => return Err(error),
            Err(_) => failures.push(format!("{manager}: no answer")),
        }
    }
    Err(JoinError::Unreachable(failures.join("; ")))
}

async fn join_at(manager: SocketAddr, joining: &Joining) -> Result<Joined, JoinError> {
    let lost = |error: io::Error| JoinError::Unreachable(error.to_string());
    let newcomer = connect_newcomer(manager, joining.token.authority, joining.listen.ip()).await?;
    let key = NodeKey::generate()?;
    let request = JoinRequest {
        secret: joining.token.secret.to_hex().to_string(),
        request: key.request_der()?,
        hostname: joining.hostname.clone(),
        availability: joining.availability,
        advertise: joining.advertise,
        port: joining.listen.port(),
    };
    let mut stream = newcomer.open().await?;
    frame::write(&mut stream, &request).await.map_err(lost)?;
    stream.shutdown().await.map_err(lost)?;
    let answer: Answer<Admission> = frame::expect(&mut stream).await.map_err(lost)?;
    let admission = answer.map_err(|denied| match denied {
        Denied::Refused(reason) => JoinError::Refused(reason),
        Denied::Later(reason) => JoinError::Unreachable(reason),
    })?;
    let certificate = CertificateDer::from(admission.certificate);
    let identity = key.into_identity(certificate, newcomer.authority().clone())?;
    let seal_key = admission.seal_key.and_then(WireKey::key);
    Ok(Joined { identity, epoch: admission.epoch, address: admission.address, managers: admission.managers, seal_key })
}

/// Asks a manager for a new certificate, with the role that the state has now. The node keeps its id. With a worker's
/// certificate in hand it is certain that the node does not vote.
pub async fn renew(peers: &Peers, manager: NodeId) -> Result<Renewed, JoinError> {
    let unanswered = |_| Err(JoinError::Unreachable(format!("manager {manager} does not answer")));
    timeout(JOIN_TIMEOUT, renew_at(peers, manager)).await.unwrap_or_else(unanswered)
}

async fn renew_at(peers: &Peers, manager: NodeId) -> Result<Renewed, JoinError> {
    let lost = |error: io::Error| JoinError::Unreachable(error.to_string());
    let key = NodeKey::generate()?;
    let mut stream = peers.open(manager, StreamKind::Join).await?;
    frame::write(&mut stream, &RenewRequest { request: key.request_der()? }).await.map_err(lost)?;
    stream.shutdown().await.map_err(lost)?;
    let answer: Answer<(Vec<u8>, Vec<u8>)> = frame::expect(&mut stream).await.map_err(lost)?;
    let (certificate, authority) = answer.map_err(|denied| match denied {
        Denied::Refused(reason) => JoinError::Refused(reason),
        Denied::Later(reason) => JoinError::Unreachable(reason),
    })?;
    let identity = key.into_identity(CertificateDer::from(certificate), CertificateDer::from(authority))?;
    // A manager of an older version sends none.
    let seal_key = frame::read::<WireKey>(&mut stream).await.ok().flatten().and_then(WireKey::key);
    Ok(Renewed { identity, seal_key })
}

/// Admits newcomers and renews members' certificates, on managers.
pub struct JoinDesk {
    env: Env,
    cluster: Cluster,
    peers: Peers,
    seal_keys: SealKeys,
}

impl JoinDesk {
    pub fn new(env: &Env, cluster: &Cluster, peers: &Peers, seal_keys: &SealKeys) -> JoinDesk {
        JoinDesk { env: env.clone(), cluster: cluster.clone(), peers: peers.clone(), seal_keys: seal_keys.clone() }
    }

    /// What a new manager is given along. One that gets none here asks for it when it is one.
    async fn seal_key(&self, state: &ClusterState, role: Role) -> Option<WireKey> {
        if role != Role::Manager {
            return None;
        }
        match have_key(&self.peers, &self.seal_keys, state).await {
            Ok(key) => key.as_ref().map(WireKey::from),
            Err(error) => {
                warn!(%error, "a new manager does not get the key that seals secrets yet");
                None
            }
        }
    }

    async fn admit(&self, remote: SocketAddr, request: JoinRequest) -> Answer<Admission> {
        let state = self.cluster.read().await?;
        let founding = &state.cluster.as_ref().ok_or_else(not_founded)?.founding;
        let role = Secret::from_hex(&request.secret)
            .and_then(|secret| role_of(&secret, &founding.manager_secret_hash, &founding.worker_secret_hash))
            .ok_or_else(|| {
                warn!(%remote, "refused a join token");
                Denied::Refused(
                    "the join token is wrong or was rotated: print the current one with `minicloud join-token worker` on a manager".into(),
                )
            })?;
        let authority = authority(&state)?;
        let address = SocketAddr::new(request.advertise.unwrap_or(remote.ip()), request.port);
        let add = Command::AddNode { hostname: request.hostname, role, availability: request.availability, address };
        let added = self.cluster.propose(add).await?;
        let node = added.node.ok_or_else(|| Denied::Later("the cluster gave no node id".into()))?;
        let subject = Subject { node, role, cluster: founding.id, issued: added.index };
        let certificate = authority.sign(&request.request, subject, self.env.now())?;
        info!(%node, %role, %address, "admitted a node");
        let managers = state.nodes.values().filter(|node| node.role == Role::Manager).map(|node| (node.id, node.address)).collect();
        let epoch = state.cluster.as_ref().map_or(0, |cluster| cluster.epoch);
        let seal_key = self.seal_key(&state, role).await;
        Ok(Admission { node, role, cluster: founding.id, epoch, address, certificate: certificate.to_vec(), managers, seal_key })
    }

    async fn renew(&self, peer: Peer, request: RenewRequest) -> Answer<(Certificates, Option<WireKey>)> {
        let state = self.cluster.read().await?;
        let founding = &state.cluster.as_ref().ok_or_else(not_founded)?.founding;
        let removed =
            || Denied::Refused(format!("node {} was removed from the cluster: remove its data directory and join it again", peer.node));
        let row = state.nodes.get(&peer.node).ok_or_else(removed)?;
        if row.role == Role::Worker {
            // Whoever gets a worker's certificate votes no longer, and may forget its log.
            self.cluster.remove_manager(peer.node).await.map_err(|error| Denied::Later(error.to_string()))?;
        }
        let authority = authority(&state)?;
        let subject = Subject { node: peer.node, role: row.role, cluster: founding.id, issued: state.index };
        let certificate = authority.sign(&request.request, subject, self.env.now())?;
        info!(node = %peer.node, role = %row.role, "renewed a certificate");
        let seal_key = self.seal_key(&state, row.role).await;
        Ok(((certificate.to_vec(), authority.certificate().to_vec()), seal_key))
    }
}

#[async_trait]
impl JoinService for JoinDesk {
    async fn serve(&self, remote: SocketAddr, mut stream: BoxStream) {
        let served = async {
            let request = frame::expect(&mut stream).await?;
            reply(&mut stream, self.admit(remote, request).await).await
        };
        if let Err(error) = served.await {
            debug!(%remote, %error, "join request ended");
        }
    }
}

#[async_trait]
impl StreamService for JoinDesk {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        let served = async {
            let request = frame::expect(&mut stream).await?;
            match self.renew(peer, request).await {
                Ok((certificates, seal_key)) => {
                    frame::write(&mut stream, &Answer::Ok(certificates)).await?;
                    if let Some(key) = seal_key {
                        frame::write(&mut stream, &key).await?;
                    }
                    stream.shutdown().await
                }
                Err(denied) => reply(&mut stream, Answer::<Certificates>::Err(denied)).await,
            }
        };
        if let Err(error) = served.await {
            debug!(node = %peer.node, %error, "renewal ended");
        }
    }
}

async fn reply<T: Serialize>(stream: &mut BoxStream, answer: Answer<T>) -> io::Result<()> {
    frame::write(stream, &answer).await?;
    stream.shutdown().await
}

fn authority(state: &ClusterState) -> Result<Authority, Denied> {
    let founding = &state.cluster.as_ref().ok_or_else(not_founded)?.founding;
    Authority::from_pem(&founding.ca_certificate, &founding.ca_key).map_err(|error| Denied::Later(error.to_string()))
}

fn not_founded() -> Denied {
    Denied::Later("this manager does not know its cluster yet".into())
}

impl From<ProposeError> for Denied {
    fn from(error: ProposeError) -> Denied {
        match error {
            ProposeError::Rejected(rejection) => rejection.into(),
            error => Denied::Later(error.to_string()),
        }
    }
}

impl From<Rejection> for Denied {
    fn from(rejection: Rejection) -> Denied {
        Denied::Refused(rejection.to_string())
    }
}

impl From<IdentityError> for Denied {
    fn from(error: IdentityError) -> Denied {
        Denied::Refused(error.to_string())
    }
}

impl From<LinkError> for JoinError {
    fn from(error: LinkError) -> JoinError {
        match error {
            LinkError::Refused { reason, .. } => JoinError::Refused(reason),
            error => JoinError::Unreachable(error.to_string()),
        }
    }
}

impl From<PeerError> for JoinError {
    fn from(error: PeerError) -> JoinError {
        match error {
            PeerError::Link(error) => error.into(),
            error => JoinError::Unreachable(error.to_string()),
        }
    }
}
