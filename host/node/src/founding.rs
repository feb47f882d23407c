//! Founds a cluster: its authority, its join secrets, and a log whose first entries make this node its manager.
//!
//! The log is written before consensus starts, in one commit, so a crash leaves either no cluster or a whole one:
//! 0 the membership of one, 1 this node's record (whence its id), 2 the cluster's record.
use std::path::Path;

use ipnet::Ipv4Net;
use minicloud_core::command::{Command, NewCluster, Request};
use minicloud_core::id::{ClusterId, Index, NetworkId, NodeId, RANDOM_ID_END};
use minicloud_core::state::{Availability, Role};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::vote::RaftLeaderId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::env::Env;
use crate::identity::{Authority, Identity, IdentityError, NodeKey, Subject};
use crate::raft::{self, Entry, LeaderTerm, LogId, Member, Membership, Proposal, StoreError};
use crate::token::Secret;

/// The founder's id: the index of its record.
pub const FOUNDER: NodeId = NodeId(1);

/// What the founder chooses.
#[derive(Clone, Debug)]
pub struct Founding {
    pub hostname: String,
    pub availability: Availability,
    /// Where other nodes reach it.
    pub address: SocketAddr,
    /// Subnets of new networks are cut from this.
    pub address_pool: Ipv4Net,
}

/// Makes the cluster's authority and secrets and the founder's identity, without writing anything.
pub fn prepare(env: &Env, founding: &Founding) -> Result<(NewCluster, Identity), IdentityError> {
    let now = env.now();
    let (ca_certificate, ca_key) = Authority::create(now)?;
    let id = || env.random.next_u64() % RANDOM_ID_END;
    let cluster = ClusterId(id());
    let authority = Authority::from_pem(&ca_certificate, &ca_key)?;
    let key = NodeKey::generate()?;
    let subject = Subject { node: FOUNDER, role: Role::Manager, cluster, issued: Index(FOUNDER.0) };
    let certificate = authority.sign(&key.request_der()?, subject, now)?;
    let identity = key.into_identity(certificate, authority.certificate().clone())?;
    let new = NewCluster {
        id: cluster,
        worker_secret_hash: Secret::derive(&ca_key, Role::Worker, 0).hash(),
        manager_secret_hash: Secret::derive(&ca_key, Role::Manager, 0).hash(),
        ca_certificate,
        ca_key: ca_key.to_string(),
        address_pool: founding.address_pool,
        ingress_network: NetworkId(id()),
        egress_network: NetworkId(id()),
    };
    Ok((new, identity))
}

/// Writes the first entries of the log in `directory`, which must hold none.
pub fn write_log(env: &Env, directory: &Path, founding: &Founding, cluster: NewCluster) -> Result<(), StoreError> {
    raft::log::found(env, directory, &entries(env, founding, cluster))
}

fn entries(env: &Env, founding: &Founding, cluster: NewCluster) -> Vec<Entry> {
    let member = Member { address: founding.address };
    let voters = vec![BTreeSet::from([FOUNDER])];
    let membership = Membership::new(voters, BTreeMap::from([(FOUNDER, member)])).expect("the only voter is in the list of nodes");
    let add_node = Command::AddNode {
        hostname: founding.hostname.clone(),
        role: Role::Manager,
        availability: founding.availability,
        address: founding.address,
    };
    let request = |command| EntryPayload::Normal(Proposal(Request { at: env.now(), key: None, command }));
    let payloads = [EntryPayload::Membership(membership), request(add_node), request(Command::CreateCluster(cluster))];
    let term = leader_term();
    payloads.into_iter().zip(0..).map(|(payload, index)| Entry::new(LogId::new(term, index), payload)).collect()
}

/// The term before the first election.
fn leader_term() -> LeaderTerm {
    openraft::impls::leader_id_std::LeaderId::new(0, FOUNDER).to_committed()
}
