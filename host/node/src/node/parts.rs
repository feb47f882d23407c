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

use super::enter::Settings;
use super::options::{DnsDoor, NodeOptions};
use super::peers::ViewPeers;
use crate::agent::{Agent, AgentOptions};
use crate::api::{Api, NodeApi};
use crate::cluster::Cluster;
use crate::dispatcher::{Dispatcher, DispatcherOptions};
use crate::dns::Dns;
use crate::images::{BlobService, Images};
use crate::ingress::{Ingress, IngressOptions};
use crate::leader::{Leader, LeaderOptions};
use crate::liveness::LivenessHandle;
use crate::logs::{Logs, LogsService};
use crate::member::Member;
use crate::overlay::{LargeDatagrams, Overlay, OverlayService};
use crate::peers::Peers;
use crate::router::{Allow, Router, StreamService};
use crate::session::{Manager, PeersDial, Session, SessionHandle, SessionOptions, SessionStatus};
use crate::transport::{Peer, StreamKind};
use crate::usage::{LocalFacts, QueryService};
use crate::volumes::LocalVolumes;

/// How long a start waits for a session with the leader; without one the node serves all the same.
const SESSION_WAIT: Duration = Duration::from_secs(10);
/// How long a leader that stops looks for a successor.
const HAND_OVER_WAIT: Duration = Duration::from_secs(3);
/// How long the tasks of a node that stops may take to end, beyond their own grace.
const TASKS_END_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Parts {
    member: Member,
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
        let dispatcher = member.cluster.as_ref().map(|cluster| manage(&member, cluster, &core));
        let (session, session_handle) = session(&member, &settings, dispatcher.as_ref());
        let images_peers = Arc::new(ViewPeers { peers: peers.clone(), session: session_handle.clone() });
        let images = Images::open(&folder.join("images"), options.bundled, images_peers)?;
        let logs = Logs::open(&folder.join("logs"), member.env.clock.clone())?;
        let switch = Switch::new(peers.local().node(), Arc::new(Overlay::new(Arc::new(peers.clone()))));
        let (agent, running) = Agent::new(AgentOptions {
            node: peers.local().node(),
            clock: member.env.clock.clone(),
            session: session_handle.clone(),
            executor: options.executor,
            images: Arc::new(images.clone()),
            logs: Arc::new(logs.clone()),
            volumes: Arc::new(LocalVolumes::new(folder.join("volumes"))),
            switch: switch.clone(),
            on_view: endpoints_to(peers.clone()),
        });
        let (ingress, ingress_handle) = Ingress::new(IngressOptions {
            address: settings.addresses.ingress,
            port_offset: settings.addresses.port_offset,
            switch: switch.clone(),
            view: session_handle.view(),
        });
        let facts = LocalFacts { running, switch: switch.clone(), ingress: ingress_handle };
        let dns = serve_dns(settings.addresses.dns, &switch, &edges).await?;
        tokio::spawn(router(&member, dispatcher, &images, &logs, &facts).run(member.transport.clone()));
        tokio::spawn(session.run(edges.clone()));
        tokio::spawn(ingress.run(edges.clone()));
        let agent = tokio::spawn(agent.run(core.clone()));
        member.enlist().await.context("this node could not become a manager")?;
        wait_for_session(&session_handle).await;
        let api = NodeApi {
            cluster: member.cluster.clone(),
            peers,
            images,
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
        match &self.member.cluster {
            Some(cluster) => cluster.failed().await,
            None => std::future::pending().await,
        }
    }

    /// The way back: no new requests, the tasks end, leadership is handed over, the links close.
    pub async fn stop(self) {
        self.edges.cancel();
        // A leader that drains would lead nobody: another one takes over first.
        if let Some(cluster) = self.member.cluster.as_ref().filter(|cluster| cluster.leadership().borrow().leading) {
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

/// The leader's loop and the dispatcher, on a manager.
fn manage(member: &Member, cluster: &Cluster, core: &CancellationToken) -> Arc<Dispatcher> {
    let liveness = LivenessHandle::new();
    let replicated = Arc::new(cluster.clone());
    let (clock, random) = (member.env.clock.clone(), member.env.random.clone());
    let (leader, _) = Leader::new(LeaderOptions { replicated: replicated.clone(), liveness: liveness.clone(), clock, random });
    tokio::spawn(leader.run(core.clone()));
    let dispatcher = Dispatcher::new(DispatcherOptions { replicated, liveness });
    tokio::spawn(dispatcher.clone().run(core.clone()));
    dispatcher
}

fn session(member: &Member, settings: &Settings, dispatcher: Option<&Arc<Dispatcher>>) -> (Session, SessionHandle) {
    let local = member.peers.local();
    let own = Peer { node: local.node(), role: local.role(), address: local.address() };
    let mut managers: Vec<Manager> =
        member.file.managers.iter().map(|(node, address)| Manager { node: Some(*node), address: *address }).collect();
    if dispatcher.is_some() {
        managers.insert(0, Manager { node: Some(own.node), address: own.address });
    }
    Session::new(SessionOptions {
        node: own.node,
        hostname: settings.hostname.clone(),
        address: own.address,
        description: describe(settings),
        dial: Arc::new(PeersDial {
            peers: member.peers.clone(),
            own: dispatcher.map(|dispatcher| (own, dispatcher.clone() as Arc<dyn StreamService>)),
        }),
        managers,
        managers_file: member.dir.path().join("managers.json"),
        random: member.env.random.clone(),
    })
}

fn router(member: &Member, dispatcher: Option<Arc<Dispatcher>>, images: &Images, logs: &Logs, facts: &LocalFacts) -> Router {
    let overlay = Arc::new(OverlayService::new(facts.switch.clone()));
    let router = member
        .routes()
        .stream(StreamKind::Overlay, Allow::Members, overlay.clone())
        .stream(StreamKind::Datagram, Allow::Members, Arc::new(LargeDatagrams(overlay.clone())))
        .stream(StreamKind::Logs, Allow::Managers, Arc::new(LogsService(logs.clone())))
        .stream(StreamKind::Blob, Allow::Members, Arc::new(BlobService(images.clone())))
        .stream(StreamKind::Query, Allow::Managers, Arc::new(QueryService(facts.clone())))
        .datagrams(overlay);
    match dispatcher {
        Some(dispatcher) => router.stream(StreamKind::Dispatcher, Allow::Members, dispatcher),
        None => router,
    }
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

fn describe(settings: &Settings) -> NodeDescription {
    NodeDescription {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        memory_bytes: machine_memory_bytes(),
        cpu_millis: std::thread::available_parallelism()
            .map_or(1_000, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX).saturating_mul(1_000)),
        ingress: Some(settings.addresses.ingress),
    }
}

/// Memory of the machine in bytes, where the system tells; else 0, which the scheduler takes for unknown.
fn machine_memory_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return 0 };
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    total.map_or(0, |kib| kib << 10)
}
