//! Programs of others that figures are held against: each with a folder and a free port of its own, ended when dropped.
use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cluster::{BINARY, wait_for};

/// A program that is not here; its figures are skipped.
#[derive(Debug)]
pub struct Missing {
    program: &'static str,
    package: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {}; on Debian: apt-get install {}", self.program, self.package)
    }
}

impl std::error::Error for Missing {}

/// Where a program stands, or which of Debian's packages has it.
pub fn program(program: &'static str, package: &'static str) -> Result<PathBuf, Missing> {
    let unpacked = Path::new(BINARY).ancestors().nth(2).map(|target| target.join("peers/usr/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(unpacked);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file()).ok_or(Missing { program, package })
}

/// A server that runs.
pub struct Peer {
    process: Child,
    /// Its working folder, removed after it.
    _folder: tempfile::TempDir,
    pub address: SocketAddr,
}

impl Peer {
    /// Starts a server in a folder of its own and waits until it listens on the address that it is told.
    pub fn start(program: &Path, arguments: impl FnOnce(&Path, SocketAddr) -> anyhow::Result<Vec<String>>) -> anyhow::Result<Peer> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let log = folder.path().join("log");
        let output = File::create(&log)?;
        let process = Command::new(program)
            .args(arguments(folder.path(), address)?)
            .current_dir(folder.path())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut peer = Peer { process, _folder: folder, address };
        wait_for("it listens", || {
            let ended = peer.process.try_wait().is_ok_and(|ended| ended.is_some());
            (ended || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()).then_some(())
        })?;
        if peer.process.try_wait()?.is_some() {
            bail!("{} does not run: {}", program.display(), std::fs::read_to_string(log).unwrap_or_default());
        }
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nobody listens on at this moment.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
