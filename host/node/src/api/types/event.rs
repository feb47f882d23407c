//! The stream of events.
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use minicloud_core::event::Event;

/// Which events are wanted. Of several values, with commas between them, any; of several kinds of filter all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Begin with those at or after this time, in ms since the epoch, as far as they are kept; absent: with new ones.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// End at this time, in ms since the epoch; absent: go on until the client leaves.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Begin with those of this entry of the log, as far as they are kept. Comes before `since_ms`.
    #[serde(default)]
    pub from_index: Option<u64>,
    /// Types: `service,task`.
    #[serde(default)]
    pub types: String,
    /// Actions: `failed,down`.
    #[serde(default)]
    pub actions: String,
    /// Names of services.
    #[serde(default)]
    pub services: String,
    /// Hostnames of nodes.
    #[serde(default)]
    pub nodes: String,
}

/// One line of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum EventLine {
    Event(Event),
    /// The reader was too slow, and so many events are gone.
    Missed {
        missed: u64,
    },
}
