//! The files of a project on the disk; `-` is standard input.
use std::io::{self, Read};
use std::path::Path;

use minicloud_compose::Files;

pub struct Disk;

/// Bytes of a file that a project reads.
const FILE_BYTES_MAX: u64 = 16 << 20;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        if path.ends_with("-") {
            io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        } else {
            let file = std::fs::File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::NotFound, "there is no such file"),
                _ => error,
            })?;
            file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        }
        Ok(text)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }
}
