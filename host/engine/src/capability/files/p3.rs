//! WASI 0.3: `wasi:filesystem` over the tree. Streams of files, those of volumes too, are in `streams`.
use std::sync::Arc;

use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, HostDescriptor,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::streams::{self, Outcome};
use super::tree::{Entry, Node, Opening, Refusal};
use super::{Fd, Files, FilesView, HostFile};
use crate::store::GuestState;

type Store = Accessor<GuestState, Files>;

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> ErrorCode {
        match refusal {
            Refusal::NoEntry => ErrorCode::NoEntry,
            Refusal::NotDirectory => ErrorCode::NotDirectory,
            Refusal::IsDirectory => ErrorCode::IsDirectory,
            Refusal::Exist => ErrorCode::Exist,
            Refusal::ReadOnly => ErrorCode::ReadOnly,
            Refusal::NotPermitted => ErrorCode::NotPermitted,
            Refusal::Invalid => ErrorCode::Invalid,
            Refusal::CrossDevice => ErrorCode::CrossDevice,
            Refusal::Access => ErrorCode::Access,
        }
    }
}

fn refuse<T>(refusal: Refusal) -> FilesystemResult<T> {
    Err(ErrorCode::from(refusal).into())
}

fn told<T>(result: Result<T, Refusal>) -> FilesystemResult<T> {
    result.or_else(refuse)
}

fn kind(is_folder: bool) -> DescriptorType {
    if is_folder { DescriptorType::Directory } else { DescriptorType::RegularFile }
}

fn stat(node: &Node) -> DescriptorStat {
    DescriptorStat {
        type_: kind(node.is_folder()),
        link_count: node.links(),
        size: node.size(),
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
    }
}

fn hash(node: &Node) -> MetadataHashValue {
    MetadataHashValue { lower: node.number(), upper: u64::from(u32::from_be_bytes(*b"file")) }
}

fn opening(open: OpenFlags, flags: DescriptorFlags) -> Opening {
    Opening {
        create: open.contains(OpenFlags::CREATE),
        exclusive: open.contains(OpenFlags::EXCLUSIVE),
        directory: open.contains(OpenFlags::DIRECTORY),
        truncate: open.contains(OpenFlags::TRUNCATE),
        read: flags.contains(DescriptorFlags::READ),
        write: flags.contains(DescriptorFlags::WRITE),
    }
}

fn node(store: &Store, fd: &Fd) -> Option<Node> {
    store.with(|mut access| access.get().node(fd))
}

fn shown(store: &Store, number: u64, file: &Arc<HostFile>) -> FilesystemResult<Fd> {
    store.with(|mut access| access.get().shown(number, file)).map_err(FilesystemError::trap)
}

/// The store as wasmtime-wasi's own implementation takes it.
fn volumes(store: &Store) -> Accessor<GuestState, WasiFilesystem> {
    store.with_getter::<WasiFilesystem>(|state| state.filesystem())
}

fn volumes_now<'a>(store: &'a mut Access<'_, GuestState, Files>) -> Access<'a, GuestState, WasiFilesystem> {
    Access::new(store.as_context_mut(), |state| state.filesystem())
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let all = preopens::Host::get_directories(&mut self.volumes)?;
        self.preopened(all)
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for FilesView<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        match self.node(&fd) {
            Some(_) => {
                self.volumes.table.delete::<Node>(Resource::new_own(fd.rep()))?;
                Ok(())
            }
            None => HostDescriptor::drop(&mut self.volumes, fd),
        }
    }
}

type Theirs = WasiFilesystem;

impl HostDescriptorWithStore<GuestState> for Files {
    fn read_via_stream(mut store: Access<'_, GuestState, Self>, fd: Fd, offset: Filesize) -> wasmtime::Result<(StreamReader<u8>, Outcome)> {
        let Some(node) = store.get().node(&fd) else {
            return streams::read(store.as_context_mut(), |files| p2::HostDescriptor::read_via_stream(files, fd, offset));
        };
        let (content, outcome) = match node.from(offset) {
            Ok(content) => (content, Ok(())),
            Err(refusal) => (bytes::Bytes::new(), Err(refusal.into())),
        };
        let stream = StreamReader::new(&mut store, content)?;
        Ok((stream, FutureReader::new(&mut store, async { wasmtime::error::Ok(outcome) })?))
    }

    fn write_via_stream(
        mut store: Access<'_, GuestState, Self>,
        fd: Fd,
        data: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Outcome> {
        streams::write(store.as_context_mut(), data, |files| p2::HostDescriptor::write_via_stream(files, fd, offset))
    }

    fn append_via_stream(mut store: Access<'_, GuestState, Self>, fd: Fd, data: StreamReader<u8>) -> wasmtime::Result<Outcome> {
        streams::write(store.as_context_mut(), data, |files| p2::HostDescriptor::append_via_stream(files, fd))
    }

    async fn advise(store: &Store, fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => Ok(()),
            None => Theirs::advise(&volumes(store), fd, offset, len, advice).await,
        }
    }

    async fn sync_data(store: &Store, fd: Fd) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => Ok(()),
            None => Theirs::sync_data(&volumes(store), fd).await,
        }
    }

    async fn get_flags(store: &Store, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        match node(store, &fd) {
            Some(_) => Ok(DescriptorFlags::READ),
            None => Theirs::get_flags(&volumes(store), fd).await,
        }
    }

    async fn get_type(store: &Store, fd: Fd) -> FilesystemResult<DescriptorType> {
        match node(store, &fd) {
            Some(node) => Ok(kind(node.is_folder())),
            None => Theirs::get_type(&volumes(store), fd).await,
        }
    }

    async fn set_size(store: &Store, fd: Fd, size: Filesize) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => Theirs::set_size(&volumes(store), fd, size).await,
        }
    }

    async fn set_times(store: &Store, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => Theirs::set_times(&volumes(store), fd, accessed, modified).await,
        }
    }

    fn read_directory(mut store: Access<'_, GuestState, Self>, fd: Fd) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Outcome)> {
        let Some(node) = store.get().node(&fd) else { return Theirs::read_directory(volumes_now(&mut store), fd) };
        let (entries, outcome) = match node.entries() {
            Ok(entries) => (entries, Ok(())),
            Err(refusal) => (Vec::new(), Err(refusal.into())),
        };
        let entries = entries.into_iter().map(|(name, is_folder)| DirectoryEntry { type_: kind(is_folder), name });
        let stream = StreamReader::new(&mut store, entries.collect::<Vec<_>>())?;
        Ok((stream, FutureReader::new(&mut store, async { wasmtime::error::Ok(outcome) })?))
    }

    async fn sync(store: &Store, fd: Fd) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => Ok(()),
            None => Theirs::sync(&volumes(store), fd).await,
        }
    }

    async fn create_directory_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(node) => refuse(if node.at(&path).is_ok() { Refusal::Exist } else { Refusal::ReadOnly }),
            None => Theirs::create_directory_at(&volumes(store), fd, path).await,
        }
    }

    async fn stat(store: &Store, fd: Fd) -> FilesystemResult<DescriptorStat> {
        match node(store, &fd) {
            Some(node) => Ok(stat(&node)),
            None => Theirs::stat(&volumes(store), fd).await,
        }
    }

    async fn stat_at(store: &Store, fd: Fd, flags: PathFlags, path: String) -> FilesystemResult<DescriptorStat> {
        let Some(node) = node(store, &fd) else { return Theirs::stat_at(&volumes(store), fd, flags, path).await };
        match told(node.at(&path))? {
            Entry::Own(node) => Ok(stat(&node)),
            Entry::Host { number, file } => {
                let fd = shown(store, number, &file)?;
                Theirs::stat(&volumes(store), fd).await
            }
        }
    }

    async fn set_times_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let Some(node) = node(store, &fd) else { return Theirs::set_times_at(&volumes(store), fd, flags, path, accessed, modified).await };
        match told(node.at(&path))? {
            Entry::Own(_) => refuse(Refusal::ReadOnly),
            Entry::Host { number, file } => {
                let fd = shown(store, number, &file)?;
                Theirs::set_times(&volumes(store), fd, accessed, modified).await
            }
        }
    }

    async fn link_at(store: &Store, fd: Fd, flags: PathFlags, old: String, to: Fd, new: String) -> FilesystemResult<()> {
        match (node(store, &fd), node(store, &to)) {
            (None, None) => Theirs::link_at(&volumes(store), fd, flags, old, to, new).await,
            (Some(_), Some(_)) => refuse(Refusal::ReadOnly),
            _ => refuse(Refusal::CrossDevice),
        }
    }

    async fn open_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        mode: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        match node(store, &fd) {
            Some(node) => {
                let opening = opening(open, mode);
                let found = told(node.open(&path, opening))?;
                super::prepare(&found, opening).await.map_err(ErrorCode::from)?;
                store.with(|mut access| access.get().push(found, opening)).map_err(FilesystemError::trap)
            }
            None => Theirs::open_at(&volumes(store), fd, flags, path, open, mode).await,
        }
    }

    async fn readlink_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<String> {
        match node(store, &fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::Invalid)),
            None => Theirs::readlink_at(&volumes(store), fd, path).await,
        }
    }

    async fn remove_directory_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::ReadOnly)),
            None => Theirs::remove_directory_at(&volumes(store), fd, path).await,
        }
    }

    async fn rename_at(store: &Store, fd: Fd, old: String, to: Fd, new: String) -> FilesystemResult<()> {
        match (node(store, &fd), node(store, &to)) {
            (None, None) => Theirs::rename_at(&volumes(store), fd, old, to, new).await,
            (Some(_), Some(_)) => refuse(Refusal::ReadOnly),
            _ => refuse(Refusal::CrossDevice),
        }
    }

    async fn symlink_at(store: &Store, fd: Fd, source: String, target: String) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => Theirs::symlink_at(&volumes(store), fd, source, target).await,
        }
    }

    async fn unlink_file_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        match node(store, &fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::ReadOnly)),
            None => Theirs::unlink_file_at(&volumes(store), fd, path).await,
        }
    }

    async fn is_same_object(store: &Store, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        match (node(store, &one), node(store, &other)) {
            (None, None) => Theirs::is_same_object(&volumes(store), one, other).await,
            (Some(one), Some(other)) => Ok(one.is(&other)),
            _ => Ok(false),
        }
    }

    async fn metadata_hash(store: &Store, fd: Fd) -> FilesystemResult<MetadataHashValue> {
        match node(store, &fd) {
            Some(node) => Ok(hash(&node)),
            None => Theirs::metadata_hash(&volumes(store), fd).await,
        }
    }

    async fn metadata_hash_at(store: &Store, fd: Fd, flags: PathFlags, path: String) -> FilesystemResult<MetadataHashValue> {
        let Some(node) = node(store, &fd) else { return Theirs::metadata_hash_at(&volumes(store), fd, flags, path).await };
        match told(node.at(&path))? {
            Entry::Own(node) => Ok(hash(&node)),
            Entry::Host { number, file } => {
                let fd = shown(store, number, &file)?;
                Theirs::metadata_hash(&volumes(store), fd).await
            }
        }
    }
}
