//! The demo's nodes: folders under one folder, a process each.
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use minicloud_core::state::{Availability, Role};
use minicloud_node::client::Client;
use minicloud_node::node::{Addresses, Start};

use super::machine::Place;
use super::{PAGE_PORT, default_folder};
use crate::address;
use crate::cluster::{block_on, wait_for_end};
use crate::daemon::{self, DaemonRequest};
use crate::data_dir::{process_id, process_lives, shell_word};

/// Stands in the folder of a demo, so that nothing else is ever removed.
const MARK: &str = ".minicloud-demo";

pub struct DemoNodes {
    folder: PathBuf,
    places: Vec<Place>,
}

impl DemoNodes {
    /// Starts one node at each place; what was started is removed when a later one fails.
    pub fn start(folder: &Path, places: &[Place]) -> anyhow::Result<DemoNodes> {
        if is_demo(folder) {
            remove(folder);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        std::fs::write(folder.join(MARK), "")?;
        let nodes = DemoNodes { folder: folder.to_owned(), places: places.to_vec() };
        match nodes.start_all() {
            Ok(()) => Ok(nodes),
            Err(error) => {
                nodes.remove();
                Err(error)
            }
        }
    }

    fn start_all(&self) -> anyhow::Result<()> {
        let mut token = String::new();
        for (at, place) in self.places.iter().enumerate() {
            let addresses = Addresses {
                listen: place.listen,
                advertise: place.listen,
                ingress: place.listen.ip(),
                dns: address::default_dns(place.listen),
                port_offset: place.port_offset,
            };
            let hostname = Some(format!("node{}", at + 1));
            let start = match at {
                0 => Start::Found { addresses, availability: Availability::Active, address_pool: default_pool(), hostname },
                _ => Start::Join {
                    addresses,
                    availability: Availability::Active,
                    manager: self.places[0].listen,
                    token: token.clone(),
                    hostname,
                },
            };
            let data_dir = self.node_folder(at);
            std::fs::DirBuilder::new().mode(0o700).create(&data_dir)?;
            daemon::spawn(&DaemonRequest { data_dir: data_dir.clone(), start })
                .with_context(|| format!("node{} could not be started", at + 1))?;
            crate::data_dir::register(&data_dir);
            if at == 0 {
                token = block_on(async { Client::connect_data_dir(&data_dir).await?.join_token(Role::Manager).await })?.token;
            }
        }
        Ok(())
    }

    fn node_folder(&self, at: usize) -> PathBuf {
        self.folder.join(format!("node{}", at + 1))
    }

    pub fn first_folder(&self) -> PathBuf {
        self.node_folder(0)
    }

    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// A client of the first node that answers.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let mut last = None;
        for at in 0..self.places.len() {
            match Client::connect_data_dir(&self.node_folder(at)).await {
                Ok(client) => return Ok(client),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("the demo has no nodes"), Into::into))
    }

    /// Addresses at which a published port answers, one per node.
    pub fn published(&self, port: u16) -> Vec<std::net::SocketAddr> {
        self.places.iter().map(|place| place.published(port)).collect()
    }

    pub fn page(&self) -> String {
        self.published(PAGE_PORT).first().map(|address| format!("http://{address}")).unwrap_or_default()
    }

    /// ` --data-dir DIR` where `demo --stop` needs it.
    pub fn flag(&self) -> String {
        match default_folder() {
            Ok(default) if default == self.folder => String::new(),
            _ => format!(" --data-dir {}", shell_word(&self.folder.display().to_string())),
        }
    }

    /// Leaves the nodes running.
    pub fn keep(self) {}

    pub fn remove(self) {
        remove(&self.folder);
    }
}

fn default_pool() -> ipnet::Ipv4Net {
    ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 0, 0, 0), 8)
}

/// Whether the folder was made by a demo.
pub fn is_demo(folder: &Path) -> bool {
    folder.join(MARK).is_file()
}

pub fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn node_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

pub fn any_lives(folder: &Path) -> bool {
    is_demo(folder) && node_folders(folder).iter().any(|node| process_lives(node))
}

/// Ends every node of the demo, then removes its folder.
pub fn remove(folder: &Path) {
    for node in node_folders(folder) {
        if let Some(pid) = process_id(&node).filter(|_| process_lives(&node)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    for node in node_folders(folder) {
        if let Some(pid) = process_id(&node).filter(|_| process_lives(&node))
            && wait_for_end(pid, &node).is_err()
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        crate::data_dir::unregister(&node);
        // Before the folder with its mark, so that what is left after a crash is a demo still.
        let _ = std::fs::remove_dir_all(&node);
    }
    let _ = std::fs::remove_dir_all(folder);
}
