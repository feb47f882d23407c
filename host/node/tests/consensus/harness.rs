//! Nodes of one cluster in this process, on ports that the system chooses.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::command::Command;
use minicloud_core::id::{NodeId, VolumeId};
use minicloud_core::spec::VolumeSpec;
use minicloud_core::state::{Availability, ClusterState, Role};
use minicloud_node::cluster::Cluster;
use minicloud_node::data_dir::DataDir;
use minicloud_node::env::Env;
use minicloud_node::founding::Founding;
use minicloud_node::join::Joining;
use minicloud_node::member::{self, Member, MemberError};
use minicloud_node::router::{Router, Services};
use minicloud_node::token::Token;
use minicloud_node::transport::Transport;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Longest that any condition of these tests may take, on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One running node.
pub struct Node {
    pub member: Member,
    router: JoinHandle<()>,
}

/// Folders of nodes, removed at the end.
pub struct Folders(TempDir);

impl Folders {
    pub fn new() -> Folders {
        Folders(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn founding() -> Founding {
    Founding {
        hostname: "first".into(),
        availability: Availability::Active,
        address: loopback(),
        address_pool: "10.0.0.0/8".parse().unwrap(),
    }
}

impl Node {
    pub async fn found(folder: PathBuf) -> Node {
        Node::found_in(&Env::real(), folder).await
    }

    pub async fn found_in(env: &Env, folder: PathBuf) -> Node {
        let dir = DataDir::lock(&folder).unwrap();
        let socket = member::listen(loopback()).unwrap();
        member::found(env, &dir, &socket, founding()).unwrap();
        Node::run(Member::open(env, dir, socket).await.unwrap())
    }

    /// Opens a node that was stopped. Its last process, or its last life in this one, may still be letting go of files.
    pub async fn open(folder: PathBuf) -> Node {
        Node::open_in(&Env::real(), folder).await
    }

    pub async fn open_in(env: &Env, folder: PathBuf) -> Node {
        let end = Instant::now() + DEADLINE;
        loop {
            match Node::try_open(env, &folder).await {
                Ok(member) => return Node::run(member),
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn try_open(env: &Env, folder: &Path) -> Result<Member, MemberError> {
        let dir = DataDir::lock(folder)?;
        let socket = member::listen(dir.node()?.listen)?;
        Member::open(env, dir, socket).await
    }

    /// Joins, and for a manager waits until it votes.
    pub async fn join(folder: PathBuf, token: Token, managers: &[SocketAddr]) -> Node {
        let node = Node::try_join(folder, token, managers).await.unwrap();
        timeout(DEADLINE, node.member.enlist()).await.unwrap().unwrap();
        node
    }

    pub async fn try_join(folder: PathBuf, token: Token, managers: &[SocketAddr]) -> Result<Node, MemberError> {
        Node::join_in(&Env::real(), folder, token, managers).await
    }

    pub async fn join_in(env: &Env, folder: PathBuf, token: Token, managers: &[SocketAddr]) -> Result<Node, MemberError> {
        let dir = DataDir::lock(&folder)?;
        let socket = member::listen(loopback())?;
        let joining = Joining {
            token,
            managers: managers.to_vec(),
            hostname: folder.file_name().unwrap().to_string_lossy().into_owned(),
            availability: Availability::Active,
            listen: loopback(),
            advertise: None,
        };
        member::join(&dir, &socket, joining).await?;
        Ok(Node::run(Member::open(env, dir, socket).await?))
    }

    fn run(member: Member) -> Node {
        let transport: Arc<dyn Transport> = member.transport.clone();
        let router = Router::new(&member.peers, member.services(Services::default()));
        let router = tokio::spawn(router.run(transport));
        Node { member, router }
    }

    pub fn id(&self) -> NodeId {
        self.member.file.node
    }

    pub fn address(&self) -> SocketAddr {
        self.member.file.advertise
    }

    pub fn cluster(&self) -> Cluster {
        self.member.cluster.get().unwrap()
    }

    pub async fn token(&self, role: Role) -> Token {
        self.cluster().join_token(role).await.unwrap()
    }

    pub fn leads(&self) -> bool {
        self.cluster().leadership().borrow().leading
    }

    /// Goes away without a word to Raft: nobody is handed the leadership.
    pub async fn crash(self) {
        self.member.transport.close().await;
        self.router.abort();
        // The task that kept the router's services is gone once this returns.
        let _ = self.router.await;
    }

    pub async fn stop(self) {
        self.member.shutdown().await;
        self.router.await.unwrap();
    }
}

pub fn create_volume(number: u64) -> Command {
    let spec = VolumeSpec { name: format!("volume-{number}"), labels: Default::default(), node: None };
    Command::CreateVolume { id: VolumeId(number), spec }
}

pub fn has_volume(state: &ClusterState, number: u64) -> bool {
    state.volumes.contains_key(&VolumeId(number))
}

/// Waits for a condition, and says which one did not come true.
pub async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "not within {} s: {what}", DEADLINE.as_secs());
        sleep(Duration::from_millis(10)).await;
    }
}

pub async fn leader(nodes: &[Node]) -> usize {
    let mut found = None;
    wait_for("a leader", async || {
        found = nodes.iter().position(Node::leads);
        found.is_some()
    })
    .await;
    found.unwrap()
}
