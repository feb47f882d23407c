//! How tasks are replaced when their service changes, and how far that is.
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateConfig {
    /// Slots replaced at once; 0: all.
    #[serde(default = "one")]
    pub parallelism: u32,
    #[serde(default)]
    pub delay_ms: u64,
    /// `None`: start-first, except where a volume is held.
    #[serde(default)]
    pub order: Option<UpdateOrder>,
    /// How long each new task is watched for failure.
    #[serde(default = "monitor_default")]
    pub monitor_ms: u64,
    /// What happens when tasks fail while they are watched. A rollback is never rolled back.
    #[serde(default)]
    pub failure_action: FailureAction,
    /// Share of tasks that may fail before the failure action, in thousandths.
    #[serde(default)]
    pub max_failure_permille: u32,
}

fn one() -> u32 {
    1
}

fn monitor_default() -> u64 {
    limits::UPDATE_MONITOR_DEFAULT.as_millis() as u64
}

impl Default for UpdateConfig {
    fn default() -> Self {
        UpdateConfig {
            parallelism: 1,
            delay_ms: 0,
            order: None,
            monitor_ms: monitor_default(),
            failure_action: FailureAction::Pause,
            max_failure_permille: 0,
        }
    }
}

impl UpdateConfig {
    pub fn monitor(&self) -> Duration {
        Duration::from_millis(self.monitor_ms)
    }

    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    StartFirst,
    StopFirst,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    #[default]
    Pause,
    Continue,
    Rollback,
}

/// A rolling update or rollback under way or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProgress {
    pub state: UpdateState,
    pub started_at: Timestamp,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    Updating,
    Paused,
    Completed,
    /// The service goes back to its previous spec, by the settings for rollbacks.
    RollbackStarted,
    RollbackPaused,
    RollbackCompleted,
}

impl UpdateState {
    /// Tasks are being replaced.
    pub fn is_under_way(self) -> bool {
        matches!(self, UpdateState::Updating | UpdateState::RollbackStarted)
    }

    /// It stopped half-way because tasks failed; somebody has to decide.
    pub fn is_paused(self) -> bool {
        matches!(self, UpdateState::Paused | UpdateState::RollbackPaused)
    }

    pub fn is_rollback(self) -> bool {
        matches!(self, UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
    }
}

impl fmt::Display for UpdateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UpdateState::Updating => "updating",
            UpdateState::Paused => "paused",
            UpdateState::Completed => "completed",
            UpdateState::RollbackStarted => "rollback started",
            UpdateState::RollbackPaused => "rollback paused",
            UpdateState::RollbackCompleted => "rollback completed",
        })
    }
}
