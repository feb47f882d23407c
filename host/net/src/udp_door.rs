//! Published UDP ports: the datagrams of clients outside the cluster, to tasks and back.
//!
//! A [`UdpDoor`] is one published port on one node; `node`'s ingress owns the socket in front of it. It stays with the
//! task it chose for a client while that task is there and the client is heard of. The socket of the task remembers
//! through which door of which node a client came, and its answers leave by that one: only to clients that asked.
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use minicloud_core::id::{NetworkId, ServiceId, TaskId};
use serde::{Deserialize, Serialize};

use crate::datagram::Caller;
use crate::error::NetError;
use crate::inbox::Inbox;
use crate::limits;
use crate::open_count::OpenCount;
use crate::recent::Recent;
use crate::switch::Switch;
use crate::uplink::{DatagramHeader, Passage};
use crate::wakers::lock;

/// Names a door of one node for as long as its process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DoorId(pub u64);

/// Who is behind a published UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpTarget {
    /// Any task of the service.
    Service { service: ServiceId, port: u16 },
    /// One task of this node.
    Task { task: TaskId, port: u16 },
}

/// A client outside, and at which of the node's addresses it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpClient {
    pub address: SocketAddr,
    /// Answers leave from this address; `None`: from the one that the socket is bound to.
    pub heard_at: Option<IpAddr>,
}

/// One published UDP port of this node. Dropping it forgets its clients.
#[derive(Debug)]
pub struct UdpDoor {
    switch: Switch,
    door: Arc<Door>,
}

/// What the switch knows of a door.
#[derive(Debug)]
pub(crate) struct Door {
    id: DoorId,
    flows: Mutex<Recent<SocketAddr, Flow>>,
    answers: Inbox,
}

/// The exchange of one client with one task.
#[derive(Debug)]
struct Flow {
    task: TaskId,
    port: u16,
    heard_at: Option<IpAddr>,
    /// Makes other choices see this client; a port of one task has no choice.
    _count: Option<OpenCount>,
}

impl UdpDoor {
    /// Carries a client's datagram to a task. Without one that takes it, it is lost, as datagrams are.
    pub fn send(&self, client: UdpClient, target: UdpTarget, payload: Bytes) {
        if payload.len() > limits::DATAGRAM_BYTES_MAX {
            return;
        }
        match target {
            UdpTarget::Service { service, port } => self.send_to_service(client, service, port, payload),
            UdpTarget::Task { task, port } => self.send_to_task(client, task, port, payload),
        }
    }

    /// The oldest answer that waits to leave, and for whom. Answers to clients that were forgotten are skipped.
    pub fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<(UdpClient, Bytes), NetError>> {
        loop {
            match self.door.answers.take()? {
                Some(answer) => {
                    let address = answer.source;
                    if let Some(flow) = lock(&self.door.flows).peek(&address) {
                        return Poll::Ready(Ok((UdpClient { address, heard_at: flow.heard_at }, answer.payload)));
                    }
                }
                None => ready!(self.door.answers.poll_receivable(cx)),
            }
        }
    }

    fn send_to_service(&self, client: UdpClient, service: ServiceId, port: u16, payload: Bytes) {
        let table = self.switch.routes();
        let Some(network) = table.ingress() else { return };
        let Some(group) = table.group(network, service) else { return };
        let mut flows = lock(&self.door.flows);
        let known = flows.touch(&client.address).filter(|flow| flow.port == port);
        let known = known.and_then(|flow| {
            flow.heard_at = client.heard_at;
            group.candidate(flow.task)
        });
        let candidate = match known {
            Some(candidate) => candidate,
            None => {
                let Some((at, count)) = group.choose(&HashSet::new()) else { return };
                let candidate = &group.candidates[at];
                let flow = Flow { task: candidate.task, port, heard_at: client.heard_at, _count: Some(count) };
                flows.put(client.address, flow);
                candidate
            }
        };
        drop(flows);
        let destination = SocketAddr::new(candidate.ip.into(), port);
        let passage = Passage::Inward(self.door.id);
        let header = DatagramHeader { network, source: client.address, destination, task: candidate.task, passage };
        self.switch.send_datagram(candidate.node, header, payload);
    }

    fn send_to_task(&self, client: UdpClient, task: TaskId, port: u16, payload: Bytes) {
        let Some(local) = self.switch.local_task(task) else { return };
        let (network, ip) =
            local.addresses.first_key_value().map_or((NetworkId::default(), Ipv4Addr::LOCALHOST), |(network, ip)| (*network, *ip));
        lock(&self.door.flows).put(client.address, Flow { task, port, heard_at: client.heard_at, _count: None });
        let (node, door, reached) = (self.switch.node(), self.door.id, SocketAddr::new(ip.into(), port));
        self.switch.receive_from_outside(&local, Caller { client: client.address, node, door, network, reached }, &payload);
    }
}

impl Drop for UdpDoor {
    fn drop(&mut self) {
        self.switch.close_door(self.door.id);
        self.door.answers.close();
    }
}

impl Door {
    /// Queues an answer of a task to a client that asked it.
    fn answer(&self, header: DatagramHeader, payload: &[u8]) {
        let asked =
            lock(&self.flows).touch(&header.destination).is_some_and(|flow| (flow.task, flow.port) == (header.task, header.source.port()));
        if asked {
            self.answers.push(payload, header.destination);
        }
    }
}

impl Switch {
    /// Opens the inner side of a published UDP port.
    pub fn open_door(&self) -> UdpDoor {
        let door = self.add_door(|id| Door {
            id,
            flows: Mutex::new(Recent::new(limits::OUTSIDE_CLIENTS_MAX, limits::OUTSIDE_CLIENT_IDLE)),
            answers: Inbox::default(),
        });
        UdpDoor { switch: self.clone(), door }
    }

    /// An answer of a task leaves by the door that its client came through.
    pub(crate) fn leave_by_door(&self, door: DoorId, header: DatagramHeader, payload: &[u8]) {
        if let Some(door) = self.door(door) {
            door.answer(header, payload);
        }
    }
}
