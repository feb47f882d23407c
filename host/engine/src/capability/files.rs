//! Secrets and configs: files that a task reads and that are on no disk; and single files of the host. A small tree in
//! memory, seen through `wasi:filesystem` of both versions beside the volumes.
//!
//! wasmtime-wasi preopens folders of the host only, so its generated traits are implemented here on `FilesView`: a
//! descriptor of the tree is answered here, any other one by wasmtime-wasi. Each folder that holds a file is preopened
//! under its own path, because a guest resolves a path in the preopened folder that shares most of it: a volume at
//! `/run` does not hide `/run/secrets`. The tree itself cannot be changed; a file of the host is wasmtime-wasi's as soon as
//! it is open, and is written where its mount allows it.
mod host;
mod p2;
mod p3;
mod streams;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};

pub use host::HostFile;
use tree::{Entry, Node, Opening};
pub use tree::{Tree, parts};

use crate::store::GuestState;

/// A task's files and volumes, for the length of one host call.
pub struct FilesView<'a> {
    /// What wasmtime-wasi does: the volumes.
    pub volumes: WasiFilesystemCtxView<'a>,
    pub tree: &'a Tree,
    pub shown: &'a mut Shown,
}

/// Handles of the host's files that the guest asks about by their paths, by number; it holds none of them itself.
#[derive(Default)]
pub struct Shown(BTreeMap<u64, u32>);

/// Names `FilesView` to the linker.
pub struct Files;

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

/// Offer all of `wasi:filesystem`, 0.2 and 0.3.
pub fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p2::bindings::filesystem as p2;
    use wasmtime_wasi::p3::bindings::filesystem as p3;
    p2::preopens::add_to_linker::<_, Files>(linker, GuestState::files)?;
    p2::types::add_to_linker::<_, Files>(linker, GuestState::files)?;
    p3::preopens::add_to_linker::<_, Files>(linker, GuestState::files)?;
    p3::types::add_to_linker::<_, Files>(linker, GuestState::files)
}

type Fd = Resource<Descriptor>;

impl FilesView<'_> {
    /// What of the tree is behind the handle; `None`: it is wasmtime-wasi's.
    fn node(&self, fd: &Fd) -> Option<Node> {
        node(self.volumes.table, fd)
    }

    fn push(&mut self, entry: Entry, opening: Opening) -> wasmtime::Result<Fd> {
        match entry {
            Entry::Own(node) => Ok(Resource::new_own(self.volumes.table.push(node)?.rep())),
            Entry::Host { file, .. } => Ok(self.volumes.table.push(file.descriptor(opening))?),
        }
    }

    /// What wasmtime-wasi says of such a file without the guest having opened it, it says of this handle.
    fn shown(&mut self, number: u64, file: &Arc<HostFile>) -> wasmtime::Result<Fd> {
        let rep = match self.shown.0.get(&number) {
            Some(rep) => *rep,
            None => {
                let rep = self.volumes.table.push(file.descriptor(Opening::default()))?.rep();
                *self.shown.0.entry(number).or_insert(rep)
            }
        };
        Ok(Resource::new_borrow(rep))
    }

    /// The folders of the tree as the guest finds them, behind those that wasmtime-wasi has.
    fn preopened(&mut self, mut all: Vec<(Fd, String)>) -> wasmtime::Result<Vec<(Fd, String)>> {
        for (folder, path) in self.tree.folders() {
            all.push((self.push(Entry::Own(folder), Opening::default())?, path));
        }
        Ok(all)
    }
}

/// What opening it does to a file of the host.
async fn prepare(entry: &Entry, opening: Opening) -> io::Result<()> {
    match entry {
        Entry::Host { file, .. } if opening.truncate => file.truncate().await,
        _ => Ok(()),
    }
}

fn node(table: &ResourceTable, fd: &Fd) -> Option<Node> {
    table.get::<Node>(&Resource::new_borrow(fd.rep())).ok().cloned()
}
