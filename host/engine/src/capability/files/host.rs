//! Single files of the host that a task sees at paths of their own, opened once before it starts: whatever takes their
//! name later, a link for example, is not what the task reads.
use std::fs::{File as StdFile, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, File, OpenMode};

use super::tree::{Opening, Refusal};

/// A file of the host, open for as long as the task is there.
pub struct HostFile {
    reading: File,
    /// Absent where the task, or the node's user, must not write.
    writing: Option<File>,
    read_only: bool,
}

impl HostFile {
    pub fn open(path: &Path, read_only: bool) -> io::Result<HostFile> {
        let permissions = if read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        let reading = File::new(regular(path, OpenOptions::new().read(true))?, permissions, OpenMode::READ, false);
        let writing = match read_only {
            true => None,
            false => match regular(path, OpenOptions::new().read(true).write(true)) {
                Ok(file) => Some(File::new(file, permissions, OpenMode::WRITE, false)),
                Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(HostFile { reading, writing, read_only })
    }

    /// Whether it may be opened so.
    pub fn allows(&self, opening: Opening) -> Result<(), Refusal> {
        match (opening.changes(), &self.writing) {
            (true, None) if self.read_only => Err(Refusal::ReadOnly),
            (true, None) => Err(Refusal::Access),
            _ => Ok(()),
        }
    }

    /// As wasmtime-wasi has it. Every access of wasmtime-wasi names its place in the file, so all of them share a handle.
    pub fn descriptor(&self, opening: Opening) -> Descriptor {
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, opening.read || !opening.write);
        mode.set(OpenMode::WRITE, opening.changes());
        let mut file = self.writing.as_ref().filter(|_| opening.changes()).unwrap_or(&self.reading).clone();
        file.open_mode = mode;
        Descriptor::File(file)
    }

    pub async fn truncate(&self) -> io::Result<()> {
        let Some(file) = &self.writing else { return Ok(()) };
        let file = Arc::clone(&file.file);
        tokio::task::spawn_blocking(move || file.set_len(0)).await.map_err(io::Error::other)?
    }

    pub fn is(&self, other: &HostFile) -> bool {
        Arc::ptr_eq(&self.reading.file, &other.reading.file)
    }
}

/// A pipe or device is refused, and does not hold up whoever opens it.
fn regular(path: &Path, options: &mut OpenOptions) -> io::Result<StdFile> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a folder nor a regular file")),
    }
}
