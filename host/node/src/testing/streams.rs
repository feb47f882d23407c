//! Streams within the process instead of a network, with nodes that can be cut off.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::lock;
use crate::router::StreamService;
use crate::session::{Dial, Manager, serve_within};
use crate::transport::{BoxStream, Peer};

/// See the module. Cheap to clone.
#[derive(Clone, Default)]
pub struct FakeStreams {
    services: Arc<Mutex<BTreeMap<SocketAddr, Arc<dyn StreamService>>>>,
    cut: Arc<watch::Sender<BTreeSet<SocketAddr>>>,
}

impl FakeStreams {
    /// Streams to this address are served by `service`.
    pub fn serve(&self, address: SocketAddr, service: Arc<dyn StreamService>) {
        lock(&self.services).insert(address, service);
    }

    /// Nothing passes to or from this address any more, and nobody is told: streams stay open and silent.
    pub fn cut(&self, address: SocketAddr) {
        self.cut.send_modify(|cut| _ = cut.insert(address));
    }

    /// Undoes [`FakeStreams::cut`]; streams that fell silent stay so.
    pub fn heal(&self, address: SocketAddr) {
        self.cut.send_modify(|cut| _ = cut.remove(&address));
    }

    /// How this node reaches managers.
    pub fn dial_from(&self, peer: Peer) -> Arc<dyn Dial> {
        Arc::new(FakeDial { streams: self.clone(), peer })
    }

    fn is_cut(&self, a: SocketAddr, b: SocketAddr) -> bool {
        let cut = self.cut.borrow();
        a != b && (cut.contains(&a) || cut.contains(&b))
    }
}

struct FakeDial {
    streams: FakeStreams,
    peer: Peer,
}

#[async_trait]
impl Dial for FakeDial {
    async fn dial(&self, manager: Manager) -> Result<BoxStream, String> {
        if self.streams.is_cut(self.peer.address, manager.address) {
            std::future::pending::<()>().await;
        }
        let service = lock(&self.streams.services).get(&manager.address).cloned();
        let service = service.ok_or_else(|| format!("nobody listens at {}", manager.address))?;
        let wire = Arc::new(Wire { streams: self.streams.clone(), ends: [self.peer.address, manager.address], service });
        Ok(serve_within(self.peer, wire))
    }
}

/// Passes bytes on until one of the two ends is cut off, then holds them for ever.
struct Wire {
    streams: FakeStreams,
    ends: [SocketAddr; 2],
    service: Arc<dyn StreamService>,
}

#[async_trait]
impl StreamService for Wire {
    async fn serve(&self, peer: Peer, stream: BoxStream) {
        let (near_reader, near_writer) = tokio::io::split(stream);
        let (far_reader, far_writer) = tokio::io::split(serve_within(peer, Arc::clone(&self.service)));
        tokio::select! {
            () = self.pass(near_reader, far_writer) => {}
            () = self.pass(far_reader, near_writer) => {}
        }
    }
}

impl Wire {
    /// Returns when either end is gone.
    async fn pass(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            if self.streams.is_cut(self.ends[0], self.ends[1]) {
                std::future::pending::<()>().await;
            }
            if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }
}
