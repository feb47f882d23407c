//! The registry's files. A name exists only when what it names is whole: content is written beside its place, brought
//! to the disk and renamed.
//!
//! ```text
//! blobs/<hex>                                   content of blobs and manifests, once for all repositories
//! uploads/<id>                                  what has come of an upload
//! repositories/<name>/_blobs/<hex>              the repository has the blob (empty)
//! repositories/<name>/_manifests/<hex>          the repository has the manifest (its media type)
//! repositories/<name>/_tags/<tag>               the manifest's digest
//! repositories/<name>/_referrers/<hex>/<hex>    what refers to a subject (a descriptor)
//! ```
//! No part of a repository's name begins with `_`, so the two never meet.
use crate::digest::Digest;
use crate::fault::{Code, Fault};
use crate::manifest::{Manifest, Referrer};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const BLOBS: &str = "_blobs";
const MANIFESTS: &str = "_manifests";
const TAGS: &str = "_tags";
const REFERRERS: &str = "_referrers";

/// An upload that nobody touched for this long is given up.
const UPLOAD_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Referrers of one subject that are listed.
const REFERRERS_MAX: usize = 10_000;

/// The files under one folder. Nothing is kept in memory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Makes the folders that are missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let store = Self { root: root.into() };
        for folder in ["blobs", "uploads", "repositories"] {
            fs::create_dir_all(store.root.join(folder))?;
        }
        Ok(store)
    }

    // Blobs

    /// Where a blob's content is, relative to the root.
    pub fn blob_path(digest: &Digest) -> String {
        format!("blobs/{}", digest.hex())
    }

    /// Bytes of a blob, if the repository has it.
    pub fn blob_size(&self, repository: &str, digest: &Digest) -> Result<u64, Fault> {
        if !self.link(repository, BLOBS, digest).exists() {
            return Err(Fault::unknown_blob());
        }
        self.size(digest)?.ok_or_else(Fault::unknown_blob)
    }

    /// The repository gets a blob that some repository has. False: there is none.
    pub fn mount(&self, repository: &str, digest: &Digest, from: Option<&str>) -> Result<bool, Fault> {
        let known = match from {
            Some(from) => self.link(from, BLOBS, digest).exists(),
            None => self.is_linked_as(digest, &[BLOBS])?,
        };
        if !known || self.size(digest)?.is_none() {
            return Ok(false);
        }
        self.write_link(repository, BLOBS, digest, b"")?;
        Ok(true)
    }

    pub fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<(), Fault> {
        if !remove(&self.link(repository, BLOBS, digest))? {
            return Err(Fault::unknown_blob());
        }
        self.collect(digest)
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        found(fs::metadata(self.root.join(Self::blob_path(digest)))).map(|metadata| metadata.map(|metadata| metadata.len()))
    }

    /// Removes content that no repository refers to any more.
    fn collect(&self, digest: &Digest) -> Result<(), Fault> {
        if !self.is_linked_as(digest, &[BLOBS, MANIFESTS])? {
            remove(&self.root.join(Self::blob_path(digest)))?;
        }
        Ok(())
    }

    fn is_linked_as(&self, digest: &Digest, kinds: &[&str]) -> io::Result<bool> {
        let repositories = self.repositories()?;
        Ok(repositories.iter().any(|repository| kinds.iter().any(|kind| self.link(repository, kind, digest).exists())))
    }

    // Uploads

    pub fn upload_path(id: &str) -> String {
        format!("uploads/{id}")
    }

    pub fn begin_upload(&self, id: &str) -> io::Result<()> {
        fs::File::create_new(self.root.join(Self::upload_path(id))).map(drop)
    }

    /// Bytes that an upload has.
    pub fn upload_size(&self, id: &str) -> Result<u64, Fault> {
        let metadata = found(fs::metadata(self.root.join(Self::upload_path(id))))?;
        Ok(metadata.ok_or_else(Fault::unknown_upload)?.len())
    }

    pub fn end_upload(&self, id: &str) -> Result<(), Fault> {
        if remove(&self.root.join(Self::upload_path(id)))? { Ok(()) } else { Err(Fault::unknown_upload()) }
    }

    /// An upload whose content is on the disk and has this digest becomes a blob of the repository.
    pub fn finish_upload(&self, repository: &str, id: &str, digest: &Digest) -> Result<(), Fault> {
        fs::rename(self.root.join(Self::upload_path(id)), self.root.join(Self::blob_path(digest)))?;
        sync_folder(&self.root.join("blobs"));
        self.write_link(repository, BLOBS, digest, b"")?;
        Ok(())
    }

    /// Removes uploads that nobody will end.
    pub fn forget_old_uploads(&self, now: SystemTime) -> io::Result<()> {
        for name in names(&self.root.join("uploads"))? {
            let path = self.root.join("uploads").join(name);
            let modified = found(path.metadata())?.and_then(|metadata| metadata.modified().ok());
            if modified.and_then(|modified| now.duration_since(modified).ok()).is_some_and(|age| age > UPLOAD_AGE_MAX) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    // Manifests and tags

    /// The manifest that a tag names.
    pub fn tagged(&self, repository: &str, tag: &str) -> Result<Digest, Fault> {
        let text = found(fs::read_to_string(self.repository(repository).join(TAGS).join(tag)))?;
        text.as_deref().and_then(Digest::parse).ok_or_else(|| Fault::unknown_manifest(tag))
    }

    /// Media type and size of a manifest.
    pub fn manifest(&self, repository: &str, digest: &Digest) -> Result<(String, u64), Fault> {
        let unknown = || Fault::unknown_manifest(&digest.to_string());
        let media_type = found(fs::read_to_string(self.link(repository, MANIFESTS, digest)))?.ok_or_else(unknown)?;
        Ok((media_type, self.size(digest)?.ok_or_else(unknown)?))
    }

    pub fn manifest_content(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(Self::blob_path(digest)))
    }

    /// Stores a manifest whose blobs are here, and lets the tag name it.
    pub fn put_manifest(&self, repository: &str, content: &[u8], manifest: &Manifest, tag: Option<&str>) -> Result<Digest, Fault> {
        let missing = manifest.blobs.iter().find(|blob| !self.link(repository, BLOBS, blob).exists());
        if let Some(missing) = missing {
            return Err(Fault::new(404, Code::ManifestBlobUnknown, format!("push the blob {missing} first: the manifest names it")));
        }
        let digest = Digest::of(content);
        if self.size(&digest)?.is_none() {
            self.write(&self.root.join(Self::blob_path(&digest)), content)?;
        }
        self.write_link(repository, MANIFESTS, &digest, manifest.media_type.as_bytes())?;
        if let Some(subject) = &manifest.subject {
            let referrer = manifest.referrer(&digest, content.len() as u64);
            let folder = self.repository(repository).join(REFERRERS).join(subject.hex());
            fs::create_dir_all(&folder)?;
            self.write(&folder.join(digest.hex()), &serde_json::to_vec(&referrer).map_err(io::Error::other)?)?;
        }
        if let Some(tag) = tag {
            let folder = self.repository(repository).join(TAGS);
            fs::create_dir_all(&folder)?;
            self.write(&folder.join(tag), digest.to_string().as_bytes())?;
        }
        Ok(digest)
    }

    pub fn delete_tag(&self, repository: &str, tag: &str) -> Result<(), Fault> {
        if remove(&self.repository(repository).join(TAGS).join(tag))? { Ok(()) } else { Err(Fault::unknown_manifest(tag)) }
    }

    /// Removes a manifest, the tags that name it, and its place among the referrers of its subject.
    pub fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<(), Fault> {
        let link = self.link(repository, MANIFESTS, digest);
        let Some(media_type) = found(fs::read_to_string(&link))? else { return Err(Fault::unknown_manifest(&digest.to_string())) };
        let content = found(self.manifest_content(digest))?.unwrap_or_default();
        for tag in names(&self.repository(repository).join(TAGS))? {
            if self.tagged(repository, &tag).as_ref() == Ok(digest) {
                self.delete_tag(repository, &tag)?;
            }
        }
        if let Ok(Manifest { subject: Some(subject), .. }) = Manifest::read(&content, Some(&media_type)) {
            remove(&self.repository(repository).join(REFERRERS).join(subject.hex()).join(digest.hex()))?;
        }
        remove(&link)?;
        self.collect(digest)
    }

    /// Every tag of a repository, in order.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>, Fault> {
        if !self.is_repository(repository) {
            return Err(Fault::unknown_name(repository));
        }
        let mut tags = names(&self.repository(repository).join(TAGS))?;
        tags.sort();
        Ok(tags)
    }

    /// What refers to a manifest, whether or not that is here.
    pub fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Referrer>, Fault> {
        let folder = self.repository(repository).join(REFERRERS).join(subject.hex());
        let mut referrers = Vec::new();
        for name in names(&folder)?.into_iter().take(REFERRERS_MAX) {
            if let Some(text) = found(fs::read(folder.join(name)))? {
                referrers.push(serde_json::from_slice(&text).map_err(io::Error::other)?);
            }
        }
        Ok(referrers)
    }

    // Repositories

    /// Every repository that holds a manifest or a blob, in order.
    pub fn repositories(&self) -> io::Result<Vec<String>> {
        let mut repositories = Vec::new();
        self.walk("", &mut repositories)?;
        repositories.sort();
        Ok(repositories)
    }

    fn walk(&self, name: &str, repositories: &mut Vec<String>) -> io::Result<()> {
        for part in names(&self.repository(name))? {
            if part.starts_with('_') {
                continue;
            }
            let inner = if name.is_empty() { part } else { format!("{name}/{part}") };
            if self.is_repository(&inner) {
                repositories.push(inner.clone());
            }
            self.walk(&inner, repositories)?;
        }
        Ok(())
    }

    fn is_repository(&self, name: &str) -> bool {
        let folder = self.repository(name);
        [MANIFESTS, BLOBS].iter().any(|kind| names(&folder.join(kind)).is_ok_and(|names| !names.is_empty()))
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.root.join("repositories").join(name)
    }

    fn link(&self, repository: &str, kind: &str, digest: &Digest) -> PathBuf {
        self.repository(repository).join(kind).join(digest.hex())
    }

    fn write_link(&self, repository: &str, kind: &str, digest: &Digest, content: &[u8]) -> io::Result<()> {
        let link = self.link(repository, kind, digest);
        if found(fs::read(&link))?.is_some_and(|before| before == content) {
            return Ok(());
        }
        fs::create_dir_all(self.repository(repository).join(kind))?;
        self.write(&link, content)
    }

    /// Writes a small file whole or not at all.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        // Not the name of any upload; two writers of one name are one after the other, as nothing here waits.
        let new = self.root.join("uploads").join(format!("new-{}", name.to_string_lossy()));
        let written = (|| {
            let mut file = fs::File::create(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, path)
        })();
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&new);
        }
        if let Some(folder) = path.parent() {
            sync_folder(folder);
        }
        written
    }
}

/// A name has to survive a power cut too; not every file system can sync a folder.
fn sync_folder(path: &Path) {
    let _ = fs::File::open(path).and_then(|folder| folder.sync_all());
}

/// False: it was not there.
fn remove(path: &Path) -> io::Result<bool> {
    Ok(found(fs::remove_file(path))?.is_some())
}

fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in found(fs::read_dir(folder))?.into_iter().flatten() {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
