//! The way into a cluster, at every start: found, join or open, and the settings that a later start needs.
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::options::{Addresses, Start};
use crate::data_dir::{DataDir, DataDirError, write_atomic};
use crate::env::Env;
use crate::founding::Founding;
use crate::join::Joining;
use crate::member::{self, Member};

const SETTINGS: &str = "settings.json";
const PID: &str = "minicloud.pid";

/// What the operator chose for this node when it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub addresses: Addresses,
    pub hostname: String,
}

/// Makes the node if that is asked for, and opens it.
pub(super) async fn enter(env: &Env, dir: DataDir, start: Start) -> anyhow::Result<(Member, Settings)> {
    let (mut settings, making) = match start {
        Start::Open => (read_settings(dir.path())?, None),
        Start::Found { ref addresses, ref hostname, .. } | Start::Join { ref addresses, ref hostname, .. } => {
            (Settings { addresses: *addresses, hostname: hostname.clone().unwrap_or_else(machine_hostname) }, Some(start))
        }
    };
    let listen = match making {
        Some(_) => settings.addresses.listen,
        None => dir.node()?.listen,
    };
    let socket = member::listen(listen)?;
    if let Some(start) = making {
        dir.must_be_empty()?;
        // First, since the node exists as soon as it is made, and cannot start without them.
        write_settings(dir.path(), &settings)?;
        make(env, &dir, &socket, start, &settings).await?;
    }
    let file = dir.node()?;
    settings.addresses.listen = file.listen;
    settings.addresses.advertise = file.advertise;
    write_settings(dir.path(), &settings)?;
    let member = Member::open(env, dir, socket).await?;
    info!(node = %file.node, role = %file.role, cluster = %file.cluster, listen = %file.listen, "opened");
    Ok((member, settings))
}

async fn make(env: &Env, dir: &DataDir, socket: &std::net::UdpSocket, start: Start, settings: &Settings) -> anyhow::Result<()> {
    let hostname = settings.hostname.clone();
    match start {
        Start::Found { addresses, availability, address_pool, .. } => {
            let founding = Founding { hostname, availability, address: addresses.advertise, address_pool };
            member::found(env, dir, socket, founding)?;
        }
        Start::Join { addresses, availability, manager, token, .. } => {
            let joining = Joining {
                token: token.parse().context("--token")?,
                managers: vec![manager],
                hostname,
                availability,
                listen: addresses.listen,
                advertise: Some(addresses.advertise.ip()),
            };
            member::join(dir, socket, joining).await?;
        }
        Start::Open => {}
    }
    Ok(())
}

fn read_settings(folder: &Path) -> Result<Settings, DataDirError> {
    let path = folder.join(SETTINGS);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DataDirError::Empty(folder.to_owned())),
        Err(source) => return Err(DataDirError::Io { path, source }),
    };
    serde_json::from_slice(&text).map_err(|error| DataDirError::Damaged { path, reason: error.to_string() })
}

fn write_settings(folder: &Path, settings: &Settings) -> anyhow::Result<()> {
    Ok(write_atomic(&folder.join(SETTINGS), &serde_json::to_vec_pretty(settings)?)?)
}

/// The machine's own name, for people.
fn machine_hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The file that names the node's process. Removed when dropped.
pub(super) struct PidFile(PathBuf);

impl PidFile {
    pub fn write(folder: &Path) -> Result<PidFile, DataDirError> {
        let path = folder.join(PID);
        write_atomic(&path, format!("{}\n", std::process::id()).as_bytes())?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::state::Availability;

    use super::*;
    use crate::node::options::DnsDoor;

    #[tokio::test]
    async fn what_was_not_made_is_no_node_and_stands_in_nobody_s_way() {
        let temp = tempfile::tempdir().unwrap();
        let env = Env::real();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let addresses = Addresses { listen: any, advertise: any, ingress: any.ip(), dns: DnsDoor::Off, port_offset: 0 };
        let enter = |start| enter(&env, DataDir::lock(temp.path()).unwrap(), start);
        let join =
            Start::Join { addresses, availability: Availability::Active, manager: any, token: "none".into(), hostname: Some("a".into()) };
        assert!(enter(join).await.err().unwrap().to_string().contains("--token"));
        // As after a crash just before the node is there: the settings are, and are no node.
        assert_eq!(read_settings(temp.path()).unwrap().hostname, "a");
        assert!(enter(Start::Open).await.err().unwrap().to_string().contains("holds no node"));
        let found = || Start::Found {
            addresses,
            availability: Availability::Active,
            address_pool: "10.0.0.0/8".parse().unwrap(),
            hostname: Some("b".into()),
        };
        let (member, _) = enter(found()).await.unwrap();
        member.shutdown().await;
        drop(member);
        assert!(enter(found()).await.err().unwrap().to_string().contains("start it with"));
        assert_eq!(read_settings(temp.path()).unwrap().hostname, "b");
    }
}
