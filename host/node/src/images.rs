//! Images of a node: components by digest, bundled ones by name.
//!
//! Every component is a file named by its digest, written once, whole and verified. What a node lacks it fetches
//! from a peer; what a user hands in is stored on enough managers before the answer. The agent calls
//! [`Images::ensure`], the API resolves and imports. Whether a component can run is the executor's question.
mod blob;
mod defaults;
mod keeper;
mod names;
mod reference;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::command::Rejection;
use minicloud_core::id::NodeId;
use minicloud_core::spec::{Digest, Image};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::agent::ImageSource;
use crate::limits::{IMAGE_BYTES_MAX, IMAGE_PEERS_ASKED_MAX, IMAGE_REPLICATION_TIMEOUT};
use crate::peers::PeerError;
use crate::transport::BoxStream;
pub use blob::BlobService;
pub use defaults::ImageDefaults;
pub use keeper::{ImageKeeper, referred};
pub use names::Named;
use names::Names;
pub use reference::{ParseReferenceError, Reference};
use store::Store;

/// A component that travels inside the binary.
#[derive(Clone)]
pub struct BundledImage {
    pub name: &'static str,
    pub defaults: ImageDefaults,
    pub digest: Digest,
    pub size_bytes: u64,
    /// Unpacks its bytes.
    pub component: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
}

/// An image that this node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Absent for one that has none.
    pub name: Option<String>,
    pub digest: Digest,
    pub size_bytes: u64,
    /// When it got its name here, in milliseconds since 1970; absent for bundled ones.
    pub named_at_ms: Option<u64>,
    pub bundled: bool,
}

/// A component that was handed in.
#[derive(Clone, Debug)]
pub struct Taken {
    pub image: StoredImage,
    pub path: PathBuf,
    /// It was not here before.
    pub is_new: bool,
}

/// Why there is no component. Each message stands in `service ps` as it is.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("image not found: no node that answers has {digest}{}", .last.as_ref().map(|last| format!(" (last: {last})")).unwrap_or_default())]
    NotFound { digest: Digest, last: Option<String> },
    #[error("{}", store_failed(.0))]
    Store(#[from] io::Error),
    #[error("{0}")]
    Invalid(String),
    #[error("component was stored on {stored} of the {wanted} managers that must hold it: {reason}")]
    TooFewCopies { stored: usize, wanted: usize, reason: String },
}

fn store_failed(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is no room for the component: the disk of this node is full; free some of it, for example with 'minicloud image prune'"
                .to_owned()
        }
        _ => format!("component store: {error}"),
    }
}

/// The peers that may hold components: `peers` and the view in production, a script in tests.
#[async_trait]
pub trait BlobPeers: Send + Sync + 'static {
    /// Managers other than this node.
    fn managers(&self) -> Vec<NodeId>;
    /// Other nodes that may hold a component because they run it.
    fn others(&self) -> Vec<NodeId>;
    /// A stream of kind `Blob`.
    async fn open(&self, node: NodeId) -> Result<BoxStream, PeerError>;
}

/// The images of one node. Clones share everything.
#[derive(Clone)]
pub struct Images {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    names: Names,
    bundled: BTreeMap<&'static str, BundledImage>,
    peers: Arc<dyn BlobPeers>,
    /// One fetch per digest at a time; the others wait for it.
    flights: Mutex<BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

impl Images {
    /// Opens the store in `directory` and clears what an earlier run left half written.
    pub fn open(directory: &Path, bundled: Vec<BundledImage>, peers: Arc<dyn BlobPeers>) -> io::Result<Images> {
        let bundled = bundled.into_iter().map(|image| (image.name, image)).collect();
        let (store, names) = (Store::open(directory)?, Names::open(directory)?);
        Ok(Images { shared: Arc::new(Shared { store, names, bundled, peers, flights: Mutex::default() }) })
    }

    /// The file that holds a component; fetched from a peer when it is not here. Concurrent callers share one fetch.
    pub async fn ensure(&self, digest: Digest) -> Result<PathBuf, ImageError> {
        if let Some(path) = self.shared.store.verified(digest).await? {
            return Ok(path);
        }
        let flight = self.flight(digest);
        let landed = {
            let _flying = flight.lock().await;
            self.obtain(digest).await
        };
        drop(flight);
        lock(&self.shared.flights).retain(|_, flight| Arc::strong_count(flight) > 1);
        landed
    }

    /// Stores a component that a user handed in, here. Whether it can run is still to be found out.
    pub async fn take(&self, component: &[u8]) -> Result<Taken, ImageError> {
        check_component(component)?;
        let digest = digest_of(component);
        let known = self.shared.store.verified(digest).await?;
        let is_new = known.is_none();
        let path = match known {
            Some(path) => path,
            None => self.shared.store.write(digest, component).await?,
        };
        let image = StoredImage {
            name: self.bundled_name(digest).map(str::to_owned),
            digest,
            size_bytes: component.len() as u64,
            named_at_ms: None,
            bundled: self.bundled_name(digest).is_some(),
        };
        Ok(Taken { image, path, is_new })
    }

    /// Hands a component that was taken to as many managers as a write of the log needs. `managers`: how many the
    /// cluster has, this one included.
    pub async fn spread(&self, digest: Digest, component: Bytes, managers: usize) -> Result<(), ImageError> {
        match self.bundled_name(digest) {
            Some(_) => Ok(()),
            None => self.replicate(digest, component, managers / 2).await,
        }
    }

    /// The image that a user means, and what it wants: a name given on this node, a bundled name, or the digest of a
    /// component that is here or at a peer. `shown`: how to name a digest. Registries are not asked.
    pub async fn resolve(&self, image: &str, shown: Option<&str>) -> Result<(Image, ImageDefaults), Rejection> {
        if let Ok(digest) = image.parse::<Digest>() {
            self.ensure(digest).await.map_err(|error| Rejection::NotFound(error.to_string()))?;
            let name = shown.or_else(|| self.bundled_name(digest)).unwrap_or(image).to_owned();
            let defaults = self.defaults(&name, digest);
            return Ok((Image { name, digest }, defaults));
        }
        let reference: Reference = image.parse().map_err(|error: ParseReferenceError| Rejection::Invalid(error.to_string()))?;
        match self.find(&reference) {
            Some((digest, defaults)) => Ok((Image { name: image.to_owned(), digest }, defaults)),
            None => Err(Rejection::NotFound(self.no_such_image(image))),
        }
    }

    /// The component of that name on this node, bundled ones included, and what it wants.
    pub fn find(&self, reference: &Reference) -> Option<(Digest, ImageDefaults)> {
        if let Some(named) = self.shared.names.get(reference) {
            return Some((named.digest, named.defaults));
        }
        let bundled = self.shared.bundled.get(reference.plain()?)?;
        Some((bundled.digest, bundled.defaults.clone()))
    }

    /// What was noted with a name of this node; `None` for bundled ones too.
    pub fn named(&self, reference: &Reference) -> Option<Named> {
        self.shared.names.get(reference)
    }

    /// Gives a component of this node a name, in place of what had it.
    pub fn name(&self, reference: &Reference, named: Named) -> Result<(), ImageError> {
        Ok(self.shared.names.set(reference, named)?)
    }

    /// Takes a name away. The component stays while something refers to it, and goes with the next [`Images::prune`]
    /// or after a while.
    pub fn unname(&self, reference: &Reference) -> Result<Option<Named>, ImageError> {
        Ok(self.shared.names.remove(reference)?)
    }

    /// Whether a component has a name on this node.
    pub fn has_name(&self, digest: Digest) -> bool {
        self.shared.names.digests().contains(&digest)
    }

    /// What is here: bundled images and named ones by name, then the others by digest.
    pub async fn list(&self) -> io::Result<Vec<StoredImage>> {
        let mut images: Vec<StoredImage> = self.shared.bundled.values().map(BundledImage::stored).collect();
        let stored: BTreeMap<Digest, u64> = self.shared.store.list().await?.into_iter().collect();
        let size_of = |digest: &Digest| stored.get(digest).copied().or_else(|| Some(self.bundled(*digest)?.size_bytes)).unwrap_or(0);
        images.extend(self.shared.names.all().into_iter().map(|(name, named)| StoredImage {
            name: Some(name),
            digest: named.digest,
            size_bytes: size_of(&named.digest),
            named_at_ms: Some(named.named_at_ms),
            bundled: false,
        }));
        let shown: BTreeSet<Digest> = images.iter().map(|image| image.digest).collect();
        let others = stored.into_iter().filter(|(digest, _)| !shown.contains(digest));
        images.extend(others.map(|(digest, size_bytes)| StoredImage { name: None, digest, size_bytes, named_at_ms: None, bundled: false }));
        Ok(images)
    }

    /// Takes a component out of the store, after the executor refused it.
    pub async fn forget(&self, digest: Digest) {
        if self.bundled_name(digest).is_none() {
            self.shared.store.remove(digest).await;
        }
    }

    fn bundled(&self, digest: Digest) -> Option<&BundledImage> {
        self.shared.bundled.values().find(|bundled| bundled.digest == digest)
    }

    fn bundled_name(&self, digest: Digest) -> Option<&'static str> {
        self.bundled(digest).map(|bundled| bundled.name)
    }

    /// What a component wants that is known by its digest; `name` decides where it has several names.
    fn defaults(&self, name: &str, digest: Digest) -> ImageDefaults {
        let name = name.parse::<Reference>().map_or_else(|_| name.to_owned(), |reference| reference.to_string());
        let named = self.shared.names.defaults(&name, digest);
        named.or_else(|| Some(self.bundled(digest)?.defaults.clone())).unwrap_or_default()
    }

    fn no_such_image(&self, image: &str) -> String {
        let names: Vec<_> = self.shared.bundled.keys().copied().collect();
        format!(
            "there is no image '{image}' on this node: build it with 'minicloud build -t {image} PATH', give the path of a component \
             file, or name one of the bundled images ({})",
            names.join(", ")
        )
    }

    fn flight(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        lock(&self.shared.flights).entry(digest).or_default().clone()
    }

    async fn obtain(&self, digest: Digest) -> Result<PathBuf, ImageError> {
        match self.local(digest).await? {
            Some(path) => Ok(path),
            None => self.fetch(digest).await,
        }
    }

    /// The component's file if it is here or in the binary.
    async fn local(&self, digest: Digest) -> io::Result<Option<PathBuf>> {
        if let Some(path) = self.shared.store.verified(digest).await? {
            return Ok(Some(path));
        }
        match self.bundled(digest) {
            Some(bundled) => self.shared.store.write(digest, &(bundled.component)()).await.map(Some),
            None => Ok(None),
        }
    }

    async fn fetch(&self, digest: Digest) -> Result<PathBuf, ImageError> {
        let mut last = None;
        let peers = self.shared.peers.managers().into_iter().chain(self.shared.peers.others());
        for node in peers.take(IMAGE_PEERS_ASKED_MAX) {
            match self.fetch_from(node, digest).await {
                Ok(Some(path)) => return Ok(path),
                Ok(None) => debug!(%node, %digest, "peer does not have the component"),
                Err(error) => {
                    warn!(%node, %digest, %error, "could not fetch a component");
                    last = Some(format!("{node}: {error}"));
                }
            }
        }
        Err(ImageError::NotFound { digest, last })
    }

    async fn fetch_from(&self, node: NodeId, digest: Digest) -> io::Result<Option<PathBuf>> {
        let mut stream = self.shared.peers.open(node).await.map_err(io::Error::other)?;
        blob::get(&mut stream, &self.shared.store, digest).await
    }

    /// Pushes to every manager at once and returns when `wanted` others have it; the rest goes on behind.
    async fn replicate(&self, digest: Digest, component: Bytes, wanted: usize) -> Result<(), ImageError> {
        let managers = self.shared.peers.managers();
        let (done, mut stored) = tokio::sync::mpsc::channel(managers.len().max(1));
        for node in managers {
            let (peers, component, done) = (self.shared.peers.clone(), component.clone(), done.clone());
            tokio::spawn(async move {
                let pushed = timeout(IMAGE_REPLICATION_TIMEOUT, push(&*peers, node, digest, &component)).await;
                let _ = done.send(pushed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))).await;
            });
        }
        drop(done);
        let (mut copies, mut reason) = (0, "no other manager is known".to_owned());
        while copies < wanted {
            match stored.recv().await {
                Some(Ok(())) => copies += 1,
                Some(Err(error)) => reason = error.to_string(),
                None => return Err(ImageError::TooFewCopies { stored: copies + 1, wanted: wanted + 1, reason }),
            }
        }
        Ok(())
    }
}

impl BundledImage {
    fn stored(&self) -> StoredImage {
        StoredImage { name: Some(self.name.to_owned()), digest: self.digest, size_bytes: self.size_bytes, named_at_ms: None, bundled: true }
    }
}

#[async_trait]
impl ImageSource for Images {
    async fn ensure(&self, digest: Digest) -> Result<PathBuf, String> {
        Images::ensure(self, digest).await.map_err(|error| error.to_string())
    }
}

async fn push(peers: &dyn BlobPeers, node: NodeId, digest: Digest, component: &[u8]) -> io::Result<()> {
    let mut stream = peers.open(node).await.map_err(io::Error::other)?;
    blob::put(&mut stream, digest, component).await
}

/// The digest of a component's bytes.
pub fn digest_of(component: &[u8]) -> Digest {
    Digest(Sha256::digest(component).into())
}

/// Turns away what cannot be a component, before it travels.
fn check_component(bytes: &[u8]) -> Result<(), ImageError> {
    const MAGIC: &[u8] = b"\0asm";
    const COMPONENT_LAYER: &[u8] = &[1, 0];
    if bytes.len() as u64 > IMAGE_BYTES_MAX {
        return Err(ImageError::Invalid(format!("component of {} bytes is above the limit of {IMAGE_BYTES_MAX}", bytes.len())));
    }
    match (bytes.get(..4), bytes.get(6..8)) {
        (Some(MAGIC), Some(COMPONENT_LAYER)) => Ok(()),
        (Some(MAGIC), _) => {
            Err(ImageError::Invalid("this is a core WebAssembly module, not a component: build it for the target wasm32-wasip2".into()))
        }
        _ => Err(ImageError::Invalid("this is not a WebAssembly component".into())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
