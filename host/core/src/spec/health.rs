//! How a task shows that it does its work.
use serde::{Deserialize, Serialize};

use crate::limits;

/// Asked of a running task by its node. While it starts it counts as running only from the first good answer on;
/// later, `retries` bad answers in a row end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    pub probe: HealthProbe,
    /// Milliseconds between two checks. While a task starts it is asked more often.
    #[serde(default = "interval_default")]
    pub interval_ms: u64,
    /// Milliseconds after which a check without an answer has failed.
    #[serde(default = "timeout_default")]
    pub timeout_ms: u64,
    /// Failed checks in a row that make a task unhealthy.
    #[serde(default = "retries_default")]
    pub retries: u32,
    /// Milliseconds after the start in which failed checks do not count.
    #[serde(default)]
    pub start_period_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HealthProbe {
    /// A GET of this path is answered with a status below 400.
    Http {
        path: String,
        /// `None`: the port on which the task's HTTP component is served.
        #[serde(default)]
        port: Option<u16>,
    },
    /// A connection to this port is taken.
    Tcp { port: u16 },
}

fn interval_default() -> u64 {
    limits::HEALTH_INTERVAL_DEFAULT.as_millis() as u64
}

fn timeout_default() -> u64 {
    limits::HEALTH_TIMEOUT_DEFAULT.as_millis() as u64
}

fn retries_default() -> u32 {
    limits::HEALTH_RETRIES_DEFAULT
}

impl HealthCheck {
    /// A check with every default.
    pub fn new(probe: HealthProbe) -> Self {
        HealthCheck {
            probe,
            interval_ms: interval_default(),
            timeout_ms: timeout_default(),
            retries: retries_default(),
            start_period_ms: 0,
        }
    }

    /// How long a task may take from its start to its first good answer, in milliseconds.
    pub fn patience_ms(&self) -> u64 {
        self.start_period_ms.saturating_add(self.interval_ms.saturating_mul(self.retries.into()))
    }
}
