//! The simulated network: links between addresses, with delays, resends, partitions, and peers that vanish.
//!
//! It behaves as QUIC does to us: bytes arrive in order or not at all, a lost packet only delays, a silent peer is
//! given up after an idle time, and a peer that came back tells the old connections that they are gone.
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use minicloud_node::transport::{BoxStream, Certified, CloseCode, Incoming, Link, LinkError, Transport};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use stream::SimStream;

/// A link whose peer is silent this long is given up.
const IDLE: Duration = Duration::from_secs(3);

/// The network of one world. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
    /// Counts changes of who reaches whom.
    changes: watch::Sender<u64>,
}

struct State {
    random: StdRng,
    weather: Weather,
    endpoints: BTreeMap<SocketAddr, Endpoint>,
    /// Directions in which nothing arrives.
    blocked: BTreeSet<(SocketAddr, SocketAddr)>,
    lives: u64,
}

/// How fast and how surely packets arrive.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub delay: Duration,
    /// Of each piece of data; a lost one comes later.
    pub loss: f64,
}

struct Endpoint {
    certified: Certified,
    life: u64,
    incoming: mpsc::UnboundedSender<SimLink>,
}

impl Net {
    pub fn new(seed: u64) -> Net {
        let weather = Weather { delay: Duration::from_millis(1), loss: 0.0 };
        let state = State { random: StdRng::seed_from_u64(seed), weather, endpoints: BTreeMap::new(), blocked: BTreeSet::new(), lives: 0 };
        Net { state: Arc::new(Mutex::new(state)), changes: watch::Sender::new(0) }
    }

    /// A node comes up at its address. Connections of its earlier life are gone with this.
    pub fn attach(&self, address: SocketAddr, certified: Certified) -> SimTransport {
        let (incoming, accepted) = mpsc::unbounded_channel();
        let life = {
            let mut state = self.state();
            state.lives += 1;
            let life = state.lives;
            state.endpoints.insert(address, Endpoint { certified, life, incoming });
            life
        };
        self.changed();
        SimTransport { net: self.clone(), address, life, accepted: tokio::sync::Mutex::new(accepted) }
    }

    /// A node vanishes without a word.
    pub fn detach(&self, address: SocketAddr) {
        self.state().endpoints.remove(&address);
        self.changed();
    }

    /// Nothing arrives from `from` at `to` any more.
    pub fn block(&self, from: SocketAddr, to: SocketAddr) {
        self.state().blocked.insert((from, to));
        self.changed();
    }

    pub fn heal(&self) {
        self.state().blocked.clear();
        self.changed();
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn delay(&self) -> Duration {
        let mut state = self.state();
        let weather = state.weather;
        let delay = weather.delay.mul_f64(state.random.random_range(0.5..2.0));
        let lost = state.random.random_bool(weather.loss);
        delay + if lost { Duration::from_millis(state.random.random_range(20..200)) } else { Duration::ZERO }
    }

    fn passes(&self, way: Way) -> Passage {
        let state = self.state();
        let lives = |(address, life): (SocketAddr, u64)| state.endpoints.get(&address).map(|endpoint| endpoint.life == life);
        match (lives(way.from), lives(way.to)) {
            // The other side has come back and knows nothing of this connection.
            (Some(false), _) | (_, Some(false)) => Passage::Gone,
            (None, _) | (_, None) => Passage::Silent,
            _ if state.blocked.contains(&(way.from.0, way.to.0)) => Passage::Silent,
            _ => Passage::Open,
        }
    }

    /// Returns once something can pass, or with an error once it never will.
    async fn passage(&self, way: Way) -> Result<(), ()> {
        let mut changes = self.changes.subscribe();
        loop {
            match self.passes(way) {
                Passage::Open => return Ok(()),
                Passage::Gone => return Err(()),
                Passage::Silent => changes.changed().await.map_err(|_| ())?,
            }
        }
    }
}

enum Passage {
    Open,
    Silent,
    Gone,
}

/// From one life of an endpoint to one of another.
#[derive(Clone, Copy)]
struct Way {
    from: (SocketAddr, u64),
    to: (SocketAddr, u64),
}

impl Way {
    fn back(self) -> Way {
        Way { from: self.to, to: self.from }
    }
}

/// One node's end of the network.
pub struct SimTransport {
    net: Net,
    address: SocketAddr,
    life: u64,
    accepted: tokio::sync::Mutex<mpsc::UnboundedReceiver<SimLink>>,
}

#[async_trait]
impl Transport for SimTransport {
    async fn connect(&self, address: SocketAddr, node: Option<NodeId>, _role: Role) -> Result<Box<dyn Link>, LinkError> {
        let mut changes = self.net.changes.subscribe();
        loop {
            sleep(self.net.delay()).await;
            if let Some(link) = self.dial(address, node)? {
                sleep(self.net.delay()).await;
                return Ok(Box::new(link));
            }
            let _ = changes.changed().await;
        }
    }

    async fn accept(&self) -> Option<Box<dyn Incoming>> {
        let link = self.accepted.lock().await.recv().await?;
        Some(Box::new(link))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    async fn close(&self) {
        self.net.detach(self.address);
    }
}

impl SimTransport {
    /// `None` while nobody answers.
    fn dial(&self, address: SocketAddr, node: Option<NodeId>) -> Result<Option<SimLink>, LinkError> {
        let (life, theirs, ours, incoming) = {
            let state = self.net.state();
            let Some(endpoint) = state.endpoints.get(&address) else { return Ok(None) };
            let us = state.endpoints.get(&self.address).filter(|us| us.life == self.life);
            let Some(us) = us else { return Err(LinkError::Lost("this node is down".into())) };
            (endpoint.life, endpoint.certified, us.certified, endpoint.incoming.clone())
        };
        let way = Way { from: (self.address, self.life), to: (address, life) };
        if !matches!((self.net.passes(way), self.net.passes(way.back())), (Passage::Open, Passage::Open)) {
            return Ok(None);
        }
        if node.is_some_and(|node| node != theirs.node) {
            return Err(LinkError::Unreachable { address, reason: "another node lives there".into() });
        }
        let (near, far) = SimLink::pair(&self.net, way, ours, theirs);
        // An endpoint that stopped accepting is down.
        let _ = incoming.send(far);
        Ok(Some(near))
    }
}

/// One end of a link.
pub struct SimLink {
    net: Net,
    /// Away from this end.
    way: Way,
    certified: Certified,
    streams: mpsc::UnboundedSender<SimStream>,
    accepted: tokio::sync::Mutex<mpsc::UnboundedReceiver<SimStream>>,
    datagrams: mpsc::UnboundedSender<Bytes>,
    received: tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>,
    /// Shared by both ends: why the link is no more.
    broken: watch::Sender<Option<LinkError>>,
}

impl SimLink {
    fn pair(net: &Net, way: Way, dialler: Certified, acceptor: Certified) -> (SimLink, SimLink) {
        let broken = watch::Sender::new(None);
        tokio::spawn(watch_link(net.clone(), way, broken.clone()));
        let (near_streams, far_accepted) = mpsc::unbounded_channel();
        let (far_streams, near_accepted) = mpsc::unbounded_channel();
        let (near_datagrams, far_received) = mpsc::unbounded_channel();
        let (far_datagrams, near_received) = mpsc::unbounded_channel();
        let end = |way, certified, streams, accepted, datagrams, received| SimLink {
            net: net.clone(),
            way,
            certified,
            streams,
            accepted: tokio::sync::Mutex::new(accepted),
            datagrams,
            received: tokio::sync::Mutex::new(received),
            broken: broken.clone(),
        };
        (
            end(way, acceptor, near_streams, near_accepted, near_datagrams, near_received),
            end(way.back(), dialler, far_streams, far_accepted, far_datagrams, far_received),
        )
    }

    fn why(&self) -> LinkError {
        self.broken.borrow().clone().unwrap_or_else(|| LinkError::Lost("the peer is gone".into()))
    }
}

/// Gives a link up when its peer is gone, or silent for too long.
async fn watch_link(net: Net, way: Way, broken: watch::Sender<Option<LinkError>>) {
    let mut changes = net.changes.subscribe();
    let mut silent_since: Option<Instant> = None;
    loop {
        let lost = |text: &str| Some(LinkError::Lost(text.into()));
        match (net.passes(way), net.passes(way.back())) {
            (Passage::Gone, _) | (_, Passage::Gone) => {
                broken.send_if_modified(|broken| {
                    broken.is_none() && {
                        *broken = lost("reset by the peer");
                        true
                    }
                });
                return;
            }
            (Passage::Open, Passage::Open) => silent_since = None,
            _ => drop(silent_since.get_or_insert_with(Instant::now)),
        }
        let until = silent_since.map(|since| since + IDLE);
        tokio::select! {
            biased;
            changed = changes.changed() => if changed.is_err() { return },
            () = async { match until { Some(until) => sleep_until(until).await, None => std::future::pending().await } } => {
                broken.send_if_modified(|broken| broken.is_none() && { *broken = lost("timed out"); true });
                return;
            }
        }
    }
}

#[async_trait]
impl Incoming for SimLink {
    async fn handshake(self: Box<Self>) -> Result<Box<dyn Link>, LinkError> {
        Ok(self)
    }
}

#[async_trait]
impl Link for SimLink {
    fn certified(&self) -> Option<Certified> {
        Some(self.certified)
    }

    fn remote_address(&self) -> SocketAddr {
        self.way.to.0
    }

    async fn open(&self) -> Result<BoxStream, LinkError> {
        if self.is_closed() {
            return Err(self.why());
        }
        let (near, far) = SimStream::pair(&self.net, self.way, &self.broken);
        self.streams.send(far).map_err(|_| self.why())?;
        Ok(Box::new(near))
    }

    async fn accept(&self) -> Result<BoxStream, LinkError> {
        let mut broken = self.broken.subscribe();
        let mut accepted = self.accepted.lock().await;
        tokio::select! {
            biased;
            _ = broken.wait_for(Option::is_some) => Err(self.why()),
            stream = accepted.recv() => match stream {
                Some(stream) => Ok(Box::new(stream)),
                None => Err(self.why()),
            },
        }
    }

    fn send_datagram(&self, payload: Bytes) {
        if matches!(self.net.passes(self.way), Passage::Open) {
            let (datagrams, delay) = (self.datagrams.clone(), self.net.delay());
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = datagrams.send(payload);
            });
        }
    }

    fn datagram_bytes_max(&self) -> Option<usize> {
        Some(1_200)
    }

    async fn receive_datagram(&self) -> Result<Bytes, LinkError> {
        let mut broken = self.broken.subscribe();
        let mut received = self.received.lock().await;
        tokio::select! {
            biased;
            _ = broken.wait_for(Option::is_some) => Err(self.why()),
            payload = received.recv() => payload.ok_or_else(|| self.why()),
        }
    }

    fn is_closed(&self) -> bool {
        self.broken.borrow().is_some()
    }

    fn close(&self, code: CloseCode, reason: &str) {
        let error = LinkError::Refused { code, reason: reason.into() };
        self.broken.send_if_modified(|broken| {
            broken.is_none() && {
                *broken = Some(error);
                true
            }
        });
    }
}
