//! Secrets and configs: files that a task reads and that are on no disk. A small tree in memory, seen through
//! `wasi:filesystem` of both versions beside the volumes.
//!
//! wasmtime-wasi preopens folders of the host only, so its generated traits are implemented here on `FilesView`: a
//! descriptor of the tree is answered here, any other one by wasmtime-wasi. Each folder that holds a file is preopened
//! under its own path, because a guest resolves a path in the preopened folder that shares most of it: a volume at
//! `/run` does not hide `/run/secrets`. Nothing here can be written.
mod p2;
mod p3;
mod streams;
mod tree;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};

use tree::Node;
pub use tree::Tree;

use crate::store::GuestState;

/// A task's files and volumes, for the length of one host call.
pub struct FilesView<'a> {
    /// What wasmtime-wasi does: the volumes.
    pub volumes: WasiFilesystemCtxView<'a>,
    pub tree: &'a Tree,
}

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

    fn push(&mut self, node: Node) -> wasmtime::Result<Fd> {
        Ok(Resource::new_own(self.volumes.table.push(node)?.rep()))
    }

    /// The folders of the tree as the guest finds them, behind those that wasmtime-wasi has.
    fn preopened(&mut self, mut all: Vec<(Fd, String)>) -> wasmtime::Result<Vec<(Fd, String)>> {
        for (folder, path) in self.tree.folders() {
            all.push((self.push(folder)?, path));
        }
        Ok(all)
    }
}

fn node(table: &ResourceTable, fd: &Fd) -> Option<Node> {
    table.get::<Node>(&Resource::new_borrow(fd.rep())).ok().cloned()
}
