//! Managers of one cluster on simulated machines: started, crashed, cut off, and started again.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use minicloud_core::command::{Command, NewCluster};
use minicloud_core::id::{ClusterId, Index, NetworkId, NodeId};
use minicloud_core::state::{Availability, ClusterState, Role};
use minicloud_core::time::Timestamp;
use minicloud_node::cluster::Cluster;
use minicloud_node::env::{Clock, Env, Random};
use minicloud_node::founding::{self, FOUNDER, Founding};
use minicloud_node::hello::Local;
use minicloud_node::peers::Peers;
use minicloud_node::raft::{Tuning, seed_elections};
use minicloud_node::router::{Router, Services};
use minicloud_node::transport::{Certified, Transport};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::disk::SimDisk;
use super::net::{Net, Weather};

const CLUSTER: ClusterId = ClusterId(42);
/// Small, so that snapshots and purges happen often.
const TUNING: Tuning =
    Tuning { election_timeout: (Duration::from_millis(300), Duration::from_millis(400)), snapshot_entries: 150, log_entries_kept: 30 };
/// Longest that anything may take once all is well again, in virtual time.
const SETTLE: Duration = Duration::from_secs(60);

/// See the module.
pub struct World {
    pub random: StdRng,
    pub net: Net,
    pub nodes: Vec<SimNode>,
    trace: Trace,
}

/// One simulated machine.
pub struct SimNode {
    pub id: NodeId,
    pub address: SocketAddr,
    env: Env,
    disk: SimDisk,
    running: Option<Running>,
}

struct Running {
    cluster: Cluster,
    router: JoinHandle<()>,
}

/// What happened when, to compare two runs of one seed.
#[derive(Clone)]
pub struct Trace {
    start: Instant,
    lines: Arc<Mutex<Vec<String>>>,
    /// Shown as it happens too: one seed was asked for.
    live: bool,
}

impl Trace {
    pub fn note(&self, line: impl Into<String>) {
        let line = format!("{:>9.3} {}", self.start.elapsed().as_secs_f64(), line.into());
        if self.live {
            eprintln!("{line}");
        }
        self.lines.lock().unwrap().push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct SimClock(Instant);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000) + self.0.elapsed()
    }
}

struct SimRandom(Mutex<StdRng>);

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap().fill_bytes(bytes);
    }
}

impl World {
    /// A cluster of `count` managers, all of them voting.
    pub async fn found(seed: u64, count: usize) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        seed_elections(random.next_u64());
        let net = Net::new(random.next_u64());
        let trace = Trace { start: Instant::now(), lines: Arc::default(), live: std::env::var_os("MINICLOUD_SIM_SEED").is_some() };
        let mut world = World { random, net, nodes: Vec::new(), trace };
        let first = world.add_machine(FOUNDER);
        let founding = Founding {
            hostname: "n1".into(),
            availability: Availability::Active,
            address: world.nodes[first].address,
            address_pool: "10.0.0.0/8".parse().unwrap(),
        };
        let env = world.nodes[first].env.clone();
        founding::write_log(&env, Path::new("/"), &founding, new_cluster()).unwrap();
        world.start(first).await;
        for number in 1..count {
            let address = address_of(number);
            let add = Command::AddNode { hostname: format!("m{number}"), role: Role::Manager, availability: Availability::Active, address };
            let added = world.cluster(0).unwrap().propose(add).await.unwrap();
            let at = world.add_machine(added.node.unwrap());
            world.start(at).await;
            let managers = [world.nodes[0].address];
            timeout(SETTLE, world.cluster(at).unwrap().enlist(&managers)).await.expect("the new manager votes").unwrap();
        }
        world
    }

    fn add_machine(&mut self, id: NodeId) -> usize {
        let disk = SimDisk::new(self.random.next_u64());
        let random = SimRandom(Mutex::new(StdRng::seed_from_u64(self.random.next_u64())));
        let env = Env { clock: Arc::new(SimClock(self.trace.start)), random: Arc::new(random), disk: Arc::new(disk.clone()) };
        self.nodes.push(SimNode { id, address: address_of(self.nodes.len()), env, disk, running: None });
        self.nodes.len() - 1
    }

    pub fn trace(&self) -> Trace {
        self.trace.clone()
    }

    /// The handle of a node that runs.
    pub fn cluster(&self, at: usize) -> Option<&Cluster> {
        self.nodes[at].running.as_ref().map(|running| &running.cluster)
    }

    pub async fn start(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let certified = Certified { node: node.id, role: Role::Manager, issued: Index(0), expired: false };
        let transport: Arc<dyn Transport> = Arc::new(self.net.attach(node.address, certified));
        let local = Local::new(node.id, Role::Manager, CLUSTER, 0, node.address);
        let peers = Peers::new(local, transport.clone());
        let cluster = Cluster::open(&node.env, Path::new("/"), &peers, &TUNING).await.unwrap();
        let router = tokio::spawn(Router::new(&peers, cluster.serve(Services::default())).run(transport));
        tokio::spawn(follow(node.id, cluster.leadership(), self.trace.clone()));
        node.running = Some(Running { cluster, router });
        self.trace.note(format!("{} starts", node.id));
    }

    /// Power fails: the network and the disk stop at this instant, whatever the process still does.
    pub async fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(running) = node.running.take() else { return };
        running.must_be_well();
        self.net.detach(node.address);
        node.disk.crash();
        running.router.abort();
        drop(running);
        self.trace.note(format!("{} crashes", node.id));
    }

    /// Something goes wrong, or right again.
    pub async fn disturb(&mut self) {
        let at = self.random.random_range(0..self.nodes.len());
        match self.random.random_range(0..10) {
            0..=2 => self.crash(at).await,
            3..=5 => self.restart_all().await,
            6 => self.isolate(at),
            7 => self.deafen(at),
            8 => self.change_weather(),
            _ => self.heal(),
        }
    }

    pub async fn restart_all(&mut self) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].running.is_none() {
                self.start(at).await;
            }
        }
    }

    fn isolate(&mut self, at: usize) {
        let alone = self.nodes[at].address;
        for other in self.others(at) {
            self.net.block(alone, other);
            self.net.block(other, alone);
        }
        self.trace.note(format!("{} is cut off", self.nodes[at].id));
    }

    /// It still talks, and hears nobody.
    fn deafen(&mut self, at: usize) {
        let deaf = self.nodes[at].address;
        self.others(at).into_iter().for_each(|other| self.net.block(other, deaf));
        self.trace.note(format!("{} hears nothing", self.nodes[at].id));
    }

    fn others(&self, at: usize) -> Vec<SocketAddr> {
        self.nodes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, node)| node.address).collect()
    }

    fn change_weather(&mut self) {
        let delay = Duration::from_millis(self.random.random_range(1..40));
        let loss = self.random.random_range(0.0..0.1);
        self.net.set_weather(Weather { delay, loss });
        self.trace.note(format!("packets take {} ms, {:.0} % are lost", delay.as_millis(), loss * 100.0));
    }

    pub fn heal(&mut self) {
        self.net.heal();
        self.net.set_weather(Weather { delay: Duration::from_millis(1), loss: 0.0 });
        self.trace.note("all is well");
    }

    /// Heals everything and returns once all nodes have the same state, which the first one read linearizably.
    pub async fn settle(&mut self) {
        self.heal();
        self.restart_all().await;
        let settled = timeout(SETTLE, async {
            loop {
                if let Ok(state) = self.cluster(0).expect("all nodes run").read().await {
                    let all = (0..self.nodes.len()).map(|at| self.cluster(at).expect("all nodes run"));
                    if all.into_iter().all(|cluster| cluster.state() == state) {
                        return;
                    }
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        if settled.await.is_err() {
            panic!("the nodes do not agree although all is well:\n{}", self.standing().await);
        }
        self.nodes.iter().filter_map(|node| node.running.as_ref()).for_each(Running::must_be_well);
    }
}

impl World {
    /// Where each node stands, for a failure's message.
    async fn standing(&self) -> String {
        let mut text = String::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(cluster) = self.cluster(at) else { continue };
            let (leadership, index) = (*cluster.leadership().borrow(), cluster.state().index);
            let read = cluster.read().await.map(|state| state.index);
            let first = self.cluster(0).map(Cluster::state).unwrap_or_default();
            text += &differences(&first, &cluster.state());
            text += &format!("{}: applied {index}, {leadership:?}, read {read:?}, managers {:?}\n", node.id, cluster.managers().await);
        }
        text
    }
}

/// Rows that two nodes have differently.
fn differences(one: &ClusterState, other: &ClusterState) -> String {
    let rows = |state: &ClusterState| state.rows().collect::<BTreeMap<_, _>>();
    let (ours, theirs) = (rows(one), rows(other));
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ = keys.into_iter().filter(|key| ours.get(key) != theirs.get(key));
    differ.take(5).map(|key| format!("{key:?}: {:?} is {:?} elsewhere\n", ours.get(key), theirs.get(key))).collect()
}

impl Running {
    /// Consensus must not have stopped by itself: a panic inside it, for example.
    fn must_be_well(&self) {
        let mut failed = pin!(self.cluster.failed());
        if let Poll::Ready(reason) = failed.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            panic!("consensus stopped: {reason}");
        }
    }
}

async fn follow(node: NodeId, mut leadership: tokio::sync::watch::Receiver<minicloud_node::cluster::Leadership>, trace: Trace) {
    while leadership.changed().await.is_ok() {
        let now = *leadership.borrow_and_update();
        if now.leading {
            trace.note(format!("{node} leads in term {}", now.term));
        }
    }
}

fn address_of(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(number + 1).unwrap()], 2377))
}

fn new_cluster() -> NewCluster {
    NewCluster {
        id: CLUSTER,
        ca_certificate: String::new(),
        ca_key: String::new(),
        worker_secret_hash: [1; 32],
        manager_secret_hash: [2; 32],
        address_pool: "10.0.0.0/8".parse().unwrap(),
        ingress_network: NetworkId(1),
        egress_network: NetworkId(2),
    }
}
