//! The Unix socket of the API: where it is, how it is bound and reached.
//!
//! The kernel takes 107 bytes for the path of a socket. A data directory may be longer, so both ends go
//! through an open descriptor of the directory: `/proc/self/fd/<n>/minicloud.sock` is always short enough.
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Name of the socket in the data directory.
pub const SOCKET_NAME: &str = "minicloud.sock";
/// Bytes of a path that the kernel takes for a socket, without the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The socket of the node in `data_dir`.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Listens at `path`, readable and writable by this user only. A socket file that nobody listens on is replaced.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    let short = ShortPath::of(path)?;
    if fs::symlink_metadata(path).is_ok() {
        remove_stale(path, &short).await?;
    }
    // Under a name of its own first, so that nobody reaches it before its mode is set.
    let fresh = short.sibling(&format!(".{SOCKET_NAME}.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, &short.path)?;
    Ok(listener)
}

/// Connects to the API at `path`.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let short = ShortPath::of(path)?;
    UnixStream::connect(&short.path).await
}

async fn remove_stale(path: &Path, short: &ShortPath) -> io::Result<()> {
    match UnixStream::connect(&short.path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("a node already runs here: it listens on {}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(_) => fs::remove_file(path),
    }
}

/// A path to the same file that the kernel takes. The directory stays open as long as it is used.
struct ShortPath {
    path: PathBuf,
    _directory: Option<File>,
}

impl ShortPath {
    fn of(path: &Path) -> io::Result<ShortPath> {
        // A sibling's name is a little longer than the socket's own.
        if path.as_os_str().len() + 16 <= SOCKET_PATH_BYTES_MAX {
            return Ok(ShortPath { path: path.to_owned(), _directory: None });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not the path of a socket", path.display())));
        };
        let directory = File::open(directory)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(ShortPath { path, _directory: Some(directory) })
    }

    fn sibling(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_path_and_a_stale_socket_do_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("d".repeat(120)).join("e".repeat(120));
        fs::create_dir_all(&long).unwrap();
        let path = path(&long);
        let listener = bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (client, server) = tokio::join!(connect(&path), listener.accept());
        client.unwrap();
        server.unwrap();

        let taken = bind(&path).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists(), "a socket in use stays");

        drop(listener);
        bind(&path).await.expect("a stale socket is replaced");
    }
}
