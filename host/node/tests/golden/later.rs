//! What the files of version 0.2 hold beyond what 0.1 had: secrets and configs, jobs, health, placement, rollbacks. The rules
//! are those of `content`.
use std::sync::Arc;

use minicloud_core::command::{Change, Command};
use minicloud_core::id::{FileId, Index, RequestKey, ServiceId, TaskId};
use minicloud_core::spec::{
    FileKind, FileReference, FileSpec, HealthCheck, HealthProbe, Image, Mount, MountKind, Payload, Placement, ServiceMode, ServiceSpec,
    TaskTemplate, UpdateConfig, UpdateOrder,
};
use minicloud_core::state::{Answer, Cluster, File, NodeDescription, Row, Service, Slot, Task, UpdateState};
use minicloud_core::task::{Health, TaskState, TaskStatus};
use minicloud_core::time::Timestamp;

use crate::content::{self, FOUNDER, addresses, labels, ports, status, update};

const KEY: [u8; 32] = [0xf1; 32];
const SECRET: FileId = FileId(80);
const CONFIG: FileId = FileId(81);

/// The last one stays the last: it stands behind the state.
pub fn commands() -> Vec<Command> {
    let mut commands = content::commands();
    let last = commands.pop();
    let health = |health| (TaskId(90), TaskStatus { health: Some(health), ..status() });
    commands.extend([
        Command::DescribeNode {
            node: FOUNDER,
            hostname: "one".into(),
            address: "192.0.2.1:2377".parse().unwrap(),
            description: description(),
        },
        Command::SetSealKey { fingerprint: KEY, replaces: Some([0xf0; 32]) },
        Command::CreateFile { id: SECRET, spec: secret() },
        Command::CreateFile { id: CONFIG, spec: config() },
        Command::LabelFile { id: CONFIG, labels: labels("stage", "live") },
        Command::RemoveFile { id: FileId(82) },
        Command::CreateService {
            id: ServiceId(42),
            spec: Box::new(job("convert", ServiceMode::ReplicatedJob { total: 9, max_concurrent: 2 })),
        },
        Command::UpdateService { id: ServiceId(42), version: Index(12), spec: Box::new(job("convert", ServiceMode::GlobalJob)) },
        Command::RollbackService { id: ServiceId(42), version: Index(13) },
        Command::ReportStatus { node: FOUNDER, tasks: [Health::Starting, Health::Healthy, Health::Unhealthy].map(health).to_vec() },
        Command::ApplyPlan { changes: changes() },
    ]);
    commands.extend(last);
    commands
}

pub fn changes() -> Vec<Change> {
    let mut changes = vec![Change::UndoUpdate { service: ServiceId(42), version: Index(12), message: "2 of 3 tasks failed".into() }];
    let states = update_states().into_iter();
    changes.extend(states.map(|state| Change::SetUpdate { service: ServiceId(42), version: Index(12), update: update(state) }));
    changes
}

pub fn rows() -> Vec<Row> {
    let mut rows = content::rows();
    let cluster = Cluster { founding: content::new_cluster(), created_at: Timestamp(1), epoch: 3, seal_key: Some(KEY), version: Index(2) };
    rows[0] = Row::Cluster(Arc::new(cluster));
    if let Row::Node(node) = &mut rows[1] {
        Arc::make_mut(node).description = description();
    }
    let file = |id, spec| Row::File(Arc::new(File { id, spec, created_at: Timestamp(1), updated_at: Timestamp(2), version: Index(20) }));
    rows.extend([file(SECRET, secret()), file(CONFIG, config())]);
    let modes = [
        ServiceMode::ReplicatedJob { total: 9, max_concurrent: 2 },
        ServiceMode::GlobalJob,
        ServiceMode::Replicated { replicas: 3 },
        ServiceMode::Global,
    ];
    rows.extend((0..).zip(update_states()).zip(modes).map(|((number, state), mode)| service(number, state, mode)));
    let healths = [None, Some(Health::Starting), Some(Health::Healthy), Some(Health::Unhealthy)];
    rows.extend((0..).zip(healths).map(|(number, health)| task(number, health)));
    let outcome = Ok(minicloud_core::command::Applied { index: Index(21), node: None, skipped: 0 });
    rows.push(Row::Answer(Arc::new(Answer { key: RequestKey(80), index: Index(21), outcome })));
    rows
}

fn update_states() -> [UpdateState; 4] {
    [UpdateState::Completed, UpdateState::RollbackStarted, UpdateState::RollbackPaused, UpdateState::RollbackCompleted]
}

fn description() -> NodeDescription {
    NodeDescription { version: "0.2.0".into(), tasks_max: 5, ..content::description() }
}

fn secret() -> FileSpec {
    FileSpec {
        kind: FileKind::Secret,
        name: "password".into(),
        labels: labels("stage", "test"),
        data: Payload::new([0, 159, 255, 10]),
        size_bytes: 3,
        sealed_with: Some(KEY),
    }
}

fn config() -> FileSpec {
    FileSpec {
        kind: FileKind::Config,
        name: "settings".into(),
        labels: labels("stage", "test"),
        data: Payload::new(*b"colour = blue"),
        size_bytes: 13,
        sealed_with: None,
    }
}

fn service(number: u64, state: UpdateState, mode: ServiceMode) -> Row {
    let spec = Arc::new(job(&format!("job-{number}"), mode));
    Row::Service(Arc::new(Service {
        id: ServiceId(42 + number),
        previous_spec: Some(spec.clone()),
        spec,
        template_version: Index(14),
        previous_template_version: Some(Index(13)),
        vips: addresses(60 + number as u8),
        ports: ports(),
        allocated: Index(14),
        update: Some(update(state)),
        removing: true,
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
        version: Index(14),
    }))
}

fn task(number: u32, health: Option<Health>) -> Row {
    Row::Task(Arc::new(Task {
        id: TaskId(90 + u64::from(number)),
        service: ServiceId(42),
        slot: Slot::Replica(number + 1),
        template: Arc::new(template()),
        template_version: Index(14),
        desired: TaskState::Complete,
        status: TaskStatus { state: TaskState::Running, health, ..status() },
        addresses: addresses(70 + number as u8),
        ..content::task_row(number, TaskState::Running)
    }))
}

fn job(name: &str, mode: ServiceMode) -> ServiceSpec {
    let rollback = UpdateConfig { parallelism: 7, delay_ms: 8, order: Some(UpdateOrder::StartFirst), ..content::service_spec().update };
    ServiceSpec { name: name.into(), mode, task: template(), rollback, ..content::service_spec() }
}

fn template() -> TaskTemplate {
    let reference = |id, name: &str, target: &str| FileReference { id, name: name.into(), target: target.into(), mode: 0o400 };
    TaskTemplate {
        image: Image { name: "127.0.0.1:5000/web:v2".into(), ..content::template().image },
        mounts: vec![Mount { kind: MountKind::Bind, source: "/srv/{{.Service.Name}}".into(), target: "/srv".into(), read_only: true }],
        secrets: vec![reference(SECRET, "password", "/run/secrets/password")],
        configs: vec![reference(CONFIG, "settings", "/etc/web.toml")],
        placement: Placement {
            replicas_max_per_node: 2,
            preferences: vec!["spread=node.labels.zone".parse().unwrap(), "spread=node.labels.rack".parse().unwrap()],
        },
        health: Some(HealthCheck {
            probe: HealthProbe::Http { path: "/up".into(), port: Some(81) },
            interval_ms: 1_001,
            timeout_ms: 1_002,
            retries: 4,
            start_period_ms: 1_003,
        }),
        ..content::template()
    }
}
