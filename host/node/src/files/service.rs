//! The manager's side: whether a node may have the files it asks for, and handing them out.
use std::io;

use async_trait::async_trait;
use minicloud_core::id::NodeId;
use minicloud_core::spec::FileKind;
use minicloud_core::state::{ClusterState, File};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{Content, Denied, Told, Wanted};
use crate::cluster::Cluster;
use crate::frame;
use crate::limits::{FILE_CATCH_UP_MAX, FILES_TIMEOUT};
use crate::peers::Peers;
use crate::router::StreamService;
use crate::seal::{SealKey, SealKeys, have_key};
use crate::transport::{BoxStream, Peer};

/// Hands out files as a manager. Cheap to clone.
#[derive(Clone)]
pub struct FileDesk {
    pub cluster: Cluster,
    pub peers: Peers,
    pub keys: SealKeys,
}

impl FileDesk {
    /// The files that `node` asks for, in the order asked.
    pub async fn hand_out(&self, node: NodeId, wanted: &Wanted) -> Result<Vec<Content>, Denied> {
        let behind = || Denied::Later("this manager has not caught up with the log".into());
        timeout(FILE_CATCH_UP_MAX, self.cluster.wait_applied(wanted.index)).await.map_err(|_| behind())?;
        let state = self.cluster.state();
        let files = permitted(&state, node, wanted)?;
        let key = match files.iter().any(|file| file.spec.kind == FileKind::Secret) {
            true => have_key(&self.peers, &self.keys, &state).await.map_err(|error| Denied::Later(error.to_string()))?,
            false => None,
        };
        files.into_iter().map(|file| content(file, key.as_ref())).collect()
    }
}

/// The rows of files that the task has, if it is a task of the node that may still run.
fn permitted<'a>(state: &'a ClusterState, node: NodeId, wanted: &Wanted) -> Result<Vec<&'a File>, Denied> {
    let task = state.tasks.get(&wanted.task).filter(|task| task.node == Some(node) && !task.status.state.is_final());
    let Some(task) = task else {
        warn!(%node, task = %wanted.task, "refused files of a task that is not the node's");
        return Err(Denied::Refused(format!("task {} is not assigned to this node", wanted.task)));
    };
    let file = |id| {
        let reference = task.template.files().find(|(_, file)| file.id == id);
        let (kind, reference) = reference.ok_or_else(|| {
            warn!(%node, task = %wanted.task, file = %id, "refused a file that the task does not have");
            Denied::Refused(format!("task {} has no secret or config {id}", wanted.task))
        })?;
        let row = state.files.get(&id).filter(|row| row.spec.kind == kind);
        row.map(|row| &**row).ok_or_else(|| Denied::Refused(format!("{kind} '{}' does not exist any more", reference.name)))
    };
    wanted.files.iter().map(|id| file(*id)).collect()
}

fn content(file: &File, key: Option<&SealKey>) -> Result<Content, Denied> {
    let content = match (file.spec.kind, key) {
        (FileKind::Config, _) => Zeroizing::new(file.spec.data.to_vec()),
        (FileKind::Secret, Some(key)) => {
            let opened = key.open(file.id, &file.spec.data);
            opened.map_err(|error| Denied::Refused(format!("secret '{}' cannot be opened: {error}", file.spec.name)))?
        }
        (FileKind::Secret, None) => return Err(Denied::Later("there is no key that opens secrets".into())),
    };
    Ok(Content::new(content))
}

/// Serves streams of kind `File`.
pub struct FileService(pub FileDesk);

#[async_trait]
impl StreamService for FileService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        if let Err(error) = self.answer(peer, &mut stream).await {
            debug!(node = %peer.node, %error, "request for files ended");
            stream.reset();
        }
    }
}

impl FileService {
    async fn answer(&self, peer: Peer, stream: &mut BoxStream) -> io::Result<()> {
        let wanted: Wanted = timeout(FILES_TIMEOUT, frame::expect(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        match self.0.hand_out(peer.node, &wanted).await {
            Ok(contents) => {
                frame::write(stream, &Told::Ok(())).await?;
                for content in contents {
                    stream.write_all(&(content.bytes().len() as u32).to_le_bytes()).await?;
                    stream.write_all(content.bytes()).await?;
                }
            }
            Err(denied) => frame::write(stream, &Told::Err(denied)).await?,
        }
        stream.shutdown().await
    }
}
