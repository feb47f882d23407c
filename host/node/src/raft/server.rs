//! Raft's messages from other managers: the service behind `StreamKind::Raft`.
use std::io;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use minicloud_core::id::Index;
use minicloud_core::state::{ClusterState, Row};
use openraft::raft::AppendEntriesRequest;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tracing::debug;

use super::machine::SnapshotState;
use super::wire::{Answer, Call};
use super::{Raft, Snapshot, SnapshotMeta, TypeConfig};
use crate::frame;
use crate::limits::SNAPSHOT_FRAME_BYTES;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer};

/// Hands Raft's messages to openraft.
pub struct RaftService {
    raft: Raft,
}

impl RaftService {
    pub fn new(raft: Raft) -> RaftService {
        RaftService { raft }
    }

    async fn answer(&self, mut stream: BoxStream) -> io::Result<()> {
        match frame::expect(&mut stream).await? {
            Call::Append(request) => reply(stream, self.raft.append_entries(request).await).await,
            Call::Vote(request) => reply(stream, self.raft.vote(request).await).await,
            Call::PreVote(request) => reply(stream, self.raft.pre_vote(request).await).await,
            Call::TransferLeader(request) => reply(stream, self.raft.handle_transfer_leader(request).await).await,
            Call::AppendStream => self.append_stream(stream).await,
            Call::Snapshot { vote, meta } => {
                let mut stream = BufReader::with_capacity(SNAPSHOT_FRAME_BYTES, stream);
                let snapshot = receive_snapshot(&mut stream, meta).await?;
                reply(stream.into_inner(), self.raft.install_full_snapshot(vote, snapshot).await).await
            }
        }
    }

    async fn append_stream(&self, stream: BoxStream) -> io::Result<()> {
        let (requests, mut answers) = tokio::io::split(stream);
        let requests = stream::unfold(requests, |mut requests| async move {
            // A broken stream ends like a finished one: what was received is answered, the rest is sent again.
            let request = frame::read::<AppendEntriesRequest<TypeConfig>>(&mut requests).await.ok()??;
            Some((request, requests))
        });
        let mut results = std::pin::pin!(self.raft.stream_append(requests.boxed()));
        while let Some(result) = results.next().await {
            let answer: Answer<_> = result.map_err(|error| error.to_string());
            frame::write(&mut answers, &answer).await?;
        }
        answers.shutdown().await
    }
}

#[async_trait]
impl StreamService for RaftService {
    async fn serve(&self, peer: Peer, stream: BoxStream) {
        if let Err(error) = self.answer(stream).await {
            debug!(node = %peer.node, %error, "raft stream ended");
        }
    }
}

async fn receive_snapshot(stream: &mut (impl AsyncRead + Unpin), meta: SnapshotMeta) -> io::Result<Snapshot> {
    let mut state = ClusterState::default();
    while let Some(row) = frame::read::<Row>(stream).await? {
        state.put_row(row);
    }
    state.set_index(Index(meta.last_log_id.map_or(0, |id| id.index())));
    Ok(Snapshot { meta, snapshot: SnapshotState(state) })
}

async fn reply<T: Serialize, E: std::fmt::Display>(mut stream: BoxStream, result: Result<T, E>) -> io::Result<()> {
    let answer: Answer<T> = result.map_err(|error| error.to_string());
    frame::write(&mut stream, &answer).await?;
    stream.shutdown().await
}
