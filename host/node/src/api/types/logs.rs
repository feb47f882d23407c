//! Lines of task logs.
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use minicloud_core::id::TaskId;
use minicloud_core::task::LogStream;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Go on with new lines until the client leaves.
    #[serde(default)]
    pub follow: bool,
    /// At most this many of the last lines of each task; absent: all.
    #[serde(default)]
    pub tail: Option<u64>,
    /// Only lines at or after this time, in ms since the epoch.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// When following: end with the last line once all tasks have ended and no others are to follow.
    #[serde(default)]
    pub until_end: bool,
}

/// One line that a task wrote, or that the node wrote about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub task_id: TaskId,
    /// `worker.3`
    pub task: String,
    /// Hostname of the node that ran it.
    pub node: String,
    /// Milliseconds since the epoch, by the clock of that node.
    pub at_ms: u64,
    pub stream: LogStream,
    /// Without its line end.
    pub text: String,
}
