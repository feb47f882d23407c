//! A manager killed with SIGKILL in the middle of writes, again and again: nothing acknowledged is lost, in log and state.
//! And files cut or garbled: a clear error that names the file, or the whole content.
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use minicloud_core::state::ClusterState;
use minicloud_node::env::Env;
use minicloud_node::raft::log::LogStore;
use minicloud_node::raft::machine::Machine;
use tokio::task::JoinSet;

use crate::harness::{Folders, Node, create_volume, has_volume};

/// Set for the process that writes until it is killed: the folder, and the number of its first write.
const HELPER: &str = "MINICLOUD_TEST_WRITER";
const WRITERS: u64 = 16;
const ROUNDS: u64 = 4;
/// Acknowledged writes after which a round kills; different in each, so that checkpoints and snapshots are hit too.
const KILL_AFTER: [usize; ROUNDS as usize] = [1, 150, 700, 3_000];

/// Not a test of its own: what the re-executed test binary runs.
#[test]
fn helper_writes_until_it_is_killed() {
    let Ok(order) = std::env::var(HELPER) else { return };
    let (first, folder) = order.split_once(':').unwrap();
    let first: u64 = first.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = Path::new(folder);
        let node = match folder.join("node.json").exists() {
            true => Node::open(folder.to_owned()).await,
            false => Node::found(folder.to_owned()).await,
        };
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let cluster = node.cluster().clone();
            writers.spawn(async move {
                for number in (first + writer..).step_by(WRITERS as usize) {
                    cluster.propose(create_volume(number)).await.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "\nacknowledged {number}").and_then(|()| out.flush()).unwrap();
                }
            });
        }
        writers.join_next().await.unwrap().unwrap();
    });
}

fn write_and_kill(folder: &Path, first: u64, kill_after: usize) -> BTreeSet<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::helper_writes_until_it_is_killed", "--nocapture"])
        .env(HELPER, format!("{first}:{}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = BTreeSet::new();
    for line in lines {
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged.insert(number.parse().unwrap());
        }
        if acknowledged.len() == kill_after {
            // SIGKILL; what is in the pipe already is read too.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= kill_after, "the writer stopped by itself");
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let folders = Folders::new();
    let folder = folders.path("node");
    let mut acknowledged = BTreeSet::new();
    for (round, kill_after) in (0..ROUNDS).zip(KILL_AFTER) {
        let (at, first) = (folder.clone(), round * 1_000_000 + 1);
        acknowledged.extend(tokio::task::spawn_blocking(move || write_and_kill(&at, first, kill_after)).await.unwrap());
        assert_nothing_lost(&folder, &acknowledged).await;
    }
}

async fn assert_nothing_lost(folder: &Path, acknowledged: &BTreeSet<u64>) {
    let on_disk = Machine::open(&Env::real(), &folder.join("raft")).unwrap().state();
    let node = Node::open(folder.to_owned()).await;
    let state = node.cluster().read().await.unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|number| !has_volume(&state, **number)).collect();
    assert_eq!(lost, Vec::<&u64>::new(), "after a checkpoint at {}", on_disk.index);
    assert!(on_disk.index <= state.index);
    node.stop().await;
}

/// A log and a state as a stopped node leaves them.
async fn written() -> (Folders, ClusterState) {
    let folders = Folders::new();
    let node = Node::found(folders.path("node")).await;
    for number in 1..200 {
        node.cluster().propose(create_volume(number)).await.unwrap();
    }
    let state = node.cluster().state();
    node.stop().await;
    (folders, state)
}

fn open_copy(source: &Path, name: &str, content: &[u8]) -> Result<ClusterState, String> {
    let copy = tempfile::tempdir().unwrap();
    for file in ["raft-log.redb", "state.redb"] {
        fs::copy(source.join(file), copy.path().join(file)).unwrap();
    }
    fs::write(copy.path().join(name), content).unwrap();
    let env = Env::real();
    LogStore::open(&env, copy.path()).map_err(|error| error.to_string())?;
    Machine::open(&env, copy.path()).map(|machine| machine.state()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_or_garbled_file_is_named() {
    let (folders, state) = written().await;
    let raft = folders.path("node").join("raft");
    for name in ["raft-log.redb", "state.redb"] {
        let whole = fs::read(raft.join(name)).unwrap();
        assert_eq!(open_copy(&raft, name, &whole).unwrap(), state, "the copy itself opens");
        for cut in [1, 100, 4_096, whole.len() / 2, whole.len() - 1] {
            let error = open_copy(&raft, name, &whole[..cut]).expect_err("a cut file is not taken for a whole one");
            assert!(error.contains(name) && error.contains("join this node again"), "{name} cut to {cut} bytes: {error}");
        }
        let error = open_copy(&raft, name, &vec![0x5a; whole.len()]).expect_err("garbage is not a database");
        assert!(error.contains(name), "{error}");
    }
}
