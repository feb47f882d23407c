//! Flags that `service create` and `service update` share, with the same meaning.
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use minicloud_core::spec::{EndpointMode, FailureAction, HealthProbe, RestartCondition, UpdateOrder};
use minicloud_node::api::types::{HealthChange, Mode, RestartChange, UpdateConfigChange};

use crate::parse;

/// Whether a command waits for what it started, and what it prints meanwhile.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// Return at once instead of waiting until the service has converged
    #[arg(short, long)]
    pub detach: bool,
    /// Wait, but show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Resources")]
pub struct ResourceFlags {
    /// Most memory of a task, for example 64m [default: 256m]
    #[arg(long, value_name = "BYTES", value_parser = parse::size)]
    pub limit_memory: Option<u64>,
    /// Most CPU of a task in cores, for example 0.5
    #[arg(long, value_name = "CORES", value_parser = parse::cpu)]
    pub limit_cpu: Option<u32>,
    /// Memory that is set aside for a task
    #[arg(long, value_name = "BYTES", value_parser = parse::size)]
    pub reserve_memory: Option<u64>,
    /// CPU that is set aside for a task, in cores
    #[arg(long, value_name = "CORES", value_parser = parse::cpu)]
    pub reserve_cpu: Option<u32>,
    /// Requests that a task of an HTTP component serves at once
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    pub concurrency: Option<u32>,
    /// Port of a task on which its HTTP component is served [default: 80]
    #[arg(long, value_name = "PORT", value_parser = parse::port_number)]
    pub http_port: Option<u16>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Health check")]
pub struct HealthFlags {
    /// Path that a healthy task answers with a status below 400: /PATH of its HTTP component, or :PORT/PATH
    #[arg(long, value_name = "PATH", value_parser = parse::health_http)]
    health_http: Option<HealthProbe>,
    /// Port on which a healthy task takes connections
    #[arg(long, value_name = "PORT", value_parser = parse::port_number, conflicts_with = "health_http")]
    health_tcp: Option<u16>,
    /// Wait between two checks; until the first success a task is asked more often [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    health_interval: Option<u64>,
    /// A check that is not answered for this long has failed [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    health_timeout: Option<u64>,
    /// Failed checks in a row that make a task unhealthy [default: 3]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    health_retries: Option<u32>,
    /// Time after the start in which failed checks do not count [default: 0]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    health_start_period: Option<u64>,
    /// Have no health check
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthFlags {
    pub fn change(self) -> HealthChange {
        HealthChange {
            probe: self.health_http.or(self.health_tcp.map(|port| HealthProbe::Tcp { port })),
            interval_ms: self.health_interval,
            timeout_ms: self.health_timeout,
            retries: self.health_retries,
            start_period_ms: self.health_start_period,
            off: self.no_healthcheck,
        }
    }
}

#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Restart")]
pub struct RestartFlags {
    /// When a task that ended is replaced [default: any]
    #[arg(long, value_name = "WHEN", value_parser = restart_condition())]
    restart_condition: Option<RestartCondition>,
    /// Wait before a task is replaced, for example 5s [default: 100ms, doubled with each failure up to 30s]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    restart_delay: Option<u64>,
    /// Give up after this many replacements; 0: never [default: 0]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    restart_max_attempts: Option<u32>,
    /// Time in which replacements are counted; 0: for ever [default: 0]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    restart_window: Option<u64>,
    /// Time that a task may take to end in order [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    pub stop_grace_period: Option<u64>,
}

impl RestartFlags {
    pub fn change(&self) -> RestartChange {
        RestartChange {
            condition: self.restart_condition,
            delay_ms: self.restart_delay,
            max_attempts: self.restart_max_attempts,
            window_ms: self.restart_window,
        }
    }
}

#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Rolling update")]
pub struct UpdateFlags {
    /// Tasks replaced at once; 0: all [default: 1]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    update_parallelism: Option<u32>,
    /// Wait between two rounds, for example 10s [default: 0]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    update_delay: Option<u64>,
    /// Whether the new task starts before the old one stops [default: start-first, except where a volume is held]
    #[arg(long, value_name = "ORDER", value_parser = update_order())]
    update_order: Option<UpdateOrder>,
    /// Time that a new task is watched for failure [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    update_monitor: Option<u64>,
    /// What to do when too many new tasks fail [default: pause]
    #[arg(long, value_name = "ACTION", value_parser = failure_action())]
    update_failure_action: Option<FailureAction>,
    /// Share of new tasks that may fail, from 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse::ratio)]
    update_max_failure_ratio: Option<u32>,
}

impl UpdateFlags {
    pub fn change(&self) -> UpdateConfigChange {
        UpdateConfigChange {
            parallelism: self.update_parallelism,
            delay_ms: self.update_delay,
            order: self.update_order,
            monitor_ms: self.update_monitor,
            failure_action: self.update_failure_action,
            max_failure_permille: self.update_max_failure_ratio,
        }
    }
}

/// The twins of [`UpdateFlags`] for the way back.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Rollback")]
pub struct RollbackFlags {
    /// Tasks taken back at once; 0: all [default: 1]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    rollback_parallelism: Option<u32>,
    /// Wait between two rounds, for example 10s [default: 0]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    rollback_delay: Option<u64>,
    /// Whether the new task starts before the old one stops [default: start-first, except where a volume is held]
    #[arg(long, value_name = "ORDER", value_parser = update_order())]
    rollback_order: Option<UpdateOrder>,
    /// Time that a new task is watched for failure [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    rollback_monitor: Option<u64>,
    /// What to do when too many new tasks fail [default: pause]
    #[arg(long, value_name = "ACTION", value_parser = rollback_failure_action())]
    rollback_failure_action: Option<FailureAction>,
    /// Share of new tasks that may fail, from 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse::ratio)]
    rollback_max_failure_ratio: Option<u32>,
}

impl RollbackFlags {
    pub fn change(&self) -> UpdateConfigChange {
        UpdateConfigChange {
            parallelism: self.rollback_parallelism,
            delay_ms: self.rollback_delay,
            order: self.rollback_order,
            monitor_ms: self.rollback_monitor,
            failure_action: self.rollback_failure_action,
            max_failure_permille: self.rollback_max_failure_ratio,
        }
    }
}

/// Flags of a command's own behind the image: the tasks get them, which is not always what was meant.
pub fn misplaced<Command: Args>(image: &str, args: &[String]) -> Vec<String> {
    let own = Command::augment_args(clap::Command::new("own"));
    let is_own = |name: &str| own.get_arguments().any(|arg| arg.get_long() == Some(name));
    let flags = args.iter().filter_map(|arg| arg.strip_prefix("--")?.split('=').next()).filter(|name| is_own(name));
    flags
        .map(|name| {
            format!("--{name} stands behind the image and goes to the tasks; if it is meant for the service, put it before '{image}'")
        })
        .collect()
}

pub fn mode() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["replicated", "global", "replicated-job", "global-job"]).map(|text| match text.as_str() {
        "global" => Mode::Global,
        "replicated-job" => Mode::ReplicatedJob,
        "global-job" => Mode::GlobalJob,
        _ => Mode::Replicated,
    })
}

pub fn endpoint_mode() -> impl TypedValueParser<Value = EndpointMode> {
    PossibleValuesParser::new(["vip", "dnsrr"]).map(|text| if text == "vip" { EndpointMode::Vip } else { EndpointMode::Dnsrr })
}

fn restart_condition() -> impl TypedValueParser<Value = RestartCondition> {
    PossibleValuesParser::new(["none", "on-failure", "any"]).map(|text| match text.as_str() {
        "none" => RestartCondition::None,
        "on-failure" => RestartCondition::OnFailure,
        _ => RestartCondition::Any,
    })
}

fn update_order() -> impl TypedValueParser<Value = UpdateOrder> {
    PossibleValuesParser::new(["start-first", "stop-first"])
        .map(|text| if text == "start-first" { UpdateOrder::StartFirst } else { UpdateOrder::StopFirst })
}

fn failure_action() -> impl TypedValueParser<Value = FailureAction> {
    PossibleValuesParser::new(["pause", "continue", "rollback"]).map(|text| match text.as_str() {
        "continue" => FailureAction::Continue,
        "rollback" => FailureAction::Rollback,
        _ => FailureAction::Pause,
    })
}

/// A rollback is not rolled back.
fn rollback_failure_action() -> impl TypedValueParser<Value = FailureAction> {
    PossibleValuesParser::new(["pause", "continue"])
        .map(|text| if text == "continue" { FailureAction::Continue } else { FailureAction::Pause })
}
