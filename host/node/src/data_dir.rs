//! A node's data directory: its lock, who the node is, its certificates, and where the databases are.
//!
//! ```text
//! minicloud.lock        held while the node runs; contains its process id
//! node.json             node id, role, cluster, addresses
//! identity/             node.pem, reset.key (mode 0600); on managers seal-*.key
//! raft/                 raft-log.redb, state.redb (managers)
//! ```
//! Small files are replaced atomically; what must change together is one file. What is damaged is named, with what to do; nothing is repaired silently.
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use minicloud_core::id::{ClusterId, NodeId};
use minicloud_core::state::Role;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::env::Random;
use crate::identity::Identity;
use crate::limits::{DYING_PROCESS_LOOK, DYING_PROCESS_WAIT};
use crate::quic::ResetKey;
use crate::seal::SealKeys;

const LOCK: &str = "minicloud.lock";
/// Written last when a node is made: without it there is none.
pub const NODE: &str = "node.json";
const IDENTITY: &str = "identity";
const RAFT: &str = "raft";
/// Of the identity: key, certificate and authority.
const NODE_PEM: &str = "node.pem";
/// Where version 0.1 kept these three.
const NODE_PEM_PARTS: [&str; 3] = ["node.key", "node.crt", "ca.crt"];
/// Of `node.json`.
const FORMAT_VERSION: u32 = 1;

/// A data directory that this process holds. Released when dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Who the node is. Written when it founds or joins, and when an address or its role changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    pub version: u32,
    pub node: NodeId,
    pub role: Role,
    pub cluster: ClusterId,
    /// Forced recoveries that the cluster has gone through.
    #[serde(default)]
    pub epoch: u64,
    /// The UDP socket.
    pub listen: SocketAddr,
    /// Where other nodes reach this one.
    pub advertise: SocketAddr,
    /// Managers as they were when the node joined.
    #[serde(default)]
    pub managers: Vec<(NodeId, SocketAddr)>,
    /// Addresses through which it was told to join.
    #[serde(default)]
    pub contacts: Vec<SocketAddr>,
}

impl NodeFile {
    pub const VERSION: u32 = FORMAT_VERSION;
}

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("data directory {} is in use by process {pid}: stop that node with `minicloud stop`, or choose another directory with --data-dir", path.display())]
    InUse { path: PathBuf, pid: String },
    #[error("data directory {} holds no node: found a cluster with `minicloud init`, or join one with `minicloud join`", .0.display())]
    Empty(PathBuf),
    #[error(
        "data directory {} holds node {node} already: start it with `minicloud start`, or choose another directory with --data-dir",
        path.display()
    )]
    Occupied { path: PathBuf, node: NodeId },
    #[error("{} is damaged ({reason}): restore it from a copy, or remove the data directory and join this node again as a new one", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} was written by a newer minicloud (format {found}, and this one reads up to {FORMAT_VERSION}): install that version", path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("cannot use {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Whether the process of that number has no program any more, or is not there at all.
fn is_dying(pid: &str) -> bool {
    let program = Path::new("/proc").join(pid).join("exe");
    pid.parse::<u32>().is_ok()
        && Path::new("/proc/self/exe").exists()
        && fs::read_link(program).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl DataDir {
    /// Creates the directory if there is none, and takes it for this process. A process that was killed holds its
    /// directory until the kernel has taken its memory apart, which may take seconds: that is waited for.
    pub fn lock(path: &Path) -> Result<DataDir, DataDirError> {
        let deadline = Instant::now() + DYING_PROCESS_WAIT;
        loop {
            match DataDir::try_lock(path) {
                Err(DataDirError::InUse { pid, .. }) if is_dying(&pid) && Instant::now() < deadline => thread::sleep(DYING_PROCESS_LOOK),
                locked => return locked,
            }
        }
    }

    fn try_lock(path: &Path) -> Result<DataDir, DataDirError> {
        create_dir(path)?;
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let mut lock = opened.map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(at(&lock_path))?;
                let pid = if pid.trim().is_empty() { "(unknown)".to_owned() } else { pid.trim().to_owned() };
                return Err(DataDirError::InUse { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(DataDirError::Io { path: lock_path, source }),
        }
        let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(at(&lock_path))?;
        Ok(DataDir { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log and the state are. Created when missing.
    pub fn raft(&self) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(RAFT);
        create_dir(&path)?;
        Ok(path)
    }

    /// Removes the log and the state.
    pub fn remove_raft(&self) -> Result<(), DataDirError> {
        remove_dir(&self.path.join(RAFT))
    }

    /// Fails when a node lives here already.
    pub fn must_be_empty(&self) -> Result<(), DataDirError> {
        match self.read_node()? {
            None => Ok(()),
            Some(file) => Err(DataDirError::Occupied { path: self.path.clone(), node: file.node }),
        }
    }

    /// Who the node is.
    pub fn node(&self) -> Result<NodeFile, DataDirError> {
        self.read_node()?.ok_or_else(|| DataDirError::Empty(self.path.clone()))
    }

    fn read_node(&self) -> Result<Option<NodeFile>, DataDirError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let path = self.path.join(NODE);
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| DataDirError::Damaged { path: path.clone(), reason: error.to_string() };
        let Version { version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version > FORMAT_VERSION {
            return Err(DataDirError::Version { path, found: version });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// The last thing that founding or joining writes: from then on the node exists.
    pub fn write_node(&self, file: &NodeFile) -> Result<(), DataDirError> {
        let text = serde_json::to_vec_pretty(file).map_err(|error| at(&self.path)(io::Error::other(error)))?;
        write_atomic(&self.path.join(NODE), &text)
    }

    pub fn identity(&self) -> Result<Identity, DataDirError> {
        let path = self.path.join(IDENTITY).join(NODE_PEM);
        let damaged = |reason: String| DataDirError::Damaged { path: path.clone(), reason };
        let text = match read_if_there(&path)? {
            Some(text) => text,
            None => self.identity_in_parts()?.ok_or_else(|| damaged("it is missing".into()))?,
        };
        Identity::from_pem(&Zeroizing::new(text)).map_err(|error| damaged(error.to_string()))
    }

    fn identity_in_parts(&self) -> Result<Option<Vec<u8>>, DataDirError> {
        let parts = NODE_PEM_PARTS.map(|part| read_if_there(&self.path.join(IDENTITY).join(part)));
        Ok(parts.into_iter().collect::<Result<Option<Vec<_>>, _>>()?.map(|parts| parts.concat()))
    }

    /// In one file: a key that was written before a crash and a certificate that was not would be a node that cannot
    /// start.
    pub fn write_identity(&self, identity: &Identity) -> Result<(), DataDirError> {
        let folder = self.path.join(IDENTITY);
        create_dir(&folder)?;
        write_atomic(&folder.join(NODE_PEM), identity.to_pem().as_bytes())?;
        NODE_PEM_PARTS.iter().try_for_each(|part| remove_file(&folder.join(part)))
    }

    /// The keys that seal secrets, which managers keep.
    pub fn seal_keys(&self) -> Result<SealKeys, DataDirError> {
        create_dir(&self.path.join(IDENTITY))?;
        SealKeys::open(&self.path.join(IDENTITY))
    }

    /// The key of QUIC's stateless resets; made when missing.
    pub fn reset_key(&self, random: &dyn Random) -> Result<ResetKey, DataDirError> {
        create_dir(&self.path.join(IDENTITY))?;
        let path = self.path.join(IDENTITY).join("reset.key");
        if let Some(key) = read_if_there(&path)?.and_then(|bytes| bytes.try_into().ok()) {
            return Ok(ResetKey(key));
        }
        let mut key = [0; ResetKey::BYTES];
        random.fill(&mut key);
        write_atomic(&path, &key)?;
        Ok(ResetKey(key))
    }
}

/// Replaces a file so that a crash leaves the old or the new one whole. Mode 0600.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<(), DataDirError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(at(path))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, DataDirError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn create_dir(path: &Path) -> Result<(), DataDirError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn remove_file(path: &Path) -> Result<(), DataDirError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn remove_dir(path: &Path) -> Result<(), DataDirError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataDirError + use<> {
    let path = path.to_owned();
    move |source| DataDirError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> NodeFile {
        NodeFile {
            version: FORMAT_VERSION,
            node: NodeId(1),
            role: Role::Manager,
            cluster: ClusterId(7),
            epoch: 0,
            listen: "127.0.0.1:2377".parse().unwrap(),
            advertise: "127.0.0.1:2377".parse().unwrap(),
            managers: Vec::new(),
            contacts: Vec::new(),
        }
    }

    #[test]
    fn a_directory_in_use_names_the_process() {
        let temp = tempfile::tempdir().unwrap();
        let held = DataDir::lock(temp.path()).unwrap();
        let error = DataDir::lock(temp.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        DataDir::lock(temp.path()).unwrap();
    }

    #[test]
    fn the_directory_of_a_dying_process_is_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let held = DataDir::lock(temp.path()).unwrap();
        // Ended, and not waited for: as a process whose memory is being taken apart, it has a number and no program.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        fs::write(temp.path().join(LOCK), ended.id().to_string()).unwrap();
        while !is_dying(&ended.id().to_string()) {
            thread::sleep(DYING_PROCESS_LOOK);
        }
        let path = temp.path().to_owned();
        let waiting = thread::spawn(move || DataDir::lock(&path).map(|_| ()));
        thread::sleep(DYING_PROCESS_LOOK * 5);
        assert!(!waiting.is_finished());
        drop(held);
        waiting.join().unwrap().unwrap();
        ended.wait().unwrap();
    }

    #[test]
    fn a_node_file_reads_back_and_guards_the_directory() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(&temp.path().join("deep/er")).unwrap();
        assert!(matches!(dir.node(), Err(DataDirError::Empty(_))));
        dir.must_be_empty().unwrap();
        dir.write_node(&file()).unwrap();
        assert_eq!(dir.node().unwrap(), file());
        assert!(matches!(dir.must_be_empty(), Err(DataDirError::Occupied { node: NodeId(1), .. })));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        for (content, wanted) in [("{", "node.json is damaged"), ("{\"version\":9}", "newer minicloud"), ("{\"version\":1}", "damaged")] {
            fs::write(temp.path().join(NODE), content).unwrap();
            let error = dir.node().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(dir.identity().err().unwrap().to_string().contains("missing"));
    }

    #[test]
    fn an_identity_in_three_files_is_read_and_becomes_one_file() {
        use crate::identity::{Authority, NodeKey, Subject};
        use minicloud_core::id::Index;
        use minicloud_core::time::Timestamp;
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        let now = Timestamp(1_800_000_000_000);
        let (certificate, key) = Authority::create(now).unwrap();
        let authority = Authority::from_pem(&certificate, &key).unwrap();
        let made = || {
            let key = NodeKey::generate().unwrap();
            let subject = Subject { node: NodeId(7), role: Role::Worker, cluster: ClusterId(42), issued: Index(1) };
            let signed = authority.sign(&key.request_der().unwrap(), subject, now).unwrap();
            key.into_identity(signed, authority.certificate().clone()).unwrap()
        };
        let (old, new) = (made(), made());
        let folder = temp.path().join(IDENTITY);
        create_dir(&folder).unwrap();
        let text = old.to_pem();
        let starts: Vec<usize> = text.match_indices("-----BEGIN").map(|(at, _)| at).chain([text.len()]).collect();
        for (part, range) in NODE_PEM_PARTS.iter().zip(starts.windows(2)) {
            fs::write(folder.join(part), &text[range[0]..range[1]]).unwrap();
        }
        assert_eq!(dir.identity().unwrap().certificate, old.certificate);
        dir.write_identity(&new).unwrap();
        assert_eq!(dir.identity().unwrap().certificate, new.certificate);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, [NODE_PEM]);
    }

    #[test]
    fn nothing_of_a_former_manager_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        dir.remove_raft().unwrap();
        fs::write(dir.raft().unwrap().join("log"), "the authority's key").unwrap();
        dir.remove_raft().unwrap();
        assert!(!temp.path().join(RAFT).exists());
    }

    #[test]
    fn secrets_are_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        let key = dir.reset_key(&*crate::env::Env::real().random).unwrap();
        assert_eq!(key.0, dir.reset_key(&*crate::env::Env::real().random).unwrap().0);
        let mode = fs::metadata(temp.path().join("identity/reset.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
