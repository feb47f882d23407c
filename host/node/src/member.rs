//! A node as a member of its cluster: identity, transport, and on managers consensus. What `node` assembles upon.
//!
//! The story: `listen`, then `found` or `join` once in the node's life, then `open` at every start. `open` does not
//! accept connections yet: add services to `services`, and `Router::run` it. A manager that has just joined then
//! calls `enlist`. Later its role may change: `renew` brings the certificate for it, `take_part` and `stop_taking_part`
//! begin and end consensus.
mod renewal;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use crate::cluster::{Cluster, ClusterError, ClusterSlot, ProposeError};
use crate::data_dir::{DataDir, DataDirError, NodeFile};
use crate::env::Env;
use crate::files::{FileDesk, FileService};
use crate::founding::{self, Founding};
use crate::hello::Local;
use crate::identity::IdentityError;
use crate::join::{self, JoinDesk, JoinError, Joining};
use crate::peers::Peers;
use crate::quic::{self, Quic};
use crate::raft::{StoreError, Tuning};
use crate::router::{Allow, Services};
use crate::seal::{SealKeyService, SealKeys};
use crate::transport::{StreamKind, Transport};
use minicloud_core::state::Role;

/// An open member. Dropping it does not stop it: call `shutdown`.
pub struct Member {
    pub env: Env,
    pub dir: DataDir,
    pub file: NodeFile,
    pub transport: Arc<Quic>,
    pub peers: Peers,
    /// Filled on managers.
    pub cluster: ClusterSlot,
    /// Of a manager: the key that seals secrets.
    pub seal_keys: SealKeys,
}

#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Takes the UDP socket. Port 0: one is chosen, and kept for later starts.
pub fn listen(address: SocketAddr) -> Result<UdpSocket, MemberError> {
    quic::bind_socket(address).map_err(|source| MemberError::Listen { address, source })
}

/// Founds a cluster in an empty data directory. A port 0 in `founding.address` becomes the socket's.
pub fn found(env: &Env, dir: &DataDir, socket: &UdpSocket, mut founding: Founding) -> Result<NodeFile, MemberError> {
    dir.must_be_empty()?;
    let listen = local_address(socket)?;
    if founding.address.port() == 0 {
        founding.address.set_port(listen.port());
    }
    // What an earlier try that failed left behind.
    dir.remove_raft()?;
    let (cluster, identity) = founding::prepare(env, &founding)?;
    let file = NodeFile {
        version: NodeFile::VERSION,
        node: identity.certified.node,
        role: Role::Manager,
        cluster: cluster.id,
        epoch: 0,
        listen,
        advertise: founding.address,
        managers: Vec::new(),
        contacts: Vec::new(),
    };
    dir.write_identity(&identity)?;
    founding::write_log(env, &dir.raft()?, &founding, cluster)?;
    dir.write_node(&file)?;
    Ok(file)
}

/// Joins a cluster from an empty data directory. `joining.listen` becomes the socket's address.
pub async fn join(dir: &DataDir, socket: &UdpSocket, mut joining: Joining) -> Result<NodeFile, MemberError> {
    dir.must_be_empty()?;
    let listen = local_address(socket)?;
    joining.listen = listen;
    dir.remove_raft()?;
    let joined = join::join(&joining).await?;
    let file = NodeFile {
        version: NodeFile::VERSION,
        node: joined.identity.certified.node,
        role: joined.identity.certified.role,
        cluster: joined.identity.cluster,
        epoch: joined.epoch,
        listen,
        advertise: joined.address,
        managers: joined.managers,
        contacts: joining.managers,
    };
    dir.write_identity(&joined.identity)?;
    if let Some(key) = &joined.seal_key {
        dir.seal_keys()?.keep(key)?;
    }
    dir.write_node(&file)?;
    Ok(file)
}

impl Member {
    /// Opens what the data directory holds, on a socket from [`listen`] at the address in its node file.
    pub async fn open(env: &Env, dir: DataDir, socket: UdpSocket) -> Result<Member, MemberError> {
        let file = dir.node()?;
        let identity = dir.identity()?;
        let reset_key = dir.reset_key(&*env.random)?;
        let seal_keys = dir.seal_keys()?;
        let listening = |source| MemberError::Listen { address: file.listen, source };
        let transport = Arc::new(Quic::new(socket, &identity, &reset_key, env.clock.clone()).map_err(listening)?);
        let role = identity.certified.role;
        let local = Local::new(identity.certified.node, role, identity.cluster, file.epoch, file.advertise);
        let peers = Peers::new(local, transport.clone());
        // A manager may ask itself for a certificate.
        peers.learn(identity.certified.node, file.advertise, role);
        file.managers.iter().for_each(|(node, address)| peers.learn(*node, *address, Role::Manager));
        let member = Member { env: env.clone(), dir, file, transport, peers, cluster: ClusterSlot::default(), seal_keys };
        match role {
            Role::Manager => {
                let cluster = member.take_part().await?;
                if identity.is_expired(env.now()) {
                    member.renew_alone(&cluster.state())?;
                }
            }
            // A demotion may have been cut short.
            Role::Worker => member.forget_managing()?,
        }
        Ok(member)
    }

    pub fn role(&self) -> Role {
        self.peers.local().role()
    }

    /// Begins to take part in consensus, as a manager. One that was promoted then enlists.
    pub async fn take_part(&self) -> Result<Cluster, MemberError> {
        let cluster = Cluster::open(&self.env, &self.dir.raft()?, &self.peers, &Tuning::default()).await?;
        self.cluster.fill(cluster.clone());
        Ok(cluster)
    }

    /// Stops taking part, as a worker, and removes log and state, which hold the key of the cluster's authority, and the key
    /// that seals secrets.
    pub async fn stop_taking_part(&self) -> Result<(), MemberError> {
        if let Some(cluster) = self.cluster.get() {
            self.cluster.empty();
            cluster.shutdown().await;
        }
        Ok(self.forget_managing()?)
    }

    /// Removes what only managers may have.
    fn forget_managing(&self) -> Result<(), DataDirError> {
        self.dir.remove_raft()?;
        self.seal_keys.forget_but(None)
    }

    /// Adds to `services` what consensus and joining need, on a manager.
    pub fn services(&self, services: Services) -> Services {
        let Some(cluster) = self.cluster.get() else { return services };
        let desk = Arc::new(JoinDesk::new(&self.env, &cluster, &self.peers, &self.seal_keys));
        let files = FileDesk { cluster: cluster.clone(), peers: self.peers.clone(), keys: self.seal_keys.clone() };
        cluster
            .serve(services)
            .stream(StreamKind::SealKey, Allow::Managers, SealKeyService::new(&self.seal_keys, &cluster))
            .stream(StreamKind::File, Allow::Members, Arc::new(FileService(files)))
            .stream(StreamKind::Join, Allow::Members, desk.clone())
            .newcomers(desk)
    }

    /// On a manager: returns once it votes. The router must be running.
    pub async fn enlist(&self) -> Result<(), ProposeError> {
        match self.cluster.get() {
            Some(cluster) => cluster.enlist(&self.file.contacts).await,
            None => Ok(()),
        }
    }

    /// Hands over leadership, stops consensus, and closes every connection.
    pub async fn shutdown(&self) {
        if let Some(cluster) = self.cluster.get() {
            cluster.shutdown().await;
        }
        self.transport.close().await;
    }
}

fn local_address(socket: &UdpSocket) -> Result<SocketAddr, MemberError> {
    socket.local_addr().map_err(|source| MemberError::Listen { address: SocketAddr::from(([0, 0, 0, 0], 0)), source })
}
