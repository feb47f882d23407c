//! openraft's own suite on our log and state machine.
use minicloud_node::env::Env;
use minicloud_node::raft::TypeConfig;
use minicloud_node::raft::log::LogStore;
use minicloud_node::raft::machine::Machine;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::real();
        let log = LogStore::open(&env, folder.path()).unwrap();
        let machine = Machine::open(&env, folder.path()).unwrap();
        Ok((folder, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_storage_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}
