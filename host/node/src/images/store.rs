//! Components on disk: `sha256/<hex>`, written whole or not at all.
//!
//! A file is trusted once this process has written it or has read it back and found its digest right.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use minicloud_core::spec::Digest;
use sha2::{Digest as _, Sha256};
use tokio::fs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tracing::warn;

use super::{digest_of, lock};

/// Bytes that are hashed and written at a time.
const CHUNK_BYTES: usize = 256 << 10;

pub struct Store {
    components: PathBuf,
    unfinished: PathBuf,
    next_unfinished: AtomicU64,
    verified: Mutex<BTreeSet<Digest>>,
    /// When a component was last asked for; those that are missing were not since `opened`.
    touched: Mutex<BTreeMap<Digest, Instant>>,
    opened: Instant,
}

impl Store {
    pub fn open(directory: &Path) -> io::Result<Store> {
        let (components, unfinished) = (directory.join("sha256"), directory.join("unfinished"));
        std::fs::create_dir_all(&components)?;
        match std::fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir(&unfinished)?,
        }
        Ok(Store {
            components,
            unfinished,
            next_unfinished: AtomicU64::new(0),
            verified: Mutex::default(),
            touched: Mutex::default(),
            opened: Instant::now(),
        })
    }

    /// How long nobody asked for a component, as far as this process knows.
    pub fn untouched(&self, digest: Digest) -> Duration {
        lock(&self.touched).get(&digest).unwrap_or(&self.opened).elapsed()
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.components.join(digest.to_string().trim_start_matches("sha256:"))
    }

    /// The component's file, if it is here and is what its name says. A damaged one is removed.
    pub async fn verified(&self, digest: Digest) -> io::Result<Option<PathBuf>> {
        let path = self.path(digest);
        lock(&self.touched).insert(digest, Instant::now());
        if lock(&self.verified).contains(&digest) && fs::try_exists(&path).await? {
            return Ok(Some(path));
        }
        let bytes = match fs::read(&path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                lock(&self.touched).remove(&digest);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if digest_of(&bytes) != digest {
            warn!(%digest, "a stored component is damaged and is fetched again");
            fs::remove_file(&path).await?;
            return Ok(None);
        }
        lock(&self.verified).insert(digest);
        Ok(Some(path))
    }

    /// Stores bytes that are known to have this digest.
    pub async fn write(&self, digest: Digest, component: &[u8]) -> io::Result<PathBuf> {
        self.receive(digest, component.len() as u64, &mut { component }).await
    }

    /// Stores `size_bytes` bytes of `source`, if they have this digest.
    pub async fn receive(&self, digest: Digest, size_bytes: u64, source: &mut (impl AsyncRead + Unpin)) -> io::Result<PathBuf> {
        let unfinished = Unfinished(self.unfinished.join(self.next_unfinished.fetch_add(1, Ordering::Relaxed).to_string()));
        let mut file = fs::File::create(&unfinished.0).await?;
        let received = copy_hashed(source, &mut file, size_bytes).await?;
        if received != digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("what came has digest {received}, not {digest}")));
        }
        file.sync_all().await?;
        let path = self.path(digest);
        fs::rename(&unfinished.0, &path).await?;
        fs::File::open(&self.components).await?.sync_all().await?;
        lock(&self.verified).insert(digest);
        lock(&self.touched).insert(digest, Instant::now());
        Ok(path)
    }

    pub async fn remove(&self, digest: Digest) {
        lock(&self.verified).remove(&digest);
        lock(&self.touched).remove(&digest);
        let _ = fs::remove_file(self.path(digest)).await;
    }

    /// Digest and size of everything here.
    pub async fn list(&self) -> io::Result<Vec<(Digest, u64)>> {
        let mut found = Vec::new();
        let mut entries = fs::read_dir(&self.components).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            if let Ok(digest) = format!("sha256:{}", name.to_string_lossy()).parse() {
                found.push((digest, entry.metadata().await?.len()));
            }
        }
        found.sort();
        Ok(found)
    }
}

async fn copy_hashed(source: &mut (impl AsyncRead + Unpin), file: &mut fs::File, size_bytes: u64) -> io::Result<Digest> {
    let (mut hasher, mut left) = (Sha256::new(), size_bytes);
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(size_bytes).unwrap_or(CHUNK_BYTES)).max(1)];
    while left > 0 {
        let room = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = source.read(&mut chunk[..room]).await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it broke off {left} bytes before its end")));
        }
        hasher.update(&chunk[..count]);
        file.write_all(&chunk[..count]).await?;
        left -= count as u64;
    }
    file.flush().await?;
    Ok(Digest(hasher.finalize().into()))
}

/// A file that vanishes unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
