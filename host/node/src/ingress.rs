//! Published ports: this node listens for every one of the view, and carries connections and datagrams to tasks.
//!
//! Mode `ingress`: on every node, to any task of the service. Mode `host`: where a task runs, to that one. Which task
//! takes them is the switch's choice; the task sees the client's true address. A port that cannot be bound is
//! kept in [`IngressHandle::unbound`] with the reason, logged once, and tried again.
mod bind;
mod client_socket;
mod plan;
mod tcp;
mod udp;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::spec::Protocol;
use minicloud_core::view::NodeView;
use minicloud_net::Switch;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::{INGRESS_CONNECTIONS_MAX, INGRESS_RETRY_DELAY};
use crate::usage::UnboundPort;
use plan::{Listen, Target};
use tcp::TcpPort;
use udp::UdpPort;

pub struct IngressOptions {
    /// Where ports are bound that name no address; unspecified: every address, IPv4 and IPv6.
    pub address: IpAddr,
    /// Added to every published port, for several nodes on one address.
    pub port_offset: u16,
    pub switch: Switch,
    pub view: watch::Receiver<Arc<NodeView>>,
}

/// See the module. Consumed by [`Ingress::run`].
pub struct Ingress {
    options: IngressOptions,
    open: BTreeMap<Listen, Port>,
    connections: Arc<Semaphore>,
    shared: Arc<Mutex<Report>>,
}

/// What others may know of the ingress. Cheap to clone.
#[derive(Clone, Default)]
pub struct IngressHandle {
    shared: Arc<Mutex<Report>>,
}

#[derive(Default)]
struct Report {
    unbound: BTreeMap<Listen, UnboundPort>,
    listening: Vec<SocketAddr>,
}

/// A port that is bound. Dropping it closes the port; connections through it live on.
struct Port {
    target: watch::Sender<Target>,
    addresses: Vec<SocketAddr>,
    _open: OpenPort,
}

/// Keeps a port open until it is dropped.
enum OpenPort {
    Tcp(#[expect(dead_code, reason = "held, never looked at")] TcpPort),
    Udp(#[expect(dead_code, reason = "held, never looked at")] UdpPort),
}

impl Ingress {
    pub fn new(options: IngressOptions) -> (Ingress, IngressHandle) {
        let handle = IngressHandle::default();
        let connections = Arc::new(Semaphore::new(INGRESS_CONNECTIONS_MAX));
        (Ingress { options, open: BTreeMap::new(), connections, shared: handle.shared.clone() }, handle)
    }

    /// Listens as the view says until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let _ = shutdown.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        loop {
            let view = self.options.view.borrow_and_update().clone();
            let all_bound = self.reconcile(plan::ports(&view, self.options.address, self.options.port_offset));
            let retry = async {
                match all_bound {
                    true => std::future::pending().await,
                    false => sleep_until(Instant::now() + INGRESS_RETRY_DELAY).await,
                }
            };
            tokio::select! {
                changed = self.options.view.changed() => if changed.is_err() { return },
                () = retry => {}
            }
        }
    }

    /// Opens and closes ports until they are as `wanted`; false when some could not be bound.
    fn reconcile(&mut self, wanted: BTreeMap<Listen, Target>) -> bool {
        self.open.retain(|listen, _| wanted.contains_key(listen));
        self.report().unbound.retain(|listen, _| wanted.contains_key(listen));
        for (listen, target) in wanted {
            match self.open.get(&listen) {
                Some(port) => {
                    port.target.send_if_modified(|now| std::mem::replace(now, target) != target);
                }
                None => self.bind(listen, target),
            }
        }
        let listening = self.open.values().flat_map(|port| port.addresses.iter().copied()).collect();
        let mut report = self.report();
        report.listening = listening;
        report.unbound.is_empty()
    }

    fn bind(&mut self, listen: Listen, target: Target) {
        let (sender, receiver) = watch::channel(target);
        let opened = match listen.protocol {
            Protocol::Tcp => TcpPort::open(listen, receiver, &self.options.switch, &self.connections)
                .map(|(port, addresses)| (OpenPort::Tcp(port), addresses)),
            Protocol::Udp => {
                UdpPort::open(listen, receiver, &self.options.switch).map(|(port, addresses)| (OpenPort::Udp(port), addresses))
            }
        };
        match opened {
            Ok((open, addresses)) => {
                info!(%listen, "published port is open");
                self.report().unbound.remove(&listen);
                self.open.insert(listen, Port { target: sender, addresses, _open: open });
            }
            Err(error) => self.could_not_bind(listen, target, &error),
        }
    }

    fn could_not_bind(&mut self, listen: Listen, target: Target, error: &std::io::Error) {
        let unbound = UnboundPort { service: target.service, task: target.task, listen: listen.to_string(), error: bind::explain(error) };
        if self.report().unbound.insert(listen, unbound).is_none() {
            warn!(%listen, %error, "published port cannot be opened; trying again");
        }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IngressHandle {
    /// Ports that could not be bound, and why.
    pub fn unbound(&self) -> Vec<UnboundPort> {
        self.report().unbound.values().cloned().collect()
    }

    /// Every address that is listened on.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.report().listening.clone()
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
