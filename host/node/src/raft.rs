//! Consensus: openraft over our transport, with the log and the state in redb.
//!
//! `log` keeps the log, `machine` applies it to the state, `store` writes the state down, `network` and `server` are the
//! two ends of Raft's own messages. Who uses it is `cluster`; nobody else needs to know openraft.
pub mod log;
pub mod machine;
mod network;
mod runtime;
mod server;
mod store;
mod wire;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use minicloud_core::command::{Outcome, Request};
use minicloud_core::id::NodeId;
use openraft::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::impls::leader_id_std;
use openraft::{Config, SnapshotPolicy};
use serde::{Deserialize, Serialize};

use crate::limits;
pub use network::Network;
pub use runtime::{Runtime, seed_elections};
pub use server::RaftService;

openraft::declare_raft_types!(
    pub TypeConfig:
        D = Proposal,
        R = Reply,
        NodeId = NodeId,
        Node = Member,
        LeaderId = leader_id_std::LeaderId<u64, NodeId>,
        AsyncRuntime = Runtime,
);

pub type Raft = openraft::Raft<TypeConfig, machine::Machine>;
pub type Entry = EntryOf<TypeConfig>;
pub type LogId = LogIdOf<TypeConfig>;
pub type LeaderTerm = CommittedLeaderIdOf<TypeConfig>;
pub type Vote = VoteOf<TypeConfig>;
pub type StoredMembership = StoredMembershipOf<TypeConfig>;
pub type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
pub type Snapshot = SnapshotOf<TypeConfig, machine::SnapshotState>;
pub type Membership = openraft::Membership<NodeId, Member>;

/// A request on its way through the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proposal(pub Request);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request at {}", self.0.at.0)
    }
}

/// What applying an entry gave: nothing for Raft's own entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply(pub Option<Outcome>);

/// A manager in the log's membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub address: SocketAddr,
}

impl Default for Member {
    /// Nowhere; openraft wants a value for members that it was told nothing of.
    fn default() -> Member {
        Member { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) }
    }
}

/// Why the log or the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is in use by another minicloud process: stop that one first", .0.display())]
    InUse(PathBuf),
    #[error(
        "{} is damaged ({reason}): restore the data directory from a copy, or remove it and join this node again as a new one",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("{} was written by another version of minicloud (format {found}, and this one reads {expected}): use that version", path.display())]
    Version { path: PathBuf, found: u64, expected: u64 },
    #[error("cannot use {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    fn damaged(path: &Path, reason: impl fmt::Display) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Fails when one of the two files is not what it was when the other was written: each alone looks like a new one.
pub fn check_pair(directory: &Path, log: &log::LogStore, machine: &machine::Machine) -> Result<(), StoreError> {
    let applied = machine.has_applied();
    if applied && log.is_new() {
        return Err(StoreError::damaged(&directory.join(log::FILE), "it is empty, though the state was made from it"));
    }
    if !applied && log.was_purged() {
        return Err(StoreError::damaged(&directory.join(machine::FILE), "it is empty, though the log goes on from it"));
    }
    Ok(())
}

/// What differs between disks, and in simulations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Least and most silence of the leader before an election.
    pub election_timeout: (Duration, Duration),
    /// Log entries between two snapshots.
    pub snapshot_entries: u64,
    /// Log entries kept behind a snapshot.
    pub log_entries_kept: u64,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            election_timeout: (limits::ELECTION_TIMEOUT_MIN, limits::ELECTION_TIMEOUT_MAX),
            snapshot_entries: limits::SNAPSHOT_ENTRIES,
            log_entries_kept: limits::LOG_ENTRIES_KEPT,
        }
    }
}

impl Tuning {
    /// For machines whose disk takes hundreds of milliseconds for an fsync now and then.
    pub fn slow_disk() -> Tuning {
        Tuning { election_timeout: (limits::ELECTION_TIMEOUT_MIN_SLOW, limits::ELECTION_TIMEOUT_MAX_SLOW), ..Tuning::default() }
    }
}

/// openraft's settings.
pub fn config(cluster: &str, tuning: &Tuning) -> Result<Config, openraft::ConfigError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: millis(limits::RAFT_HEARTBEAT),
        election_timeout_min: millis(tuning.election_timeout.0),
        election_timeout_max: millis(tuning.election_timeout.1),
        install_snapshot_timeout: millis(limits::SNAPSHOT_TIMEOUT),
        max_payload_entries: limits::APPEND_ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(tuning.snapshot_entries),
        max_in_snapshot_log_to_keep: tuning.log_entries_kept,
        enable_pre_vote: Some(true),
        // A leader sends entries out before its own fsync, and its state is older than what it acknowledged. Back after
        // a crash it must win an election of a later term: in its old one it could give an index out twice.
        enable_leader_restore: Some(false),
        ..Config::default()
    }
    .validate()
}
