//! Raft's messages to other managers, each on a stream of its own over `peers`.
use std::future::Future;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, Stream, StreamExt, stream};
use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::machine::SnapshotState;
use super::wire::{Answer, Call};
use super::{Member, Snapshot, TypeConfig, Vote};
use crate::frame;
use crate::limits::{RECONNECT_DELAY_FIRST, RECONNECT_DELAY_MAX, SNAPSHOT_FRAME_BYTES, SNAPSHOT_TIMEOUT};
use crate::peers::Peers;
use crate::transport::{BoxStream as PeerStream, StreamKind};

/// Makes openraft's clients.
#[derive(Clone)]
pub struct Network {
    peers: Peers,
}

/// The way to one manager.
pub struct Client {
    peers: Peers,
    target: NodeId,
    /// A stream of `Call::AppendStream` on which every append is answered. Never contended: openraft wants clients that
    /// could be shared, and shares none.
    rested: Mutex<Option<PeerStream>>,
}

impl Network {
    pub fn new(peers: Peers) -> Network {
        Network { peers }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, member: &Member) -> Client {
        if self.peers.endpoint(target).is_none() {
            self.peers.learn(target, member.address, Role::Manager);
        }
        Client { peers: self.peers.clone(), target, rested: Mutex::default() }
    }
}

impl Client {
    async fn open(&self) -> Result<PeerStream, RPCError<TypeConfig>> {
        self.peers.open(self.target, StreamKind::Raft).await.map_err(|error| Unreachable::new(&error).into())
    }

    async fn call<T: DeserializeOwned>(&self, call: &Call, option: &RPCOption) -> Result<T, RPCError<TypeConfig>> {
        let exchange = async {
            let mut stream = self.open().await?;
            let answer: Answer<T> = exchange(&mut stream, call).await.map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
            answer.map_err(|error| Unreachable::new(&io::Error::other(error)).into())
        };
        match timeout(option.hard_ttl(), exchange).await {
            Ok(result) => result,
            Err(elapsed) => Err(Unreachable::new(&elapsed).into()),
        }
    }

    /// One append and its answer, which is what a heartbeat is. The stream is kept for the next one.
    async fn append_one(&self, request: &AppendEntriesRequest<TypeConfig>) -> Result<Appended, RPCError<TypeConfig>> {
        let (stream, answer) = match self.append_on_rested(request).await {
            Some(answered) => answered,
            None => {
                let mut stream = self.open().await?;
                let asking = async {
                    frame::write(&mut stream, &Call::AppendStream).await?;
                    frame::ask(&mut stream, request).await
                };
                let answer: Answer<Appended> = asking.await.map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
                (stream, answer)
            }
        };
        // After any other answer the peer ends the stream.
        if let Ok(Ok(_)) = &answer {
            *self.rested() = Some(stream);
        }
        answer.map_err(|error| Unreachable::new(&io::Error::other(error)).into())
    }

    /// `None` where there is no stream, or the peer has ended it meanwhile: an append may be sent twice.
    async fn append_on_rested(&self, request: &AppendEntriesRequest<TypeConfig>) -> Option<(PeerStream, Answer<Appended>)> {
        let mut stream = self.rested().take()?;
        let answer = frame::ask(&mut stream, request).await.ok()?;
        Some((stream, answer))
    }

    fn rested(&self) -> MutexGuard<'_, Option<PeerStream>> {
        self.rested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<Answer<SnapshotResponse<TypeConfig>>, SendError> {
        let stream = self.peers.open(self.target, StreamKind::Raft).await.map_err(|error| SendError::Unreachable(error.to_string()))?;
        let send = async {
            let mut stream = BufWriter::with_capacity(SNAPSHOT_FRAME_BYTES, stream);
            frame::write(&mut stream, &Call::Snapshot { vote, meta: snapshot.meta }).await?;
            for (_, row) in snapshot.snapshot.0.rows() {
                frame::write(&mut stream, &row).await?;
            }
            stream.shutdown().await?;
            frame::expect(stream.get_mut()).await
        };
        match timeout(SNAPSHOT_TIMEOUT, send).await {
            Ok(result) => result.map_err(|error: io::Error| SendError::Broken(error.to_string())),
            Err(_) => Err(SendError::Broken("the snapshot took too long".into())),
        }
    }
}

type Appended = StreamAppendResult<TypeConfig>;

enum SendError {
    Unreachable(String),
    Broken(String),
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotState;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(&Call::Append(request), &option).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            // openraft waits out its backoff before it gives the first request, so that comes before the connection:
            // an unreachable peer would be tried without any pause otherwise.
            let Some(first) = input.next().await else { return Ok(stream::empty().boxed() as BoxStream<'s, _>) };
            let second = match input.next().now_or_never() {
                Some(None) => {
                    let answered = timeout(option.hard_ttl(), self.append_one(&first)).await;
                    let answer = answered.unwrap_or_else(|elapsed| Err(Unreachable::new(&elapsed).into()));
                    return Ok(stream::iter([answer]).boxed() as BoxStream<'s, _>);
                }
                Some(second) => second,
                None => None,
            };
            let input = stream::iter(second).chain(input);
            let opened = timeout(option.hard_ttl(), self.open()).await;
            let stream = opened.unwrap_or_else(|elapsed| Err(Unreachable::new(&elapsed).into()))?;
            let (answers, requests) = tokio::io::split(stream);
            // Dropping the answers aborts the sender, and both halves gone reset the stream.
            let sender = AbortOnDropHandle::new(tokio::spawn(send_appends(requests, first, input)));
            let answers = stream::unfold(Some((answers, sender)), |state| async move {
                let (mut answers, sender) = state?;
                match frame::read::<Answer<StreamAppendResult<TypeConfig>>>(&mut answers).await {
                    Ok(Some(Ok(answer))) => Some((Ok(answer), Some((answers, sender)))),
                    Ok(Some(Err(error))) => Some((Err(Unreachable::new(&io::Error::other(error)).into()), None)),
                    Ok(None) => None,
                    Err(error) => Some((Err(NetworkError::new(&error).into()), None)),
                }
            });
            Ok(answers.boxed() as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(&Call::Vote(request), &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(&Call::PreVote(request), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot) => sent,
        };
        match sent {
            Ok(Ok(response)) => Ok(response),
            Err(SendError::Unreachable(reason)) => Err(Unreachable::new(&io::Error::other(reason)).into()),
            Ok(Err(reason)) | Err(SendError::Broken(reason)) => Err(NetworkError::new(&io::Error::other(reason)).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(&Call::TransferLeader(request), &option).await
    }

    fn backoff(&self) -> Option<Backoff> {
        let delays = std::iter::successors(Some(RECONNECT_DELAY_FIRST), |delay| Some((*delay * 2).min(RECONNECT_DELAY_MAX / 2)));
        Some(Backoff::new(delays))
    }
}

async fn exchange<T: DeserializeOwned>(stream: &mut PeerStream, call: &(impl Serialize + Sync)) -> io::Result<T> {
    frame::write(stream, call).await?;
    stream.shutdown().await?;
    frame::expect(stream).await
}

async fn send_appends(
    mut requests: tokio::io::WriteHalf<PeerStream>,
    first: AppendEntriesRequest<TypeConfig>,
    mut input: impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
) -> io::Result<()> {
    frame::write(&mut requests, &Call::AppendStream).await?;
    frame::write(&mut requests, &first).await?;
    while let Some(request) = input.next().await {
        frame::write(&mut requests, &request).await?;
    }
    requests.shutdown().await
}
