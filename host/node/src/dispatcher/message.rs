//! What a node and the leader say to each other on a dispatcher stream. Frames of named MessagePack.
//!
//! Who speaks is never in a message: it is the node of the peer's certificate.
use std::net::SocketAddr;

use minicloud_core::id::{Index, NodeId, TaskId, VolumeId};
use minicloud_core::state::NodeDescription;
use minicloud_core::task::TaskStatus;
use minicloud_core::view::ViewDelta;
use serde::{Deserialize, Serialize};

/// From a node. `Hello` comes first and once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ToLeader {
    Hello(Hello),
    Heartbeat,
    /// Statuses, answered by `Reported` once they are in the log. One batch is under way at a time.
    Report {
        sequence: u64,
        tasks: Vec<(TaskId, TaskStatus)>,
    },
    /// The node's routes are those of the view at this index.
    Acknowledge {
        index: Index,
    },
    /// The data of these volumes is gone from the node.
    VolumesRemoved {
        volumes: Vec<VolumeId>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) hostname: String,
    /// Where other nodes reach it.
    pub(crate) address: SocketAddr,
    pub(crate) description: NodeDescription,
    /// The view that the node stands at from an earlier session: it is never shown an older one.
    #[serde(default)]
    pub(crate) seen: Index,
}

/// From the leader, or from a manager that does not lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ToNode {
    /// Ask there, or elsewhere when nobody leads. The stream ends after it.
    NotLeader { leader: Option<(NodeId, SocketAddr)> },
    /// The node cannot have a session, and why. The stream ends after it.
    Refused { reason: String },
    /// The view moves on. `more`: the next frame is a piece of the same view, which holds only as a whole.
    View {
        delta: ViewDelta,
        #[serde(default)]
        more: bool,
    },
    /// The batch is in the log.
    Reported { sequence: u64 },
    /// Every live node has acknowledged a view at or past this index.
    Acknowledged { index: Index },
    /// Remove the data of these volumes, and say so with `VolumesRemoved`.
    RemoveVolumes { volumes: Vec<VolumeId> },
    /// A heartbeat was heard.
    Heard,
}
