//! The tree itself, whatever the version of WASI through which it is seen.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::host::HostFile;
use crate::spec::GuestFile;

/// All files of a task. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tree {
    /// Folders that hold a file, with their paths.
    folders: Arc<Vec<(Node, String)>>,
}

/// What stands in a folder of a tree. Cheap to clone.
#[derive(Clone)]
pub enum Entry {
    Own(Node),
    /// A file of the host; `number` is unique in the tree.
    Host {
        number: u64,
        file: Arc<HostFile>,
    },
}

/// A file or folder that is in memory alone. Cheap to clone.
#[derive(Clone)]
pub enum Node {
    File(Arc<File>),
    Folder(Arc<Folder>),
}

pub struct File {
    number: u64,
    content: Bytes,
}

pub struct Folder {
    number: u64,
    entries: BTreeMap<String, Entry>,
}

/// Why a call is not done, as POSIX would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoEntry,
    NotDirectory,
    IsDirectory,
    Exist,
    /// Everything that would change something.
    ReadOnly,
    /// The path leads out of the folder.
    NotPermitted,
    /// There are no links to read.
    Invalid,
    /// From a volume into the tree, or back.
    CrossDevice,
    /// The node's user may not.
    Access,
}

/// What a guest wants to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub create: bool,
    pub exclusive: bool,
    pub directory: bool,
    pub truncate: bool,
    pub read: bool,
    pub write: bool,
}

impl Opening {
    pub fn changes(self) -> bool {
        self.write || self.truncate
    }
}

impl Tree {
    /// `bound`: files of the host, by their paths in the task.
    pub fn new(files: &[GuestFile], bound: Vec<(String, Arc<HostFile>)>) -> Tree {
        let mut root = Draft::default();
        let mut paths: Vec<String> =
            files.iter().map(|file| &file.path).chain(bound.iter().map(|(path, _)| path)).map(|path| folder_of(path)).collect();
        for file in files {
            root.put(&parts(&file.path), Leaf::Own(file.content.clone()));
        }
        for (path, file) in bound {
            root.put(&parts(&path), Leaf::Host(file));
        }
        let root = root.finish(&mut 0);
        paths.sort();
        paths.dedup();
        let folder = |path: String| match root.at(path.trim_start_matches('/')).ok()? {
            Entry::Own(node) => Some((node, path)),
            Entry::Host { .. } => None,
        };
        Tree { folders: Arc::new(paths.into_iter().filter_map(folder).collect()) }
    }

    pub fn folders(&self) -> Vec<(Node, String)> {
        self.folders.to_vec()
    }
}

/// A folder while the tree is made.
#[derive(Default)]
struct Draft {
    files: BTreeMap<String, Leaf>,
    folders: BTreeMap<String, Draft>,
}

enum Leaf {
    Own(Bytes),
    Host(Arc<HostFile>),
}

impl Draft {
    fn put(&mut self, path: &[&str], leaf: Leaf) {
        match path {
            [] => {}
            [name] => drop(self.files.insert((*name).to_owned(), leaf)),
            [name, rest @ ..] => self.folders.entry((*name).to_owned()).or_default().put(rest, leaf),
        }
    }

    fn finish(self, number: &mut u64) -> Node {
        let mut entries = BTreeMap::new();
        for (name, leaf) in self.files {
            *number += 1;
            let entry = match leaf {
                Leaf::Own(content) => Entry::Own(Node::File(Arc::new(File { number: *number, content }))),
                Leaf::Host(file) => Entry::Host { number: *number, file },
            };
            entries.insert(name, entry);
        }
        for (name, draft) in self.folders {
            entries.insert(name, Entry::Own(draft.finish(number)));
        }
        *number += 1;
        Node::Folder(Arc::new(Folder { number: *number, entries }))
    }
}

/// The names of a path, outermost first.
pub fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect()
}

fn folder_of(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
    }
}

impl Entry {
    fn is_folder(&self) -> bool {
        matches!(self, Entry::Own(node) if node.is_folder())
    }
}

impl Node {
    pub fn is_folder(&self) -> bool {
        matches!(self, Node::Folder(_))
    }

    /// Unique in its tree: what POSIX calls the inode.
    pub fn number(&self) -> u64 {
        match self {
            Node::File(file) => file.number,
            Node::Folder(folder) => folder.number,
        }
    }

    pub fn size(&self) -> u64 {
        match self {
            Node::File(file) => file.content.len() as u64,
            Node::Folder(_) => 0,
        }
    }

    pub fn links(&self) -> u64 {
        if self.is_folder() { 2 } else { 1 }
    }

    pub fn is(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::File(one), Node::File(other)) => Arc::ptr_eq(one, other),
            (Node::Folder(one), Node::Folder(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The content from `offset` on; nothing beyond its end.
    pub fn from(&self, offset: u64) -> Result<Bytes, Refusal> {
        let Node::File(file) = self else { return Err(Refusal::IsDirectory) };
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(file.content.len());
        Ok(file.content.slice(begin..))
    }

    /// Names in the folder, and whether each is a folder.
    pub fn entries(&self) -> Result<Vec<(String, bool)>, Refusal> {
        let Node::Folder(folder) = self else { return Err(Refusal::NotDirectory) };
        Ok(folder.entries.iter().map(|(name, entry)| (name.clone(), entry.is_folder())).collect())
    }

    /// What is at a path below this folder. There are no links, so `..` is the folder before, and never leads out.
    pub fn at(&self, path: &str) -> Result<Entry, Refusal> {
        let mut way = vec![Entry::Own(self.clone())];
        if path.starts_with('/') {
            return Err(Refusal::NotPermitted);
        }
        for part in path.split('/') {
            let Some(Entry::Own(Node::Folder(here))) = way.last().cloned() else { return Err(Refusal::NotDirectory) };
            match part {
                "" | "." => {}
                ".." if way.len() == 1 => return Err(Refusal::NotPermitted),
                ".." => drop(way.pop()),
                name => way.push(here.entries.get(name).cloned().ok_or(Refusal::NoEntry)?),
            }
        }
        way.pop().ok_or(Refusal::NoEntry)
    }

    pub fn open(&self, path: &str, opening: Opening) -> Result<Entry, Refusal> {
        let found = match self.at(path) {
            Err(Refusal::NoEntry) if opening.create => return Err(Refusal::ReadOnly),
            found => found?,
        };
        match &found {
            _ if opening.create && opening.exclusive => Err(Refusal::Exist),
            found if opening.directory && !found.is_folder() => Err(Refusal::NotDirectory),
            found if opening.write && found.is_folder() => Err(Refusal::IsDirectory),
            Entry::Host { file, .. } => file.allows(opening).map(|()| found),
            Entry::Own(_) if opening.changes() => Err(Refusal::ReadOnly),
            Entry::Own(_) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::GuestFileKind;

    fn tree(paths: &[&str]) -> Tree {
        let file =
            |path: &&str| GuestFile { kind: GuestFileKind::Config, path: (*path).to_owned(), content: Bytes::from(path.to_string()) };
        Tree::new(&paths.iter().map(file).collect::<Vec<_>>(), Vec::new())
    }

    fn own(found: Result<Entry, Refusal>) -> Node {
        match found.unwrap_or_else(|refusal| panic!("{refusal:?}")) {
            Entry::Own(node) => node,
            Entry::Host { .. } => panic!("of the host"),
        }
    }

    #[test]
    fn every_folder_with_a_file_is_there_under_its_path() {
        let tree = tree(&["/settings", "/run/secrets/password", "/run/secrets/key", "/etc/app/deep/x"]);
        let paths: Vec<String> = tree.folders().into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["/", "/etc/app/deep", "/run/secrets"]);
        let (root, _) = &tree.folders()[0];
        assert_eq!(root.entries().unwrap(), [("etc".to_owned(), true), ("run".to_owned(), true), ("settings".to_owned(), false)]);
        assert_eq!(own(root.at("run/secrets/key")).from(5).unwrap(), "secrets/key"[..].as_bytes());
        let numbers: std::collections::BTreeSet<u64> =
            ["settings", "run", "run/secrets", "run/secrets/key", "etc"].iter().map(|path| own(root.at(path)).number()).collect();
        assert_eq!(numbers.len(), 5);
    }

    #[test]
    fn paths_stay_in_their_folder() {
        let tree = tree(&["/run/secrets/password", "/other"]);
        let (folder, _) = tree.folders().pop().unwrap();
        assert!(folder.at("password").is_ok() && folder.at("./password").is_ok());
        for (path, refusal) in [
            ("/run/secrets/password", Refusal::NotPermitted),
            ("..", Refusal::NotPermitted),
            ("../../other", Refusal::NotPermitted),
            ("password/x", Refusal::NotDirectory),
            ("password/", Refusal::NotDirectory),
            ("password/..", Refusal::NotDirectory),
            ("nothing", Refusal::NoEntry),
        ] {
            assert_eq!(folder.at(path).err(), Some(refusal), "{path}");
        }
        let (root, _) = tree.folders().remove(0);
        assert!(root.at("run/../run/secrets/./password").is_ok());
    }

    #[test]
    fn nothing_is_written() {
        let tree = tree(&["/run/secrets/password"]);
        let (folder, _) = tree.folders().pop().unwrap();
        let open = |path: &str, opening| folder.open(path, opening).err();
        assert_eq!(open("password", Opening::default()), None);
        assert_eq!(open("password", Opening { write: true, ..Default::default() }), Some(Refusal::ReadOnly));
        assert_eq!(open("password", Opening { truncate: true, ..Default::default() }), Some(Refusal::ReadOnly));
        assert_eq!(open("password", Opening { create: true, ..Default::default() }), None);
        assert_eq!(open("password", Opening { create: true, exclusive: true, ..Default::default() }), Some(Refusal::Exist));
        assert_eq!(open("new", Opening { create: true, ..Default::default() }), Some(Refusal::ReadOnly));
        assert_eq!(open("password", Opening { directory: true, ..Default::default() }), Some(Refusal::NotDirectory));
        assert_eq!(open(".", Opening { write: true, ..Default::default() }), Some(Refusal::IsDirectory));
        assert_eq!(open(".", Opening { directory: true, ..Default::default() }), None);
    }
}
