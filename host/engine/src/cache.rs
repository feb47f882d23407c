//! Compiled components on disk: one folder per engine configuration and version, shared by the nodes of a machine.
//!
//! An entry is `<digest>.cwasm` and `<digest>.sum`, the SHA-256 of the former, written last. An entry that is
//! missing, incomplete, corrupted or made by another engine is compiled anew, under a lock, so that a machine
//! compiles each component once. Only `engine.rs` calls it, on a thread that may block.
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use minicloud_core::spec::Digest;
use sha2::Digest as _;

use crate::config;
use crate::error::EngineError;
use crate::limits::CACHE_FILES_MAX;
use crate::precompiled;

/// The folder of one engine configuration.
pub struct Cache {
    folder: PathBuf,
    engine: wasmtime::Engine,
}

/// Where a component came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cached,
    Compiled,
}

impl Cache {
    /// Open the folder under `cache_dir` that belongs to `engine`, and make it when it is not there.
    pub fn open(cache_dir: &Path, engine: &wasmtime::Engine) -> Result<Cache, EngineError> {
        let folder = cache_dir.join(format!("wasmtime-{}-{}", env!("CARGO_PKG_VERSION"), config::cache_key(engine)));
        let refuse = |reason: String| EngineError::Cache { path: folder.clone(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| refuse(error.to_string()))?;
        let meta = fs::metadata(&folder).map_err(|error| refuse(error.to_string()))?;
        // Its files are run as machine code, so nobody else may write them.
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse("it belongs to another user; name a folder of your own".to_owned()));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(refuse("others may write to it; run chmod go-w on it".to_owned()));
        }
        Ok(Cache { folder, engine: engine.clone() })
    }

    /// The component with this digest: from disk, else compiled from `bytes` and kept.
    pub fn get_or_compile(
        &self,
        digest: Digest,
        bytes: impl FnOnce() -> Result<Vec<u8>, EngineError>,
    ) -> Result<(wasmtime::component::Component, Origin), EngineError> {
        let entry = self.entry(digest);
        if let Some(component) = entry.load(&self.engine) {
            return Ok((component, Origin::Cached));
        }
        let _lock = self.lock(&entry);
        if let Some(component) = entry.load(&self.engine) {
            return Ok((component, Origin::Cached));
        }
        let component = compile(&self.engine, &bytes()?)?;
        Ok((self.keep(&entry, component), Origin::Compiled))
    }

    fn entry(&self, digest: Digest) -> Entry {
        let name = digest.to_string().replace(':', "-");
        let path = |extension: &str| self.folder.join(format!("{name}.{extension}"));
        Entry { code: path("cwasm"), sum: path("sum"), lock: path("lock") }
    }

    /// Held while compiling; without it (a file system without locks) two nodes may compile the same.
    fn lock(&self, entry: &Entry) -> Option<File> {
        let locked = File::create(&entry.lock).and_then(|file| file.lock().map(|()| file));
        locked.inspect_err(|error| tracing::warn!("cannot lock {}: {error}", entry.lock.display())).ok()
    }

    /// Write the compiled code, and use the file's copy, whose pages all nodes of the machine share.
    fn keep(&self, entry: &Entry, component: wasmtime::component::Component) -> wasmtime::component::Component {
        let written = component.serialize().map_err(io::Error::other).and_then(|code| entry.write(&code));
        if let Err(error) = written {
            tracing::warn!("cannot keep {}: {error}", entry.code.display());
            return component;
        }
        self.prune();
        entry.load(&self.engine).unwrap_or(component)
    }

    /// Remove the entries written longest ago beyond the bound.
    fn prune(&self) {
        let Ok(listing) = fs::read_dir(&self.folder) else { return };
        let codes = listing.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|ext| ext == "cwasm"));
        let mut codes: Vec<(SystemTime, PathBuf)> =
            codes.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).collect();
        codes.sort();
        let surplus = codes.len().saturating_sub(CACHE_FILES_MAX);
        for (_, code) in codes.drain(..surplus) {
            for extension in ["sum", "cwasm", "lock"] {
                // Another node may have been faster.
                fs::remove_file(code.with_extension(extension)).ok();
            }
        }
    }
}

/// The files of one component.
struct Entry {
    code: PathBuf,
    sum: PathBuf,
    lock: PathBuf,
}

impl Entry {
    /// The component, if the entry is complete, intact and made for this engine.
    fn load(&self, engine: &wasmtime::Engine) -> Option<wasmtime::component::Component> {
        let sum = fs::read_to_string(&self.sum).ok()?;
        let code = fs::read(&self.code).ok()?;
        if sum.trim() != sum_of(&code) {
            tracing::warn!("{} is damaged, compiling it anew", self.code.display());
            return None;
        }
        let loaded = precompiled::load(engine, &self.code);
        loaded.inspect_err(|error| tracing::warn!("{} does not fit, compiling it anew: {error:#}", self.code.display())).ok()
    }

    /// Each file appears whole or not at all, the sum after the code.
    fn write(&self, code: &[u8]) -> io::Result<()> {
        write_whole(&self.code, code)?;
        write_whole(&self.sum, sum_of(code).as_bytes())
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let written = File::create(&partial).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()));
    written.and_then(|()| fs::rename(&partial, path)).inspect_err(|_| {
        fs::remove_file(&partial).ok();
    })
}

fn sum_of(code: &[u8]) -> String {
    sha2::Sha256::digest(code).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compile, telling what is no component from what is a broken one.
fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<wasmtime::component::Component, EngineError> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\x00\x01\x00") => {}
        Some(b"\0asm\x01\x00\x00\x00") => return Err(EngineError::CoreModule),
        Some(head) if head.starts_with(b"\0asm") => {
            return Err(EngineError::NotAComponent { reason: "its WebAssembly version is not supported".to_owned() });
        }
        Some(_) => return Err(EngineError::NotAComponent { reason: "it does not start as WebAssembly does".to_owned() }),
        None => return Err(EngineError::NotAComponent { reason: format!("it has only {} bytes", bytes.len()) }),
    }
    wasmtime::component::Component::from_binary(engine, bytes).map_err(|error| EngineError::NotAComponent { reason: format!("{error:#}") })
}
