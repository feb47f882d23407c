//! The agent's side: the files of a task, from a manager or from this node itself, shared by the tasks that have them.
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use minicloud_core::id::{FileId, NodeId};
use minicloud_core::limits::CONFIG_BYTES_MAX;
use minicloud_core::state::Role;
use minicloud_core::view::AssignedTask;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;
use zeroize::Zeroizing;

use super::{Content, Denied, FileDesk, Told, Wanted};
use crate::cluster::ClusterSlot;
use crate::executor::RunFile;
use crate::frame;
use crate::limits::{FILES_RETRY_DELAY, FILES_TIMEOUT, FILES_WAIT_MAX};
use crate::peers::Peers;
use crate::seal::SealKeys;
use crate::session::SessionHandle;
use crate::transport::StreamKind;

/// Where the secrets and configs of tasks come from.
#[async_trait]
pub trait FileSource: Send + Sync + 'static {
    /// The files of the task. The error is one line for the user.
    async fn files(&self, assigned: &AssignedTask) -> Result<Vec<RunFile>, String>;
}

/// Asks managers. What a task of this node has already is not asked for again: a file never changes.
pub struct ClusterFiles {
    pub peers: Peers,
    pub session: SessionHandle,
    pub cluster: ClusterSlot,
    pub keys: SealKeys,
    pub held: Held,
}

/// What tasks of this node have.
#[derive(Default)]
pub struct Held(Mutex<BTreeMap<FileId, Weak<Content>>>);

impl Held {
    fn get(&self, file: FileId) -> Option<Arc<Content>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&file)?.upgrade()
    }

    fn put(&self, file: FileId, content: Content) -> Arc<Content> {
        let content = Arc::new(content);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, content| content.strong_count() > 0);
        held.insert(file, Arc::downgrade(&content));
        content
    }
}

#[async_trait]
impl FileSource for ClusterFiles {
    async fn files(&self, assigned: &AssignedTask) -> Result<Vec<RunFile>, String> {
        let mut have = BTreeMap::new();
        let all = assigned.template.files().map(|(_, file)| file.id);
        have.extend(all.filter_map(|id| Some((id, self.held.get(id)?))));
        let mut missing: Vec<FileId> = assigned.template.files().map(|(_, file)| file.id).filter(|id| !have.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let index = self.session.view().borrow().index;
            let wanted = Wanted { task: assigned.id, files: missing, index };
            let contents = self.ask_until_told(&wanted).await?;
            have.extend(wanted.files.iter().zip(contents).map(|(id, content)| (*id, self.held.put(*id, content))));
        }
        let run = |(kind, file): (_, &minicloud_core::spec::FileReference)| {
            let content = have.get(&file.id).ok_or_else(|| format!("{kind} '{}' was not handed out", file.name))?;
            Ok(RunFile { kind, target: file.target.clone(), mode: file.mode, content: Arc::clone(content) })
        };
        assigned.template.files().map(run).collect()
    }
}

impl ClusterFiles {
    async fn ask_until_told(&self, wanted: &Wanted) -> Result<Vec<Content>, String> {
        let give_up = Instant::now() + FILES_WAIT_MAX;
        loop {
            let failure = match self.ask_all(wanted).await {
                Ok(contents) => return Ok(contents),
                Err(Denied::Refused(reason)) => return Err(reason),
                Err(Denied::Later(reason)) => reason,
            };
            if Instant::now() >= give_up {
                return Err(format!("no manager hands out the task's secrets and configs: {failure}"));
            }
            debug!(task = %wanted.task, failure, "asking again for files");
            sleep(FILES_RETRY_DELAY).await;
        }
    }

    /// This node if it is a manager, else one manager after the other until one has an answer.
    async fn ask_all(&self, wanted: &Wanted) -> Result<Vec<Content>, Denied> {
        let own = self.peers.local().node();
        let mut failure = Denied::Later("no manager is known".into());
        if let Some(cluster) = self.cluster.get() {
            let desk = FileDesk { cluster, peers: self.peers.clone(), keys: self.keys.clone() };
            match desk.hand_out(own, wanted).await {
                Err(Denied::Later(reason)) => failure = Denied::Later(reason),
                told => return told,
            }
        }
        for manager in self.managers(own) {
            match self.ask(manager, wanted).await {
                Ok(Err(Denied::Later(reason))) => failure = Denied::Later(reason),
                Ok(told) => return told,
                Err(error) => failure = Denied::Later(format!("manager {manager}: {error}")),
            }
        }
        Err(failure)
    }

    /// Those that live first.
    fn managers(&self, own: NodeId) -> Vec<NodeId> {
        let view = Arc::clone(&self.session.view().borrow());
        let mut managers: Vec<_> = view.nodes.values().filter(|node| node.role == Role::Manager && node.id != own).collect();
        managers.sort_by_key(|node| (!node.live, node.id));
        managers.into_iter().map(|node| node.id).collect()
    }

    async fn ask(&self, manager: NodeId, wanted: &Wanted) -> io::Result<Result<Vec<Content>, Denied>> {
        let asking = async {
            let mut stream = self.peers.open(manager, StreamKind::File).await.map_err(io::Error::other)?;
            frame::write(&mut stream, wanted).await?;
            stream.shutdown().await?;
            if let Err(denied) = frame::expect::<Told>(&mut stream).await? {
                return Ok(Err(denied));
            }
            let mut contents = Vec::new();
            for _ in &wanted.files {
                let mut length = [0; 4];
                stream.read_exact(&mut length).await?;
                let length = u32::from_le_bytes(length) as usize;
                if length > CONFIG_BYTES_MAX {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a file of {length} bytes is above the limit")));
                }
                let mut content = Zeroizing::new(vec![0; length]);
                stream.read_exact(&mut content).await?;
                contents.push(Content::new(content));
            }
            Ok(Ok(contents))
        };
        timeout(FILES_TIMEOUT, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
