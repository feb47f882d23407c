//! Files that earlier versions wrote are read by this version, whole.
//!
//! `v0.1/` and `v0.2/` hold them as those versions' code left them. Once a version is released they are never written again:
//! a record that this version reads otherwise is one that a user's cluster loses. A later version adds a folder of its own.
//! Until then, what is new is added to `later.rs`, the folder removed, and `write_the_files` run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod content;
mod later;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minicloud_core::command::{Change, Command};
use minicloud_core::id::{Index, NodeId};
use minicloud_core::spec::VolumeSpec;
use minicloud_core::state::{Availability, ClusterState, Role, Row};
use minicloud_node::data_dir::{DataDir, DataDirError};
use minicloud_node::env::Env;
use minicloud_node::founding::Founding;
use minicloud_node::member::{self, Member};
use minicloud_node::raft::log::{self, LogStore};
use minicloud_node::raft::machine::{self, Machine, SnapshotState};
use minicloud_node::raft::{Entry, LogId, SnapshotMeta, StoredMembership, Vote};
use minicloud_node::token::{Secret, Token};
use openraft::EntryPayload;
use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftStateMachine};

/// What the files of one version hold.
struct Version {
    folder: PathBuf,
    commands: Vec<Command>,
    rows: Vec<Row>,
}

/// The oldest first.
fn versions() -> [Version; 2] {
    let folder = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    [
        Version { folder: folder("v0.1"), commands: content::commands(), rows: content::rows() },
        Version { folder: folder("v0.2"), commands: later::commands(), rows: later::rows() },
    ]
}

impl Version {
    /// A copy of the files, as reading them may change them.
    fn copy_to(&self, folder: &Path) {
        for file in [log::FILE, machine::FILE] {
            std::fs::copy(self.folder.join(file), folder.join(file)).unwrap();
        }
    }

    fn entries(&self) -> Vec<Entry> {
        content::entries(self.commands.clone())
    }

    /// The position up to which the state file holds what the log did: all but the last entry.
    fn applied(&self) -> LogId {
        content::log_id(self.entries().len() as u64 - 2)
    }

    fn state(&self) -> ClusterState {
        let mut state = ClusterState::default();
        self.rows.iter().for_each(|row| state.put_row(row.clone()));
        state.set_index(Index(self.applied().index()));
        state
    }

    fn meta(&self) -> SnapshotMeta {
        let first = self.entries().remove(0);
        let EntryPayload::Membership(membership) = first.payload else { panic!("the first entry is the membership") };
        SnapshotMeta { last_log_id: Some(self.applied()), last_membership: StoredMembership::new(Some(content::log_id(0)), membership) }
    }
}

fn vote() -> Vote {
    Vote::new_committed(2, content::FOUNDER)
}

#[tokio::test]
async fn every_entry_of_the_log_is_read() {
    for version in versions() {
        let folder = tempfile::tempdir().unwrap();
        version.copy_to(folder.path());
        let mut log = LogStore::open(&Env::real(), folder.path()).unwrap();
        let read = log.try_get_log_entries(..).await.unwrap();
        let written = version.entries().split_off(content::PURGED as usize + 1);
        for (read, written) in read.iter().zip(&written) {
            assert_eq!(read, written);
        }
        assert_eq!(read.len(), written.len());
        let state = log.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(content::log_id(content::PURGED)));
        assert_eq!(log.read_vote().await.unwrap(), Some(vote()));
        assert_eq!(log.read_committed().await.unwrap(), Some(version.applied()));
    }
}

#[tokio::test]
async fn every_row_of_the_state_is_read() {
    for version in versions() {
        let folder = tempfile::tempdir().unwrap();
        version.copy_to(folder.path());
        let mut machine = Machine::open(&Env::real(), folder.path()).unwrap();
        let read = machine.state();
        for written in &version.rows {
            assert_eq!(read.row(written.key()).as_ref(), Some(written));
        }
        assert_eq!(read.rows().count(), version.rows.len());
        assert_eq!(read, version.state());
        let meta = version.meta();
        assert_eq!(machine.applied_state().await.unwrap(), (meta.last_log_id, meta.last_membership));
    }
}

/// The files of a node, as they are; its identity is a new one, as certificates run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_from_them_and_goes_on() {
    for version in versions() {
        a_node_starts_from(&version).await;
    }
}

async fn a_node_starts_from(version: &Version) {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::real();
    let dir = DataDir::lock(folder.path()).unwrap();
    let socket = member::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let founding = Founding {
        hostname: "first".into(),
        availability: Availability::Active,
        address: "127.0.0.1:0".parse().unwrap(),
        address_pool: "10.0.0.0/8".parse().unwrap(),
    };
    member::found(&env, &dir, &socket, founding).unwrap();
    version.copy_to(&dir.raft().unwrap());
    let member = Member::open(&env, dir, socket).await.unwrap();
    let cluster = member.cluster.get().unwrap();
    let spec = VolumeSpec { name: "new".into(), labels: Default::default(), node: None };
    let applied = cluster.propose(Command::CreateVolume { id: minicloud_core::id::VolumeId(1), spec }).await.unwrap();
    assert!(applied.index.0 > version.entries().len() as u64, "{applied:?}");
    let state = cluster.read().await.unwrap();
    assert!(state.volumes.contains_key(&content::LAST_VOLUME), "the entry behind the state was applied");
    for written in &version.rows {
        assert_eq!(state.row(written.key()).as_ref(), Some(written));
    }
    member.shutdown().await;
}

#[test]
fn the_small_files_and_tokens_are_read() {
    for version in versions() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(version.folder.join("node.json"), folder.path().join("node.json")).unwrap();
        let dir = DataDir::lock(folder.path()).unwrap();
        assert_eq!(dir.node().unwrap(), content::node_file());
        assert!(matches!(dir.must_be_empty(), Err(DataDirError::Occupied { node: NodeId(1), .. })));
        // The secrets of a cluster follow from its key: another derivation would make every printed token worthless.
        let secret = Secret::derive("the authority's key", Role::Worker, 2);
        assert_eq!(*secret.to_hex(), std::fs::read_to_string(version.folder.join("worker-secret.txt")).unwrap().trim());
    }
    let token: Token = content::TOKEN.parse().unwrap();
    assert_eq!((token.to_string().as_str(), token.authority), (content::TOKEN, [0xab; 32]));
}

/// What is written is everything there is: a command, change or row that is missing here would go untested.
#[test]
fn nothing_is_left_out() {
    for (version, [commands, changes, rows]) in versions().iter().zip([[18, 13, 7], [23, 14, 8]]) {
        let has: BTreeSet<usize> = version.commands.iter().map(number_of_command).collect();
        assert!(has.into_iter().eq(0..commands), "commands");
        let plans = version.commands.iter().filter_map(|command| match command {
            Command::ApplyPlan { changes } => Some(changes),
            _ => None,
        });
        let has: BTreeSet<usize> = plans.flatten().map(number_of_change).collect();
        assert!(has.into_iter().eq(0..changes), "changes");
        let has: BTreeSet<usize> = version.rows.iter().map(number_of_row).collect();
        assert!(has.into_iter().eq(0..rows), "rows");
    }
    let states = content::task_states();
    assert!(states.is_sorted() && states.len() == 14, "{states:?}");
}

/// A new command gets the next number when the version that brings it writes files of its own.
fn number_of_command(command: &Command) -> usize {
    match command {
        Command::CreateCluster(_) => 0,
        Command::RotateJoinSecret { .. } => 1,
        Command::AddNode { .. } => 2,
        Command::UpdateNode { .. } => 3,
        Command::DescribeNode { .. } => 4,
        Command::SetNodeStatus { .. } => 5,
        Command::RemoveNode { .. } => 6,
        Command::CreateNetwork { .. } => 7,
        Command::RemoveNetwork { .. } => 8,
        Command::CreateVolume { .. } => 9,
        Command::RemoveVolume { .. } => 10,
        Command::CreateService { .. } => 11,
        Command::UpdateService { .. } => 12,
        Command::ScaleServices { .. } => 13,
        Command::RemoveService { .. } => 14,
        Command::ReportStatus { .. } => 15,
        Command::ApplyPlan { .. } => 16,
        Command::ForgetVolumes { .. } => 17,
        Command::RollbackService { .. } => 18,
        Command::SetSealKey { .. } => 19,
        Command::CreateFile { .. } => 20,
        Command::LabelFile { .. } => 21,
        Command::RemoveFile { .. } => 22,
    }
}

fn number_of_change(change: &Change) -> usize {
    match change {
        Change::SetSubnet { .. } => 0,
        Change::SetEndpoint { .. } => 1,
        Change::CreateTask(_) => 2,
        Change::SetAddresses { .. } => 3,
        Change::AssignTask { .. } => 4,
        Change::SetDesired { .. } => 5,
        Change::SetObserved { .. } => 6,
        Change::SetWaiting { .. } => 7,
        Change::RemoveTask { .. } => 8,
        Change::RemoveService { .. } => 9,
        Change::BindVolume { .. } => 10,
        Change::CreateVolume { .. } => 11,
        Change::SetUpdate { .. } => 12,
        Change::UndoUpdate { .. } => 13,
    }
}

fn number_of_row(row: &Row) -> usize {
    match row {
        Row::Cluster(_) => 0,
        Row::Node(_) => 1,
        Row::Service(_) => 2,
        Row::Task(_) => 3,
        Row::Network(_) => 4,
        Row::Volume(_) => 5,
        Row::Answer(_) => 6,
        Row::File(_) => 7,
    }
}

/// Writes the files, for a version that has none yet: `cargo test --test golden -- --ignored write`.
#[tokio::test]
#[ignore = "writes the golden files of a new version into the sources; never over those of a released one"]
async fn write_the_files() {
    let env = Env::real();
    let [.., version] = versions();
    let folder = &version.folder;
    assert!(!folder.exists(), "{} is there: files of a released version are never written again", folder.display());
    std::fs::create_dir_all(folder).unwrap();
    log::found(&env, folder, &version.entries()).unwrap();
    let mut log = LogStore::open(&env, folder).unwrap();
    log.save_vote(&vote()).await.unwrap();
    log.save_committed(Some(version.applied())).await.unwrap();
    // A purge is durable, and with it what was queued before.
    log.purge(content::log_id(content::PURGED)).await.unwrap();
    let mut machine = Machine::open(&env, folder).unwrap();
    machine.install_snapshot(&version.meta(), SnapshotState(version.state())).await.unwrap();
    drop((log, machine));
    std::fs::write(folder.join("node.json"), serde_json::to_vec_pretty(&content::node_file()).unwrap()).unwrap();
    let secret = Secret::derive("the authority's key", Role::Worker, 2);
    std::fs::write(folder.join("worker-secret.txt"), format!("{}\n", *secret.to_hex())).unwrap();
    for file in [log::FILE, machine::FILE] {
        compact(&folder.join(file));
    }
}

/// Gives back the room that a database keeps for more, once its writer has let go of it.
fn compact(path: &Path) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut database = loop {
        match redb::Database::open(path) {
            Ok(database) => break database,
            Err(error) => assert!(std::time::Instant::now() < end, "{error}"),
        }
        std::thread::yield_now();
    };
    while database.compact().unwrap() {}
}
