//! Changes of what a service says of health, restarts and updates: what is absent stays as it is.
use minicloud_core::spec::{FailureAction, HealthCheck, HealthProbe, RestartCondition, RestartPolicy, UpdateConfig, UpdateOrder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Fields of a health check that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthChange {
    #[serde(default)]
    pub probe: Option<HealthProbe>,
    #[serde(default)]
    pub interval_ms: Option<u64>,
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub retries: Option<u32>,
    #[serde(default)]
    pub start_period_ms: Option<u64>,
    /// No health check, not even the one that is there.
    #[serde(default)]
    pub off: bool,
}

impl HealthChange {
    /// `check` with what was given put in place. The error says what makes no sense.
    pub fn applied_to(&self, check: Option<HealthCheck>) -> Result<Option<HealthCheck>, &'static str> {
        let times = [self.interval_ms, self.timeout_ms, self.start_period_ms].iter().any(Option::is_some) || self.retries.is_some();
        if self.off {
            return if times || self.probe.is_some() { Err("--no-healthcheck goes with no other --health flag") } else { Ok(None) };
        }
        let old = match (&self.probe, check) {
            (Some(probe), Some(check)) => HealthCheck { probe: probe.clone(), ..check },
            (Some(probe), None) => HealthCheck::new(probe.clone()),
            (None, Some(check)) => check,
            (None, None) if times => return Err("there is no health check to change: name one with --health-http or --health-tcp"),
            (None, None) => return Ok(None),
        };
        Ok(Some(HealthCheck {
            interval_ms: self.interval_ms.unwrap_or(old.interval_ms),
            timeout_ms: self.timeout_ms.unwrap_or(old.timeout_ms),
            retries: self.retries.unwrap_or(old.retries),
            start_period_ms: self.start_period_ms.unwrap_or(old.start_period_ms),
            ..old
        }))
    }
}

/// Fields of a restart policy that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestartChange {
    #[serde(default)]
    pub condition: Option<RestartCondition>,
    #[serde(default)]
    pub delay_ms: Option<u64>,
    #[serde(default)]
    pub max_attempts: Option<u32>,
    #[serde(default)]
    pub window_ms: Option<u64>,
}

impl RestartChange {
    /// `policy` with what was given put in place.
    pub fn applied_to(&self, policy: RestartPolicy) -> RestartPolicy {
        RestartPolicy {
            condition: self.condition.unwrap_or(policy.condition),
            delay_ms: self.delay_ms.or(policy.delay_ms),
            max_attempts: self.max_attempts.unwrap_or(policy.max_attempts),
            window_ms: self.window_ms.unwrap_or(policy.window_ms),
        }
    }
}

/// Fields of an update configuration that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateConfigChange {
    #[serde(default)]
    pub parallelism: Option<u32>,
    #[serde(default)]
    pub delay_ms: Option<u64>,
    #[serde(default)]
    pub order: Option<UpdateOrder>,
    #[serde(default)]
    pub monitor_ms: Option<u64>,
    #[serde(default)]
    pub failure_action: Option<FailureAction>,
    #[serde(default)]
    pub max_failure_permille: Option<u32>,
}

impl UpdateConfigChange {
    /// `config` with what was given put in place.
    pub fn applied_to(&self, config: UpdateConfig) -> UpdateConfig {
        UpdateConfig {
            parallelism: self.parallelism.unwrap_or(config.parallelism),
            delay_ms: self.delay_ms.unwrap_or(config.delay_ms),
            order: self.order.or(config.order),
            monitor_ms: self.monitor_ms.unwrap_or(config.monitor_ms),
            failure_action: self.failure_action.unwrap_or(config.failure_action),
            max_failure_permille: self.max_failure_permille.unwrap_or(config.max_failure_permille),
        }
    }
}
