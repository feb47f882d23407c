//! The parts of a running node, in the order in which they come up and go down.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use minicloud_core::state::NodeDescription;
use minicloud_net::Switch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::duties::Duties;
use super::enter::Settings;
use super::options::{DnsDoor, NodeOptions};
use super::peers::ViewPeers;
use super::role::{RoleKeeper, shown_otherwise};
use crate::agent::{Agent, AgentOptions};
use crate::api::{Api, NodeApi};
use crate::cluster::ProposeError;
use crate::dns::Dns;
use crate::files::{ClusterFiles, Held};
use crate::images::{BlobService, ImageKeeper, Images};
use crate::ingress::{Ingress, IngressOptions};
use crate::logs::{Logs, LogsService};
use crate::member::Member;
use crate::overlay::{LargeDatagrams, Overlay, OverlayService};
use crate::peers::Peers;
use crate::router::{Allow, Router, Services};
use crate::session::{Manager, OwnDispatcher, PeersDial, Session, SessionHandle, SessionOptions, SessionStatus};
use crate::transport::StreamKind;
use crate::usage::{LocalFacts, QueryService};
use crate::volumes::{LocalVolumes, remove_leaving};

/// How long a start waits for a session with the leader; without one the node serves all the same.
const SESSION_WAIT: Duration = Duration::from_secs(10);
/// How long a leader that stops looks for a successor.
const HAND_OVER_WAIT: Duration = Duration::from_secs(3);
/// How long the tasks of a node that stops may take to end, beyond their own grace.
const TASKS_END_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Parts {
    member: Arc<Member>,
    /// Ends the edges: API, ingress, DNS, session.
    edges: CancellationToken,
    /// Ends what decides and what drives tasks.
    core: CancellationToken,
    agent: JoinHandle<()>,
    logs: Logs,
}

impl Parts {
    pub async fn start(options: NodeOptions, member: Member, settings: Settings, stop: &CancellationToken) -> anyhow::Result<Parts> {
        let (edges, core) = (CancellationToken::new(), CancellationToken::new());
        let folder = member.dir.path().to_owned();
        let peers = member.peers.clone();
        let member = Arc::new(member);
        let own_dispatcher = OwnDispatcher::default();
        let (session, session_handle) = session(&member, &settings, options.executor.tasks_max(), own_dispatcher.clone());
        let images_peers = Arc::new(ViewPeers { peers: peers.clone(), session: session_handle.clone() });
        let images = Images::open(&folder.join("images"), options.bundled, images_peers)?;
        let logs = Logs::open(&folder.join("logs"), member.env.clock.clone())?;
        let switch = Switch::new(peers.local().node(), Arc::new(Overlay::new(Arc::new(peers.clone()))));
        let volumes = Arc::new(LocalVolumes::new(folder.join("volumes")));
        let files = ClusterFiles {
            peers: peers.clone(),
            session: session_handle.clone(),
            cluster: member.cluster.clone(),
            keys: member.seal_keys.clone(),
            held: Held::default(),
        };
        let (agent, running) = Agent::new(AgentOptions {
            node: peers.local().node(),
            clock: member.env.clock.clone(),
            session: session_handle.clone(),
            executor: options.executor.clone(),
            images: Arc::new(images.clone()),
            files: Arc::new(files),
            logs: Arc::new(logs.clone()),
            volumes: volumes.clone(),
            switch: switch.clone(),
            on_view: endpoints_to(peers.clone()),
        });
        let (ingress, ingress_handle) = Ingress::new(IngressOptions {
            address: settings.addresses.ingress,
            port_offset: settings.addresses.port_offset,
            switch: switch.clone(),
            view: session_handle.view(),
        });
        let facts = LocalFacts { running, ingress: ingress_handle, started: tokio::time::Instant::now() };
        let dns = serve_dns(settings.addresses.dns, &switch, &edges).await?;
        let common = services(&images, &logs, &switch, &facts);
        let router = Router::new(&peers, common.clone());
        let mut duties = Duties { common, services: router.services(), own_dispatcher, core: core.clone(), end: None };
        if let Some(cluster) = member.cluster.get() {
            duties.begin(&member, &cluster);
        }
        tokio::spawn(router.run(member.transport.clone()));
        tokio::spawn(session.run(edges.clone()));
        let keeper = ImageKeeper { images: images.clone(), cluster: member.cluster.clone(), view: session_handle.view() };
        tokio::spawn(edges.clone().run_until_cancelled_owned(keeper.run()));
        tokio::spawn(ingress.run(edges.clone()));
        tokio::spawn(edges.clone().run_until_cancelled_owned(remove_leaving(volumes, session_handle.clone())));
        let agent = tokio::spawn(agent.run(core.clone()));
        enlist(&member, &session_handle).await?;
        tokio::spawn(RoleKeeper::new(member.clone(), session_handle.clone(), duties)?.run(edges.clone()));
        wait_for_session(&session_handle).await;
        let api = NodeApi {
            cluster: member.cluster.clone(),
            clock: member.env.clock.clone(),
            random: member.env.random.clone(),
            peers,
            seal_keys: member.seal_keys.clone(),
            images,
            executor: options.executor,
            logs: logs.clone(),
            switch,
            session: session_handle,
            facts,
            hostname: settings.hostname,
            addresses: settings.addresses,
            dns,
            data_dir: folder,
            stop: stop.clone(),
        };
        Api::bind(api).await.context("cannot serve the API")?.spawn(edges.clone());
        Ok(Parts { member, edges, core, agent, logs })
    }

    /// Why the node cannot go on, once it cannot.
    pub async fn failed(&self) -> String {
        self.member.cluster.failed().await
    }

    /// The way back: no new requests, the tasks end, leadership is handed over, the links close.
    pub async fn stop(self) {
        self.edges.cancel();
        // A leader that drains would lead nobody: another one takes over first.
        if let Some(cluster) = self.member.cluster.get().filter(|cluster| cluster.leadership().borrow().leading) {
            let _ = timeout(HAND_OVER_WAIT, cluster.transfer_leadership()).await;
        }
        self.core.cancel();
        if timeout(TASKS_END_WAIT, self.agent).await.is_err() {
            warn!("some tasks did not end in {} s", TASKS_END_WAIT.as_secs());
        }
        self.logs.flush().await;
        self.member.shutdown().await;
    }
}

/// A node that starts as a manager and does not vote yet: it has just joined, or was promoted when it fell. It serves
/// whatever comes of it, because the role keeper goes on trying.
async fn enlist(member: &Member, session: &SessionHandle) -> anyhow::Result<()> {
    if member.cluster.get().is_none_or(|cluster| cluster.votes()) {
        return Ok(());
    }
    let enlisted = tokio::select! {
        enlisted = member.enlist() => enlisted,
        () = shown_otherwise(member, session) => return Ok(()),
    };
    match enlisted {
        Err(rejected @ ProposeError::Rejected(_)) => Err(rejected).context("this node could not become a manager"),
        Err(error) => {
            warn!(%error, "not a voting manager yet; serving all the same");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn session(member: &Member, settings: &Settings, tasks_max: u32, own: OwnDispatcher) -> (Session, SessionHandle) {
    let local = member.peers.local();
    let mut managers: Vec<Manager> =
        member.file.managers.iter().map(|(node, address)| Manager { node: Some(*node), address: *address }).collect();
    if member.cluster.get().is_some() {
        managers.insert(0, Manager { node: Some(local.node()), address: local.address() });
    }
    Session::new(SessionOptions {
        node: local.node(),
        hostname: settings.hostname.clone(),
        address: local.address(),
        description: describe(settings, tasks_max),
        dial: Arc::new(PeersDial { peers: member.peers.clone(), own }),
        managers,
        managers_file: member.dir.path().join("managers.json"),
        random: member.env.random.clone(),
    })
}

/// What every node serves to others.
fn services(images: &Images, logs: &Logs, switch: &Switch, facts: &LocalFacts) -> Services {
    let overlay = Arc::new(OverlayService::new(switch.clone()));
    Services::default()
        .stream(StreamKind::Overlay, Allow::Members, overlay.clone())
        .stream(StreamKind::Datagram, Allow::Members, Arc::new(LargeDatagrams(overlay.clone())))
        .stream(StreamKind::Logs, Allow::Managers, Arc::new(LogsService(logs.clone())))
        .stream(StreamKind::Blob, Allow::Members, Arc::new(BlobService(images.clone())))
        .stream(StreamKind::Query, Allow::Managers, Arc::new(QueryService(facts.clone())))
        .datagrams(overlay)
}

/// Where names are answered, if anywhere; or why they are not, where that is no reason to stop.
async fn serve_dns(door: DnsDoor, switch: &Switch, edges: &CancellationToken) -> anyhow::Result<Result<Option<SocketAddr>, String>> {
    let (DnsDoor::At(address) | DnsDoor::IfFree(address)) = door else { return Ok(Ok(None)) };
    match Dns::bind(address, switch.clone()).await {
        Ok(dns) => {
            let address = dns.address();
            tokio::spawn(dns.run(edges.clone()));
            Ok(Ok(Some(address)))
        }
        Err(error) if door == DnsDoor::IfFree(address) => {
            warn!(%address, %error, "not answering DNS");
            Ok(Err(format!("{address}: {error}")))
        }
        Err(error) => Err(error).with_context(|| format!("cannot answer DNS on {address}")),
    }
}

fn endpoints_to(peers: Peers) -> Box<dyn Fn(&minicloud_core::view::NodeView) + Send + Sync> {
    Box::new(move |view| {
        let own = peers.local().node();
        let others = view.nodes.values().filter(|node| node.id != own);
        peers.set_endpoints(others.map(|node| (node.id, node.address, node.role)));
    })
}

async fn wait_for_session(session: &SessionHandle) {
    let mut status = session.status();
    let connected = status.wait_for(|status| matches!(status, SessionStatus::Connected(_)));
    if timeout(SESSION_WAIT, connected).await.is_err() {
        warn!("no session with a leader yet; serving all the same");
    }
}

fn describe(settings: &Settings, tasks_max: u32) -> NodeDescription {
    NodeDescription {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        memory_bytes: machine_memory_bytes(),
        cpu_millis: std::thread::available_parallelism()
            .map_or(1_000, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX).saturating_mul(1_000)),
        tasks_max,
        ingress: Some(settings.addresses.ingress),
    }
}

/// Memory of the machine in bytes, where the system tells; else 0, which the scheduler takes for unknown.
fn machine_memory_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return 0 };
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    total.map_or(0, |kib| kib << 10)
}
