//! What happened, as users are told it: the difference of two states, row by row.
//!
//! Pure, and the same on every manager: the node feeds it each entry of the log as it is applied, so an event is known by
//! the index of its entry and its number among that entry's events. Nothing is stored. Used by `minicloud events`.
mod changes;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Index;
use crate::state::{ClusterState, RowKey};
use crate::time::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Where in the log its cause stands.
    pub index: Index,
    /// Its place among the events of that entry.
    pub number: u32,
    /// By the clock of whoever proposed the cause.
    pub at_ms: Timestamp,
    #[serde(rename = "type")]
    pub subject: Subject,
    /// `created`, `scaled`, `running`, `drained` and so on: see the module `changes` for all of them.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub action: Cow<'static, str>,
    /// Of the service, task, node and so on.
    pub id: String,
    pub name: String,
    /// Name of the service, for services and their tasks.
    #[serde(default)]
    pub service: Option<String>,
    /// Hostname of the node, for nodes and what is on one.
    #[serde(default)]
    pub node: Option<String>,
    /// What changed, or what is wrong; may be empty.
    #[serde(default)]
    pub detail: String,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Cluster,
    Node,
    Service,
    Task,
    Network,
    Volume,
    Secret,
    Config,
}

impl Subject {
    pub const ALL: [Subject; 8] = [
        Subject::Cluster,
        Subject::Node,
        Subject::Service,
        Subject::Task,
        Subject::Network,
        Subject::Volume,
        Subject::Secret,
        Subject::Config,
    ];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Subject::Cluster => "cluster",
            Subject::Node => "node",
            Subject::Service => "service",
            Subject::Task => "task",
            Subject::Network => "network",
            Subject::Volume => "volume",
            Subject::Secret => "secret",
            Subject::Config => "config",
        })
    }
}

/// What happened from one state to the next. `touched` are the rows that may differ, `at` is when it happened.
pub fn events(before: &ClusterState, after: &ClusterState, touched: &[RowKey], at: Timestamp) -> Vec<Event> {
    let mut told = Told { before, after, at, events: Vec::new() };
    touched.iter().for_each(|key| told.row(*key));
    told.events
}

/// The events so far, and what the next one is made from.
struct Told<'a> {
    before: &'a ClusterState,
    after: &'a ClusterState,
    at: Timestamp,
    events: Vec<Event>,
}

impl Told<'_> {
    fn tell(&mut self, subject: Subject, action: impl Into<Cow<'static, str>>, id: impl fmt::Display, name: &str) -> &mut Event {
        let number = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.events.push(Event {
            index: self.after.index,
            number,
            at_ms: self.at,
            subject,
            action: action.into(),
            id: id.to_string(),
            name: name.to_owned(),
            service: None,
            node: None,
            detail: String::new(),
        });
        self.events.last_mut().expect("one was just pushed")
    }
}
