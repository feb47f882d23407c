//! The node that a project runs on: the one that the user has, else one of the project's own.
//!
//! A node that was started for a project is marked by a file in its folder, so that `down` ends and removes no other; and
//! it does that only when nothing else was put on it meanwhile: see [`Rest`].
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use minicloud_core::state::Availability;
use minicloud_node::client::Client;
use minicloud_node::data_dir::NODE;
use minicloud_node::node::{Addresses, Start};

use super::rest::Rest;
use crate::address;
use crate::cluster::{Creates, end_node, launch, remains};
use crate::connect::holds_node;
use crate::data_dir::{self, Choice, process_id, process_lives};

/// Stands in the folder of a node that was started for a project.
const MARK: &str = "compose-project";
/// Folder of such nodes beside that of the user's own.
const FOLDER: &str = "minicloud-compose";

pub struct ProjectNode {
    folder: PathBuf,
    /// It was started for the project.
    own: bool,
}

impl ProjectNode {
    /// The node that the project is on, or would be; it may not run.
    pub fn find(choice: &Choice, project: &str) -> anyhow::Result<ProjectNode> {
        if choice.is_given() {
            let folder = choice.for_new()?;
            let own = is_own(&folder) || !holds_node(&folder);
            return Ok(ProjectNode { folder, own });
        }
        let own = own_folder(project)?;
        if holds_node(&own) {
            return Ok(ProjectNode { folder: own, own: true });
        }
        let default = data_dir::default_folder()?;
        let users: Vec<PathBuf> = data_dir::running()?.into_iter().filter(|folder| !is_own(folder)).collect();
        match users.as_slice() {
            _ if users.contains(&default) || process_lives(&default) => Ok(ProjectNode { folder: default, own: false }),
            [] => Ok(ProjectNode { folder: own, own: true }),
            [only] => Ok(ProjectNode { folder: only.clone(), own: false }),
            several => {
                let list: Vec<String> = several.iter().map(|folder| folder.display().to_string()).collect();
                bail!(
                    "several nodes run here; say which one with --data-dir or MINICLOUD_DATA_DIR, one of {}, or a folder that is not there yet \
                     for a node of the project's own, for example --data-dir {}",
                    list.join(", "),
                    data_dir::shell_word(&own.display().to_string())
                )
            }
        }
    }

    /// The node, running; where there is none it is made.
    pub fn ensure(choice: &Choice, project: &str, address: Option<IpAddr>) -> anyhow::Result<(ProjectNode, Client)> {
        let node = ProjectNode::find(choice, project)?;
        if process_lives(&node.folder) {
            if address.is_some() {
                eprintln!("warning: --address means nothing now: the node runs already");
            }
            return Ok((node.marked()?, crate::cluster::block_on(client(&node.folder))?));
        }
        if !node.own && !holds_node(&node.folder) {
            bail!("the node in {} does not run", node.folder.display());
        }
        let client = match holds_node(&node.folder) {
            true => launch(&node.folder, Start::Open, false, Creates::Nothing)?,
            false => {
                let existed = node.folder.is_dir();
                let founding = founding(address.unwrap_or(Ipv4Addr::LOCALHOST.into()))?;
                node.make_folder()?;
                launch(&node.folder, founding, false, Creates::Cluster).inspect_err(|_| {
                    // Empty by now.
                    let _ = if existed { Ok(()) } else { std::fs::remove_dir(&node.folder) };
                })?
            }
        };
        let client = client.context("the node was started in the background")?;
        Ok((node, client))
    }

    fn marked(&self) -> anyhow::Result<ProjectNode> {
        Ok(ProjectNode { folder: self.folder.clone(), own: is_own(&self.folder) })
    }

    /// With the mark, before there is a node: one that nobody waited for is the project's own too.
    fn make_folder(&self) -> anyhow::Result<()> {
        remains::make_room(&self.folder)?;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.and_then(|()| std::fs::write(self.folder.join(MARK), ""))
            .with_context(|| format!("the folder {} cannot be made", self.folder.display()))
    }

    pub fn is_own(&self) -> bool {
        self.own
    }

    /// There is such a node, running or not.
    pub fn is_made(&self) -> bool {
        holds_node(&self.folder)
    }

    pub fn runs(&self) -> bool {
        process_lives(&self.folder)
    }

    /// A client of the node, which must run.
    pub async fn client(&self, project: &str) -> anyhow::Result<Client> {
        if !self.runs() {
            bail!("project {project} does not run here; start it with 'minicloud compose up -d'");
        }
        client(&self.folder).await
    }

    /// Leaves a node that was started for a project and that this project needs no more: ends it unless it serves others,
    /// and removes it when its end loses nothing.
    pub fn leave(&self, rest: &Rest) -> anyhow::Result<()> {
        match rest {
            _ if !self.own => Ok(()),
            Rest::Nothing => {
                self.end()?;
                self.remove()
            }
            Rest::Own => self.end(),
            Rest::Others(what) => {
                eprintln!("The node in {} goes on: it has {what} too.", self.folder.display());
                Ok(())
            }
        }
    }

    /// Ends the process of a node of the project's own; its data stays.
    fn end(&self) -> anyhow::Result<()> {
        if let Some(pid) = process_id(&self.folder).filter(|_| self.own && self.runs()) {
            end_node(&self.folder, pid)?;
        }
        Ok(())
    }

    /// Removes a node of the project's own that was ended.
    fn remove(&self) -> anyhow::Result<()> {
        if self.own && is_own(&self.folder) && !self.runs() {
            let _ = std::fs::remove_file(self.folder.join(NODE));
            std::fs::remove_dir_all(&self.folder).with_context(|| format!("{} cannot be removed", self.folder.display()))?;
        }
        Ok(())
    }
}

async fn client(folder: &Path) -> anyhow::Result<Client> {
    Ok(Client::connect_data_dir(folder).await?)
}

fn is_own(folder: &Path) -> bool {
    folder.join(MARK).is_file()
}

fn own_folder(project: &str) -> anyhow::Result<PathBuf> {
    let users = data_dir::default_folder()?;
    Ok(users.with_file_name(FOLDER).join(project))
}

/// A cluster of one node, whose published ports are at `ip`.
fn founding(ip: IpAddr) -> anyhow::Result<Start> {
    let reached = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip };
    // Nobody joins it, so any port will do.
    let socket = std::net::UdpSocket::bind((reached, 0)).with_context(|| format!("{reached} is no address of this machine"))?;
    let listen = SocketAddr::new(reached, socket.local_addr()?.port());
    let addresses = Addresses { listen, advertise: listen, ingress: ip, dns: address::default_dns(listen), port_offset: 0 };
    let pool = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
    Ok(Start::Found { addresses, availability: Availability::Active, address_pool: pool, hostname: None })
}
