//! `service inspect`
use clap::Args;
use minicloud_core::spec::{
    EndpointMode, FailureAction, FileReference, HealthCheck, HealthProbe, Mount, RestartCondition, ServiceMode, UpdateConfig, UpdateOrder,
};
use minicloud_core::state::UpdateProgress;
use minicloud_node::api::types::{JobCount, PortProblem, ServiceDetail, ServiceVip};
use minicloud_node::client::Client;

use super::ls::mode;
use crate::inspect::{Inspecting, labels};
use crate::render::{ago, bytes, cores, duration, facts, milliseconds_now, ports};

#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    inspecting: Inspecting,
    /// Names or ids
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

impl Inspect {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let now_ms = milliseconds_now();
        self.inspecting.run(&self.services, async |name| Ok(client.service(name).await?), |service| pretty(service, now_ms)).await
    }
}

fn pretty(service: &ServiceDetail, now_ms: u64) -> String {
    let spec = &service.spec;
    let task = &spec.task;
    let completed = |job: JobCount| format!("{} of {} tasks", job.completed, job.total);
    let at_once = match spec.mode {
        ServiceMode::ReplicatedJob { max_concurrent, .. } => some(max_concurrent, |most| most.to_string()),
        _ => String::new(),
    };
    let rolling = |update: &UpdateConfig| if service.summary.mode.is_job() { String::new() } else { rolling(update) };
    let vip = |vip: &ServiceVip| format!("{} {}", vip.network, vip.address.map_or_else(String::new, |address| address.to_string()));
    let mount = |mount: &Mount| format!("{} at {}{}", mount.source, mount.target, if mount.read_only { " (read-only)" } else { "" });
    let file = |file: &FileReference| format!("{} at {}", file.name, file.target);
    let env: Vec<String> = task.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let problem = |problem: &PortProblem| format!("{} on {}: {}", problem.listen, problem.node, problem.error);
    let limits = &task.resources;
    facts(&[
        ("ID", service.summary.id.to_string()),
        ("Name", service.summary.name.clone()),
        ("Labels", labels(&spec.labels)),
        ("Mode", mode(service.summary.mode).to_owned()),
        ("Running", format!("{} of {} tasks", service.summary.replicas_running, service.summary.replicas_desired)),
        ("Completed", service.summary.job.map_or_else(String::new, completed)),
        ("Most at once", at_once),
        ("Created", ago(service.created_at_ms, now_ms)),
        ("Updated", ago(service.updated_at_ms, now_ms)),
        ("Update", service.update.as_ref().map_or_else(String::new, update_text)),
        ("Image", format!("{} ({})", task.image.name, task.image.digest)),
        ("Args", task.args.join(" ")),
        ("Environment", env.join(" ")),
        ("Hostname", task.hostname.clone().unwrap_or_default()),
        ("Mounts", joined(&task.mounts, mount)),
        ("Secrets", joined(&task.secrets, file)),
        ("Configs", joined(&task.configs, file)),
        ("Constraints", joined(&task.constraints, ToString::to_string)),
        ("Spread", joined(&task.placement.preferences, ToString::to_string)),
        ("Most per node", some(task.placement.replicas_max_per_node, |most| most.to_string())),
        ("Memory limit", some(limits.limit_memory_bytes, bytes)),
        ("CPU limit", some(limits.limit_cpu_millis, cores)),
        ("Memory reserved", some(limits.reserve_memory_bytes, bytes)),
        ("CPU reserved", some(limits.reserve_cpu_millis, cores)),
        ("HTTP port", task.http_port.to_string()),
        ("Concurrency", task.concurrency.map_or_else(String::new, |concurrency| concurrency.to_string())),
        ("Health check", task.health.as_ref().map_or_else(String::new, health)),
        ("Restart", restart(service)),
        ("Stop grace period", time(task.stop_grace_ms)),
        ("Rolling update", rolling(&spec.update)),
        ("Rollback", rolling(&spec.rollback)),
        ("Endpoint mode", if spec.endpoint_mode == EndpointMode::Vip { "vip" } else { "dnsrr" }.to_owned()),
        ("Virtual addresses", joined(&service.vips, vip)),
        ("Ports", ports(&service.summary.ports)),
        ("Port problems", joined(&service.port_problems, problem)),
    ])
}

fn update_text(update: &UpdateProgress) -> String {
    let state = update.state;
    if update.message.is_empty() { state.to_string() } else { format!("{state}: {}", update.message) }
}

fn health(check: &HealthCheck) -> String {
    let probe = match &check.probe {
        HealthProbe::Http { path, port: None } => format!("GET {path}"),
        HealthProbe::Http { path, port: Some(port) } => format!("GET :{port}{path}"),
        HealthProbe::Tcp { port } => format!("connect to port {port}"),
    };
    let start = if check.start_period_ms == 0 { String::new() } else { format!(", start period {}", time(check.start_period_ms)) };
    format!("{probe} every {}, timeout {}, {} tries{start}", time(check.interval_ms), time(check.timeout_ms), check.retries)
}

fn restart(service: &ServiceDetail) -> String {
    let restart = &service.spec.task.restart;
    let condition = match restart.condition {
        RestartCondition::None => return "none".to_owned(),
        RestartCondition::OnFailure => "on-failure",
        RestartCondition::Any => "any",
    };
    let delay = restart.delay_ms.map_or_else(|| "growing delay".to_owned(), |delay| format!("delay {}", time(delay)));
    let attempts = if restart.max_attempts == 0 { String::new() } else { format!(", at most {} times", restart.max_attempts) };
    let window = if restart.window_ms == 0 { String::new() } else { format!(" in {}", time(restart.window_ms)) };
    format!("{condition}, {delay}{attempts}{window}")
}

fn rolling(update: &UpdateConfig) -> String {
    let parallelism = if update.parallelism == 0 { "all".to_owned() } else { update.parallelism.to_string() };
    let order = match update.order {
        Some(UpdateOrder::StopFirst) => ", stop-first",
        Some(UpdateOrder::StartFirst) => ", start-first",
        None => "",
    };
    let action = match update.failure_action {
        FailureAction::Pause => "pause",
        FailureAction::Continue => "continue",
        FailureAction::Rollback => "rollback",
    };
    let ratio = match update.max_failure_permille {
        0 => String::new(),
        permille => format!(" of more than {}", f64::from(permille) / 1_000.0),
    };
    let (delay, monitor) = (time(update.delay_ms), time(update.monitor_ms));
    format!("{parallelism} at once{order}, delay {delay}, monitor {monitor}, on failure{ratio} {action}")
}

/// A short duration keeps its unit, a long one is rounded.
fn time(milliseconds: u64) -> String {
    match milliseconds {
        0 => "0".to_owned(),
        _ if !milliseconds.is_multiple_of(1_000) => format!("{milliseconds}ms"),
        _ if milliseconds < 120_000 => format!("{}s", milliseconds / 1_000),
        _ => duration(std::time::Duration::from_millis(milliseconds)),
    }
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Nothing for 0, which means that there is no such bound.
fn some<T: PartialEq + Default>(value: T, text: impl Fn(T) -> String) -> String {
    if value == T::default() { String::new() } else { text(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_for_people() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let service: ServiceDetail = serde_json::from_value(serde_json::json!({
            "id": "000000000001", "name": "db", "mode": "replicated", "replicas_running": 1, "replicas_desired": 1, "image": "redis",
            "ports": [{"published": 6379, "target": 6379}],
            "spec": {
                "name": "db", "mode": {"replicated": {"replicas": 1}}, "labels": {"tier": "data"}, "ports": [],
                "task": {
                    "image": {"name": "redis", "digest": digest}, "args": ["--appendfsync", "always"], "env": {"A": "1"},
                    "mounts": [{"volume": "data", "target": "/data", "read_only": true}], "constraints": ["node.role==worker"],
                    "secrets": [{"id": "000000000002", "name": "password", "target": "/run/secrets/password"}],
                    "health": {"probe": {"http": {"path": "/up"}}, "interval_ms": 2000, "start_period_ms": 3000},
                    "placement": {"replicas_max_per_node": 2, "preferences": ["spread=node.labels.zone"]},
                    "resources": {"limit_memory_bytes": 64 << 20, "limit_cpu_millis": 500},
                    "restart": {"condition": "on-failure", "delay_ms": 5000, "max_attempts": 3, "window_ms": 60000},
                },
                "update": {"parallelism": 2, "order": "stop-first", "monitor_ms": 1500},
            },
            "previous_spec": null, "vips": [{"network": "back", "address": "10.1.0.2"}],
            "update": {"state": "paused", "started_at": 0, "message": "db.1 failed: exit code 1"},
            "port_problems": [{"node": "node2", "listen": "0.0.0.0:6379/tcp", "error": "address in use"}],
            "created_at_ms": 10_000, "updated_at_ms": 90_000, "version": 9,
        }))
        .unwrap();
        let expected = format!(
            "\
ID:                 000000000001
Name:               db
Labels:             tier=data
Mode:               replicated
Running:            1 of 1 tasks
Created:            about a minute ago
Updated:            10 seconds ago
Update:             paused: db.1 failed: exit code 1
Image:              redis ({digest})
Args:               --appendfsync always
Environment:        A=1
Mounts:             data at /data (read-only)
Secrets:            password at /run/secrets/password
Constraints:        node.role==worker
Spread:             spread=node.labels.zone
Most per node:      2
Memory limit:       64 MiB
CPU limit:          0.5
HTTP port:          80
Health check:       GET /up every 2s, timeout 5s, 3 tries, start period 3s
Restart:            on-failure, delay 5s, at most 3 times in 60s
Stop grace period:  10s
Rolling update:     2 at once, stop-first, delay 0, monitor 1500ms, on failure pause
Rollback:           1 at once, delay 0, monitor 500ms, on failure pause
Endpoint mode:      vip
Virtual addresses:  back 10.1.0.2
Ports:              *:6379->6379/tcp
Port problems:      0.0.0.0:6379/tcp on node2: address in use"
        );
        assert_eq!(pretty(&service, 100_000), expected);
    }
}
