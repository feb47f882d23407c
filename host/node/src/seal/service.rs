//! The key on its way between managers, over streams of kind `SealKey`, and how a cluster comes by its first one.
//!
//! Whoever seals the first secret makes a key, has most managers keep it, and only then proposes its fingerprint. So no
//! key is chosen that the loss of one of several managers would take away; and of two that are made at once, the log
//! chooses. A manager that joins or is promoted gets the key with its certificate (`join`).
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use minicloud_core::command::Command;
use minicloud_core::id::NodeId;
use minicloud_core::spec::{FileKind, Fingerprint};
use minicloud_core::state::{ClusterState, Role};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{SealKey, SealKeys};
use crate::cluster::{Cluster, ProposeError};
use crate::data_dir::DataDirError;
use crate::env::Random;
use crate::frame;
use crate::limits::{SEAL_KEY_RETRY_DELAY, SEAL_KEY_TIMEOUT};
use crate::peers::Peers;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};

#[derive(Serialize, Deserialize)]
enum Ask {
    Get { fingerprint: Fingerprint },
    Keep { key: WireKey },
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Key(WireKey),
    Absent,
    Kept,
    Refused(String),
}

/// A key in a frame. Without `Debug`, so that nobody prints it.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireKey(Vec<u8>);

impl WireKey {
    pub(crate) fn key(self) -> Option<SealKey> {
        SealKey::from_bytes(&zeroize::Zeroizing::new(self.0))
    }
}

impl From<&SealKey> for WireKey {
    fn from(key: &SealKey) -> WireKey {
        WireKey(key.bytes().to_vec())
    }
}

/// Why there is no key at hand.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    #[error(
        "no manager that answers has the key which seals the secrets: start the managers that are down, or restore identity/seal-*.key on one from a copy"
    )]
    Lost,
    #[error("only {kept} of {managers} managers keep the key that is to seal the secrets: start the others, and try again")]
    TooFew { kept: usize, managers: usize },
    #[error(transparent)]
    Disk(#[from] DataDirError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// The cluster's key, as it is known: from this node's disk, or from another manager, and then kept.
pub async fn have_key(peers: &Peers, keys: &SealKeys, state: &ClusterState) -> Result<Option<SealKey>, SealKeyError> {
    let Some(fingerprint) = state.cluster.as_ref().and_then(|cluster| cluster.seal_key) else { return Ok(None) };
    if let Some(key) = keys.get(&fingerprint) {
        return Ok(Some(key));
    }
    for manager in managers(peers, state) {
        match ask(peers, manager, &Ask::Get { fingerprint }).await {
            Ok(Answer::Key(key)) => {
                if let Some(key) = key.key().filter(|key| key.fingerprint() == fingerprint) {
                    keys.keep(&key)?;
                    info!(from = %manager, "got the key that seals secrets");
                    return Ok(Some(key));
                }
            }
            Ok(_) => {}
            Err(error) => debug!(%manager, %error, "did not hand out the key that seals secrets"),
        }
    }
    Err(SealKeyError::Lost)
}

impl SealKeys {
    /// The key to seal with; a cluster that has none gets its first.
    pub async fn to_seal(&self, peers: &Peers, cluster: &Cluster, random: &dyn Random) -> Result<SealKey, SealKeyError> {
        let state = cluster.read().await?;
        let had = have_key(peers, self, &state).await;
        let seals_nothing = !state.files.values().any(|file| file.spec.kind == FileKind::Secret);
        match had {
            Ok(Some(key)) => return Ok(key),
            // A key that is lost and sealed nothing that is left is no loss.
            Err(SealKeyError::Lost) if seals_nothing => {}
            Err(error) => return Err(error),
            Ok(None) => {}
        }
        let replaces = state.cluster.as_ref().and_then(|cluster| cluster.seal_key);
        // One that an earlier attempt kept is as good as a new one, of which each attempt would leave another.
        let key = self.any().unwrap_or_else(|| SealKey::generate(random));
        self.keep(&key)?;
        let others = managers(peers, &state);
        let asked = others.iter().map(|manager| {
            let (manager, question) = (*manager, Ask::Keep { key: (&key).into() });
            async move { ask(peers, manager, &question).await }
        });
        let answers = futures::future::join_all(asked).await;
        let kept = 1 + answers.iter().filter(|answer| matches!(answer, Ok(Answer::Kept))).count();
        let managers = 1 + others.len();
        if kept <= managers / 2 {
            return Err(SealKeyError::TooFew { kept, managers });
        }
        match cluster.propose(Command::SetSealKey { fingerprint: key.fingerprint(), replaces }).await {
            Ok(applied) => {
                cluster.wait_applied(applied.index).await;
                info!(kept, "chose the key that seals secrets");
                Ok(key)
            }
            // Another manager was faster.
            Err(error) => {
                let state = cluster.read().await?;
                have_key(peers, self, &state).await?.ok_or(SealKeyError::Propose(error))
            }
        }
    }

    /// Sees to it that this manager has the key that the cluster chose, and no other, until `end`.
    pub async fn follow(self, peers: Peers, cluster: Cluster, end: CancellationToken) {
        let _ = end.run_until_cancelled(self.keep_up(&peers, &cluster)).await;
    }

    async fn keep_up(&self, peers: &Peers, cluster: &Cluster) {
        let mut changes = cluster.changes();
        let mut seen = None;
        loop {
            let state = cluster.state();
            let chosen = state.cluster.as_ref().and_then(|cluster| cluster.seal_key);
            if chosen.is_some() && chosen != seen {
                let had = have_key(peers, self, &state).await;
                match had.and_then(|_| self.forget_but(chosen.as_ref()).map_err(SealKeyError::from)) {
                    Ok(()) => seen = chosen,
                    Err(error) => {
                        warn!(%error, "this manager cannot open secrets yet");
                        sleep(SEAL_KEY_RETRY_DELAY).await;
                        continue;
                    }
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The other managers, by the state.
fn managers(peers: &Peers, state: &ClusterState) -> Vec<NodeId> {
    let own = peers.local().node();
    state.nodes.values().filter(|node| node.role == Role::Manager && node.id != own).map(|node| node.id).collect()
}

async fn ask(peers: &Peers, manager: NodeId, question: &Ask) -> io::Result<Answer> {
    let asking = async {
        let mut stream = peers.open(manager, StreamKind::SealKey).await.map_err(io::Error::other)?;
        frame::write(&mut stream, question).await?;
        stream.shutdown().await?;
        frame::expect(&mut stream).await
    };
    timeout(SEAL_KEY_TIMEOUT, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Serves streams of kind `SealKey`, to managers alone.
pub struct SealKeyService {
    pub keys: SealKeys,
    pub cluster: Cluster,
}

impl SealKeyService {
    pub fn new(keys: &SealKeys, cluster: &Cluster) -> Arc<SealKeyService> {
        Arc::new(SealKeyService { keys: keys.clone(), cluster: cluster.clone() })
    }

    fn answer(&self, question: Ask) -> Answer {
        match question {
            Ask::Get { fingerprint } => self.keys.get(&fingerprint).map_or(Answer::Absent, |key| Answer::Key((&key).into())),
            Ask::Keep { key } => match key.key() {
                Some(key) => self.keep(&key),
                None => Answer::Refused("that is no key".into()),
            },
        }
    }

    fn keep(&self, key: &SealKey) -> Answer {
        let state = self.cluster.state();
        let chosen = state.cluster.as_ref().and_then(|cluster| cluster.seal_key);
        let seals = state.files.values().any(|file| file.spec.kind == FileKind::Secret);
        if seals && chosen.is_some_and(|chosen| chosen != key.fingerprint()) {
            return Answer::Refused("the cluster has chosen another key".into());
        }
        self.keys.keep(key).map_or_else(|error| Answer::Refused(error.to_string()), |()| Answer::Kept)
    }
}

#[async_trait]
impl StreamService for SealKeyService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        let served = async {
            let question = timeout(SEAL_KEY_TIMEOUT, frame::expect(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
            frame::write(&mut stream, &self.answer(question)).await?;
            stream.shutdown().await
        };
        if let Err(error) = served.await {
            debug!(node = %peer.node, %error, "question for the key that seals secrets ended");
            stream.reset();
        }
    }
}
