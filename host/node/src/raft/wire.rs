//! Raft's messages between managers: what a `StreamKind::Raft` stream carries.
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use serde::{Deserialize, Serialize};

use super::{SnapshotMeta, TypeConfig, Vote};

/// The first frame of a stream. The answer's frame is a `Result` with the error as text.
#[derive(Serialize, Deserialize)]
pub(super) enum Call {
    Append(AppendEntriesRequest<TypeConfig>),
    /// Frames with one append each follow until the caller ends its direction; one answer frame comes for each.
    AppendStream,
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
    TransferLeader(TransferLeaderRequest<TypeConfig>),
    /// Frames with one row each follow until the caller ends its direction.
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
    },
}

/// How a call was answered.
pub(super) type Answer<T> = Result<T, String>;
