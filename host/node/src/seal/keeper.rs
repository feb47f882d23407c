//! The keys that this node keeps, as files of mode 0600 beside the key of its certificate: `identity/seal-<fingerprint>.key`.
//!
//! There is one, but for the moment in which a cluster chooses its first: then a manager may hold what several propose.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::spec::Fingerprint;

use super::SealKey;
use crate::data_dir::{DataDirError, write_atomic};
use crate::limits::SEAL_KEYS_MAX;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct SealKeys {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    keys: Mutex<BTreeMap<Fingerprint, SealKey>>,
}

impl SealKeys {
    /// Reads what is in the folder. A file that is no key, or not the one in its name, is an error: without its key the
    /// secrets of the cluster are lost, so it is not passed over.
    pub fn open(folder: &Path) -> Result<SealKeys, DataDirError> {
        let mut keys = BTreeMap::new();
        for path in files(folder)? {
            let bytes = std::fs::read(&path).map_err(|source| DataDirError::Io { path: path.clone(), source })?;
            let bytes = zeroize::Zeroizing::new(bytes);
            let key = SealKey::from_bytes(&bytes).filter(|key| path == file(folder, &key.fingerprint()));
            let key = key.ok_or_else(|| DataDirError::Damaged { path, reason: "it is not the key in its name".into() })?;
            keys.insert(key.fingerprint(), key);
        }
        Ok(SealKeys { shared: Arc::new(Shared { folder: folder.to_owned(), keys: Mutex::new(keys) }) })
    }

    pub fn get(&self, fingerprint: &Fingerprint) -> Option<SealKey> {
        self.lock().get(fingerprint).cloned()
    }

    /// A key that is kept, whichever.
    pub fn any(&self) -> Option<SealKey> {
        self.lock().values().next().cloned()
    }

    /// Keeps a key; it is on disk when this returns.
    pub fn keep(&self, key: &SealKey) -> Result<(), DataDirError> {
        let mut keys = self.lock();
        let fingerprint = key.fingerprint();
        if keys.contains_key(&fingerprint) {
            return Ok(());
        }
        let path = file(&self.shared.folder, &fingerprint);
        if keys.len() >= SEAL_KEYS_MAX {
            return Err(DataDirError::Io { path, source: std::io::Error::other("there are too many keys already") });
        }
        write_atomic(&path, key.bytes())?;
        keys.insert(fingerprint, key.clone());
        Ok(())
    }

    /// Forgets every key but the one that the cluster chose; all of them when this node is a manager no longer.
    pub fn forget_but(&self, chosen: Option<&Fingerprint>) -> Result<(), DataDirError> {
        let mut keys = self.lock();
        let others: Vec<Fingerprint> = keys.keys().filter(|known| Some(*known) != chosen).copied().collect();
        for fingerprint in others {
            let path = file(&self.shared.folder, &fingerprint);
            std::fs::remove_file(&path).map_err(|source| DataDirError::Io { path, source })?;
            keys.remove(&fingerprint);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Fingerprint, SealKey>> {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PREFIX: &str = "seal-";
const SUFFIX: &str = ".key";
/// Bytes of the fingerprint that name the file.
const NAME_BYTES: usize = 8;

fn file(folder: &Path, fingerprint: &Fingerprint) -> PathBuf {
    let name: String = fingerprint[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{PREFIX}{name}{SUFFIX}"))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, DataDirError> {
    let failed = |source| DataDirError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::env::Env;

    #[test]
    fn keys_outlive_the_process_and_are_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let keys = SealKeys::open(folder.path()).unwrap();
        let (one, other) = (SealKey::generate(&*Env::real().random), SealKey::generate(&*Env::real().random));
        keys.keep(&one).unwrap();
        keys.keep(&other).unwrap();
        let again = SealKeys::open(folder.path()).unwrap();
        assert_eq!(again.get(&one.fingerprint()), Some(one.clone()));
        let path = file(folder.path(), &one.fingerprint());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        again.forget_but(Some(&one.fingerprint())).unwrap();
        assert_eq!((again.get(&other.fingerprint()), files(folder.path()).unwrap()), (None, vec![path]));
        again.forget_but(None).unwrap();
        assert_eq!(files(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let keys = SealKeys::open(folder.path()).unwrap();
        let key = SealKey::generate(&*Env::real().random);
        keys.keep(&key).unwrap();
        let path = file(folder.path(), &key.fingerprint());
        for content in [&b"short"[..], &[7; SealKey::BYTES]] {
            std::fs::write(&path, content).unwrap();
            let error = SealKeys::open(folder.path()).err().unwrap().to_string();
            assert!(error.contains("seal-") && error.contains("damaged"), "{error}");
        }
    }
}
