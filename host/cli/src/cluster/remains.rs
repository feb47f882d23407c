//! What a node that was never made whole, or was half removed, left in its folder: in nobody's way, and not more than that
//! is ever removed.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use minicloud_node::data_dir::{DataDir, NODE};

use super::{entries, remove};
use crate::connect::{VOLUMES, holds_node};
use crate::data_dir::process_lives;

/// What a node makes in its data directory, and what stands there for it, beside its volumes.
const OF_A_NODE: [&str; 13] = [
    "compose-project",
    "identity",
    "images",
    "logs",
    "managers.json",
    "minicloud.lock",
    "minicloud.log",
    "minicloud.pid",
    "minicloud.sock",
    NODE,
    "raft",
    "settings.json",
    VOLUMES,
];

/// Whether a node can be made in `folder`: it is not there, or has nothing but remains.
pub fn is_free(folder: &Path) -> bool {
    !holds_node(folder) && !process_lives(folder) && foreign(folder).is_none()
}

/// Takes remains away, so that a node can be made. Refuses a folder in which other things are.
pub fn make_room(folder: &Path) -> anyhow::Result<()> {
    if let Some(entry) = foreign(folder) {
        bail!("{} is not empty: there is {}; choose another folder with --data-dir", folder.display(), entry.display());
    }
    if folder.is_dir() {
        clear(folder).with_context(|| format!("what is left of a node in {} cannot be removed", folder.display()))?;
    }
    Ok(())
}

/// Removes what is of a node, but for what its volumes hold, unless a process has the folder. Its `node.json` goes first: the
/// rest alone is no node.
pub fn clear(folder: &Path) -> anyhow::Result<()> {
    let _held = DataDir::lock(folder)?;
    for entry in [folder.join(NODE)].into_iter().chain(entries(folder)).filter(|entry| is_of_a_node(entry) && entry.exists()) {
        if entry.ends_with(VOLUMES) {
            // What is in it was said to stay.
            let _ = std::fs::remove_dir(&entry);
        } else {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// The first entry that no node makes.
fn foreign(folder: &Path) -> Option<PathBuf> {
    entries(folder).into_iter().find(|entry| !is_of_a_node(entry))
}

/// Files are replaced by way of a `.new` one, the socket by way of a hidden one.
fn is_of_a_node(entry: &Path) -> bool {
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    let fresh = name.strip_suffix(".new").is_some_and(|stem| OF_A_NODE.iter().any(|known| known.split('.').next() == Some(stem)));
    OF_A_NODE.contains(&name.as_ref()) || fresh || name.starts_with(".minicloud.sock.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::create_dir_all(folder.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        folder
    }

    #[test]
    fn remains_are_cleared_and_volumes_and_files_of_others_are_not() {
        let folder = folder_with(&["identity/node.pem", "settings.json", "settings.new", "minicloud.lock", "volumes/db/data"]);
        assert!(is_free(folder.path()));
        make_room(folder.path()).unwrap();
        assert_eq!(entries(folder.path()), [folder.path().join("volumes")]);
        assert!(folder.path().join("volumes/db/data").exists());

        let folder = folder_with(&["settings.json", "letter.txt"]);
        assert!(!is_free(folder.path()));
        let refused = make_room(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("letter.txt") && refused.contains("--data-dir"), "{refused}");
        assert!(folder.path().join("settings.json").exists() && folder.path().join("letter.txt").exists());
        assert!(!is_free(folder_with(&[NODE]).path()), "that is a node");
        make_room(&folder.path().join("absent")).unwrap();
        assert!(!folder.path().join("absent").exists());
    }

    #[test]
    fn what_a_process_holds_is_left() {
        let folder = folder_with(&["settings.json"]);
        let held = DataDir::lock(folder.path()).unwrap();
        assert!(make_room(folder.path()).is_err());
        assert!(folder.path().join("settings.json").exists());
        drop(held);
        make_room(folder.path()).unwrap();
        assert!(entries(folder.path()).is_empty());
    }
}
