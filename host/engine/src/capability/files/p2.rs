//! WASI 0.2: `wasi:filesystem` over the tree.
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::tree::{Entry, Node, Opening, Refusal};
use super::{Fd, FilesView};
use crate::limits::FILE_READ_BYTES;

/// The entries of a folder that were not read yet, behind a handle.
struct Entries(std::sync::Mutex<std::vec::IntoIter<DirectoryEntry>>);

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

fn refuse<T>(refusal: Refusal) -> FsResult<T> {
    Err(ErrorCode::from(refusal).into())
}

fn told<T>(result: Result<T, Refusal>) -> FsResult<T> {
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

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let all = preopens::Host::get_directories(&mut self.volumes)?;
        self.preopened(all)
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.volumes, error)
    }
}

impl HostDescriptor for FilesView<'_> {
    async fn advise(&mut self, fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => Ok(()),
            None => HostDescriptor::advise(&mut self.volumes, fd, offset, len, advice).await,
        }
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => Ok(()),
            None => HostDescriptor::sync_data(&mut self.volumes, fd).await,
        }
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        match self.node(&fd) {
            Some(_) => Ok(DescriptorFlags::READ),
            None => HostDescriptor::get_flags(&mut self.volumes, fd).await,
        }
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        match self.node(&fd) {
            Some(node) => Ok(kind(node.is_folder())),
            None => HostDescriptor::get_type(&mut self.volumes, fd).await,
        }
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::set_size(&mut self.volumes, fd, size).await,
        }
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::set_times(&mut self.volumes, fd, accessed, modified).await,
        }
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let Some(node) = self.node(&fd) else { return HostDescriptor::read(&mut self.volumes, fd, len, offset).await };
        let mut rest = told(node.from(offset))?;
        let at_end = rest.is_empty();
        rest.truncate(usize::try_from(len).unwrap_or(usize::MAX).min(FILE_READ_BYTES));
        Ok((rest.to_vec(), at_end))
    }

    async fn write(&mut self, fd: Fd, buffer: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::write(&mut self.volumes, fd, buffer, offset).await,
        }
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let Some(node) = self.node(&fd) else { return HostDescriptor::read_directory(&mut self.volumes, fd).await };
        let entries = told(node.entries())?.into_iter();
        let entries: Vec<DirectoryEntry> = entries.map(|(name, is_folder)| DirectoryEntry { type_: kind(is_folder), name }).collect();
        let entries = self.volumes.table.push(Entries(entries.into_iter().into()))?;
        Ok(Resource::new_own(entries.rep()))
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => Ok(()),
            None => HostDescriptor::sync(&mut self.volumes, fd).await,
        }
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        match self.node(&fd) {
            Some(node) => refuse(if node.at(&path).is_ok() { Refusal::Exist } else { Refusal::ReadOnly }),
            None => HostDescriptor::create_directory_at(&mut self.volumes, fd, path).await,
        }
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        match self.node(&fd) {
            Some(node) => Ok(stat(&node)),
            None => HostDescriptor::stat(&mut self.volumes, fd).await,
        }
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let Some(node) = self.node(&fd) else { return HostDescriptor::stat_at(&mut self.volumes, fd, flags, path).await };
        match told(node.at(&path))? {
            Entry::Own(node) => Ok(stat(&node)),
            Entry::Host { number, file } => {
                let fd = self.shown(number, &file).map_err(FsError::trap)?;
                HostDescriptor::stat(&mut self.volumes, fd).await
            }
        }
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let Some(node) = self.node(&fd) else {
            return HostDescriptor::set_times_at(&mut self.volumes, fd, flags, path, accessed, modified).await;
        };
        match told(node.at(&path))? {
            Entry::Own(_) => refuse(Refusal::ReadOnly),
            Entry::Host { number, file } => {
                let fd = self.shown(number, &file).map_err(FsError::trap)?;
                HostDescriptor::set_times(&mut self.volumes, fd, accessed, modified).await
            }
        }
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, old: String, to: Fd, new: String) -> FsResult<()> {
        match (self.node(&fd), self.node(&to)) {
            (None, None) => HostDescriptor::link_at(&mut self.volumes, fd, flags, old, to, new).await,
            (Some(_), Some(_)) => refuse(Refusal::ReadOnly),
            _ => refuse(Refusal::CrossDevice),
        }
    }

    async fn open_at(&mut self, fd: Fd, flags: PathFlags, path: String, open: OpenFlags, mode: DescriptorFlags) -> FsResult<Fd> {
        match self.node(&fd) {
            Some(node) => {
                let opening = opening(open, mode);
                let found = told(node.open(&path, opening))?;
                super::prepare(&found, opening).await?;
                self.push(found, opening).map_err(FsError::trap)
            }
            None => HostDescriptor::open_at(&mut self.volumes, fd, flags, path, open, mode).await,
        }
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        match self.node(&fd) {
            Some(_) => {
                self.volumes.table.delete::<Node>(Resource::new_own(fd.rep()))?;
                Ok(())
            }
            None => HostDescriptor::drop(&mut self.volumes, fd),
        }
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        match self.node(&fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::Invalid)),
            None => HostDescriptor::readlink_at(&mut self.volumes, fd, path).await,
        }
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        match self.node(&fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::ReadOnly)),
            None => HostDescriptor::remove_directory_at(&mut self.volumes, fd, path).await,
        }
    }

    async fn rename_at(&mut self, fd: Fd, old: String, to: Fd, new: String) -> FsResult<()> {
        match (self.node(&fd), self.node(&to)) {
            (None, None) => HostDescriptor::rename_at(&mut self.volumes, fd, old, to, new).await,
            (Some(_), Some(_)) => refuse(Refusal::ReadOnly),
            _ => refuse(Refusal::CrossDevice),
        }
    }

    async fn symlink_at(&mut self, fd: Fd, source: String, target: String) -> FsResult<()> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::symlink_at(&mut self.volumes, fd, source, target).await,
        }
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        match self.node(&fd) {
            Some(node) => refuse(node.at(&path).err().unwrap_or(Refusal::ReadOnly)),
            None => HostDescriptor::unlink_file_at(&mut self.volumes, fd, path).await,
        }
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let Some(node) = self.node(&fd) else { return HostDescriptor::read_via_stream(&mut self.volumes, fd, offset) };
        let rest: DynInputStream = Box::new(MemoryInputPipe::new(told(node.from(offset))?));
        Ok(self.volumes.table.push(rest)?)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::write_via_stream(&mut self.volumes, fd, offset),
        }
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        match self.node(&fd) {
            Some(_) => refuse(Refusal::ReadOnly),
            None => HostDescriptor::append_via_stream(&mut self.volumes, fd),
        }
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        match (self.node(&one), self.node(&other)) {
            (None, None) => HostDescriptor::is_same_object(&mut self.volumes, one, other).await,
            (Some(one), Some(other)) => Ok(one.is(&other)),
            _ => Ok(false),
        }
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        match self.node(&fd) {
            Some(node) => Ok(hash(&node)),
            None => HostDescriptor::metadata_hash(&mut self.volumes, fd).await,
        }
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let Some(node) = self.node(&fd) else { return HostDescriptor::metadata_hash_at(&mut self.volumes, fd, flags, path).await };
        match told(node.at(&path))? {
            Entry::Own(node) => Ok(hash(&node)),
            Entry::Host { number, file } => {
                let fd = self.shown(number, &file).map_err(FsError::trap)?;
                HostDescriptor::metadata_hash(&mut self.volumes, fd).await
            }
        }
    }
}

impl FilesView<'_> {
    fn entries(&self, stream: &Resource<DirectoryEntryStream>) -> Option<&Entries> {
        self.volumes.table.get::<Entries>(&Resource::new_borrow(stream.rep())).ok()
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(&mut self, stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>> {
        if let Some(entries) = self.entries(&stream) {
            return Ok(entries.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next());
        }
        HostDirectoryEntryStream::read_directory_entry(&mut self.volumes, stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        if self.entries(&stream).is_some() {
            self.volumes.table.delete::<Entries>(Resource::new_own(stream.rep()))?;
            return Ok(());
        }
        HostDirectoryEntryStream::drop(&mut self.volumes, stream)
    }
}
