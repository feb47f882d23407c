//! The files that compose files name, as far as this package sees them: a fake in tests, the disk in the command line.
use std::io;
use std::path::{Path, PathBuf};

use crate::place::{Error, Result};

/// Reads the files of the project.
pub trait Files {
    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
    fn is_file(&self, path: &Path) -> bool;
    fn is_folder(&self, path: &Path) -> bool;
}

/// Names of the main file, the preferred first.
const MAIN: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Names of the file that overrides it.
const OVERRIDE: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// The files that are meant where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    pub files: Vec<PathBuf>,
    /// Names that were found and passed over.
    pub ignored: Vec<PathBuf>,
}

/// Looks for the main file in `folder` and in those around it, and for the file beside it that overrides it.
pub fn discover(files: &dyn Files, folder: &Path) -> Result<Discovery> {
    for folder in folder.ancestors() {
        let mut found: Vec<PathBuf> = MAIN.iter().map(|name| folder.join(name)).filter(|path| files.is_file(path)).collect();
        if found.is_empty() {
            continue;
        }
        let ignored = found.split_off(1);
        found.extend(OVERRIDE.iter().map(|name| folder.join(name)).find(|path| files.is_file(path)));
        return Ok(Discovery { files: found, ignored });
    }
    Err(Error::new(format!(
        "there is no compose file in {} or a folder above it ({}); name one with -f",
        folder.display(),
        MAIN.join(", ")
    )))
}

/// `path` without `.` and `..`, as text only: links are not followed.
pub fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
