//! A node in this process, and what tests wait for.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use minicloud_core::state::{Availability, Role};
use minicloud_node::api::types::{CreateNetwork, CreateService, Progress};
use minicloud_node::client::{Client, ClientError};
use minicloud_node::images::{BundledImage, ImageDefaults, digest_of};
use minicloud_node::node::{Addresses, DnsDoor, Node, NodeOptions, Start};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::executor::EchoExecutor;

pub const LIMIT: Duration = Duration::from_secs(30);
const ECHO: &[u8] = b"\0asm\x0d\0\x01\0echo";

/// A component that differs from others by `text`.
pub fn component(text: &str) -> Bytes {
    [b"\0asm\x0d\0\x01\0", text.as_bytes()].concat().into()
}

/// A node in this process.
pub struct World {
    pub client: Client,
    pub directory: tempfile::TempDir,
    pub running: JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

impl World {
    /// A cluster of one node, `alpha`.
    pub async fn new() -> World {
        World::start(Start::Found {
            addresses: addresses(0),
            availability: Availability::Active,
            address_pool: "10.0.0.0/8".parse().unwrap(),
            hostname: Some("alpha".into()),
        })
        .await
    }

    /// A further node of the cluster, which publishes on ports that are `port_offset` higher.
    pub async fn join(&self, role: Role, hostname: &str, port_offset: u16) -> World {
        let token = self.client.join_token(role).await.unwrap();
        World::start(Start::Join {
            addresses: addresses(port_offset),
            availability: Availability::Active,
            manager: token.address,
            token: token.token,
            hostname: Some(hostname.into()),
        })
        .await
    }

    async fn start(start: Start) -> World {
        let directory = tempfile::tempdir().unwrap();
        let options = NodeOptions {
            data_dir: directory.path().to_owned(),
            executor: Arc::new(EchoExecutor),
            bundled: vec![BundledImage {
                name: "echo",
                defaults: ImageDefaults { concurrency: Some(1), ..Default::default() },
                digest: digest_of(ECHO),
                size_bytes: ECHO.len() as u64,
                component: Arc::new(|| ECHO.to_vec()),
            }],
        };
        let node = timeout(LIMIT, Node::start(options, start)).await.expect("it starts in time").unwrap();
        let (end, ended) = oneshot::channel();
        let running = tokio::spawn(node.run_until(async move { drop(ended.await) }));
        let client = Client::connect_data_dir(directory.path()).await.unwrap();
        World { client, directory, running, end: Some(end) }
    }

    /// Ends the node in order.
    pub async fn end(mut self) {
        drop(self.end.take());
        timeout(LIMIT, self.running).await.expect("it ends in time").unwrap();
    }

    pub async fn network(&self, name: &str, attachable: bool) {
        self.client.create_network(&CreateNetwork { name: name.into(), attachable, ..Default::default() }).await.unwrap();
    }

    /// Creates a service and waits until it runs.
    pub async fn service(&self, service: CreateService) {
        let name = self.client.create_service(&service).await.unwrap().name;
        assert!(self.converged(&name).await.converged);
    }

    /// The last line of a service's watch.
    pub async fn converged(&self, service: &str) -> Progress {
        let watching = async {
            let mut lines = self.client.watch_service(service).await.unwrap();
            let mut last = None;
            while let Some(progress) = lines.next().await {
                last = Some(progress.unwrap());
            }
            last.expect("a watch tells at least one line")
        };
        timeout(LIMIT, watching).await.unwrap_or_else(|_| panic!("service {service} did not converge"))
    }
}

fn addresses(port_offset: u16) -> Addresses {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Addresses { listen: any_port, advertise: any_port, ingress: Ipv4Addr::LOCALHOST.into(), dns: DnsDoor::Off, port_offset }
}

/// An echo service on these networks.
pub fn echo(name: &str, networks: &[&str]) -> CreateService {
    let networks = networks.iter().map(|network| (*network).to_owned()).collect();
    CreateService { name: Some(name.into()), image: "echo".into(), networks, ..CreateService::default() }
}

/// What the user is told.
pub fn message<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    result.unwrap_err().to_string()
}
