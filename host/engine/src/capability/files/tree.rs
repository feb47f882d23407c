//! The tree itself, whatever the version of WASI through which it is seen.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::spec::GuestFile;

/// All files of a task. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tree {
    /// Folders that hold a file, with their paths.
    folders: Arc<Vec<(Node, String)>>,
}

/// A file or folder of a tree. Cheap to clone.
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
    entries: BTreeMap<String, Node>,
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
}

/// What a guest wants to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub create: bool,
    pub exclusive: bool,
    pub directory: bool,
    pub truncate: bool,
    pub write: bool,
}

impl Tree {
    pub fn new(files: &[GuestFile]) -> Tree {
        let mut root = Draft::default();
        for file in files {
            root.put(&parts(&file.path), &file.content);
        }
        let mut number = 0;
        let root = root.finish(&mut number);
        let mut paths: Vec<String> = files.iter().map(|file| folder_of(&file.path)).collect();
        paths.sort();
        paths.dedup();
        let folder = |path: String| Some((root.at(path.trim_start_matches('/')).ok()?, path));
        Tree { folders: Arc::new(paths.into_iter().filter_map(folder).collect()) }
    }

    pub fn folders(&self) -> Vec<(Node, String)> {
        self.folders.to_vec()
    }
}

/// A folder while the tree is made.
#[derive(Default)]
struct Draft {
    files: BTreeMap<String, Bytes>,
    folders: BTreeMap<String, Draft>,
}

impl Draft {
    fn put(&mut self, path: &[&str], content: &Bytes) {
        match path {
            [] => {}
            [name] => drop(self.files.insert((*name).to_owned(), content.clone())),
            [name, rest @ ..] => self.folders.entry((*name).to_owned()).or_default().put(rest, content),
        }
    }

    fn finish(self, number: &mut u64) -> Node {
        let mut entries = BTreeMap::new();
        for (name, content) in self.files {
            *number += 1;
            entries.insert(name, Node::File(Arc::new(File { number: *number, content })));
        }
        for (name, draft) in self.folders {
            entries.insert(name, draft.finish(number));
        }
        *number += 1;
        Node::Folder(Arc::new(Folder { number: *number, entries }))
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn folder_of(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
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
        Ok(folder.entries.iter().map(|(name, node)| (name.clone(), node.is_folder())).collect())
    }

    /// What is at a path below this folder. There are no links, so `..` is the folder before, and never leads out.
    pub fn at(&self, path: &str) -> Result<Node, Refusal> {
        let mut way = vec![self.clone()];
        if path.starts_with('/') {
            return Err(Refusal::NotPermitted);
        }
        for part in path.split('/') {
            let Some(Node::Folder(here)) = way.last().cloned() else { return Err(Refusal::NotDirectory) };
            match part {
                "" | "." => {}
                ".." if way.len() == 1 => return Err(Refusal::NotPermitted),
                ".." => drop(way.pop()),
                name => way.push(here.entries.get(name).cloned().ok_or(Refusal::NoEntry)?),
            }
        }
        way.pop().ok_or(Refusal::NoEntry)
    }

    pub fn open(&self, path: &str, opening: Opening) -> Result<Node, Refusal> {
        let found = match self.at(path) {
            Err(Refusal::NoEntry) if opening.create => return Err(Refusal::ReadOnly),
            found => found?,
        };
        match () {
            () if opening.create && opening.exclusive => Err(Refusal::Exist),
            () if opening.directory && !found.is_folder() => Err(Refusal::NotDirectory),
            () if opening.write && found.is_folder() => Err(Refusal::IsDirectory),
            () if opening.write || opening.truncate => Err(Refusal::ReadOnly),
            () => Ok(found),
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
        Tree::new(&paths.iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn every_folder_with_a_file_is_there_under_its_path() {
        let tree = tree(&["/settings", "/run/secrets/password", "/run/secrets/key", "/etc/app/deep/x"]);
        let paths: Vec<String> = tree.folders().into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["/", "/etc/app/deep", "/run/secrets"]);
        let (root, _) = &tree.folders()[0];
        assert_eq!(root.entries().unwrap(), [("etc".to_owned(), true), ("run".to_owned(), true), ("settings".to_owned(), false)]);
        assert_eq!(root.at("run/secrets/key").unwrap().from(5).unwrap(), "secrets/key"[..].as_bytes());
        let numbers: std::collections::BTreeSet<u64> =
            ["settings", "run", "run/secrets", "run/secrets/key", "etc"].iter().map(|path| root.at(path).unwrap().number()).collect();
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
