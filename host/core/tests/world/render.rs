//! Plans and tables as the scenarios show them.
use minicloud_core::command::{Change, Rejection};
use minicloud_core::event::Event;
use minicloud_core::id::{NodeId, ServiceId, TaskId};
use minicloud_core::plan::Plan;
use minicloud_core::spec::Image;
use minicloud_core::state::Task;
use minicloud_core::time::Timestamp;

use super::world::{START, World};

/// One line for each kind of change, in the order in which the plan has them.
pub fn plan(world: &World, plan: &Plan) -> String {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for (kind, text) in plan.changes.iter().filter_map(|change| self::change(world, change)) {
        match lines.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, texts)) => texts.push(text),
            None => lines.push((kind, vec![text])),
        }
    }
    let mut lines: Vec<String> = lines.into_iter().map(|(kind, texts)| format!("{kind} {}", texts.join(", "))).collect();
    for (service, reason) in &plan.report.services {
        lines.push(format!("stuck {}: {reason}", service_name(world, *service)));
    }
    if let Some(at) = plan.wake_at {
        lines.push(format!("wake in {}", after(world.now, at)));
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines.join("\n")
}

/// Addresses are left out: `tasks` and `resolve` show them.
fn change(world: &World, change: &Change) -> Option<(&'static str, String)> {
    Some(match change {
        Change::SetAddresses { .. } | Change::SetEndpoint { .. } => return None,
        Change::SetSubnet { network, subnet } => {
            let network = &world.state.networks.get(network)?.spec.name;
            ("subnet", format!("{network} {subnet}"))
        }
        Change::CreateTask(task) => {
            let delay = task.start_at.map_or_else(String::new, |at| format!(" in {}", after(world.now, at)));
            ("create", format!("{}{delay}", task_name(world, task.id)))
        }
        Change::AssignTask { task, node } => ("assign", format!("{} -> {node}", task_name(world, *task))),
        Change::SetDesired { task, desired } => match desired.to_string().as_str() {
            "remove" => ("remove", task_name(world, *task)),
            _ => ("shutdown", task_name(world, *task)),
        },
        Change::SetObserved { task, status } => ("observe", format!("{} {}", task_name(world, *task), status.state)),
        Change::SetWaiting { task, reason } => ("wait", format!("{}: {reason}", task_name(world, *task))),
        Change::RemoveTask { task } => ("forget", task_name(world, *task)),
        Change::RemoveService { service } => ("forget service", service_name(world, *service)),
        Change::BindVolume { volume, node } => ("bind", format!("{} -> {node}", world.state.volumes.get(volume)?.spec.name)),
        Change::CreateVolume { spec, .. } => ("create volume", spec.name.clone()),
        Change::UndoUpdate { service, message, .. } => ("undo", format!("{}: {message}", service_name(world, *service))),
        Change::SetUpdate { service, update, .. } => {
            ("update", format!("{} {}: {}", service_name(world, *service), update.state, update.message))
        }
    })
}

fn service_name(world: &World, id: ServiceId) -> String {
    world.services.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

pub fn task_name(world: &World, id: TaskId) -> String {
    world.names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

fn after(now: Timestamp, at: Timestamp) -> String {
    format!("{}ms", at.since(now).as_millis())
}

/// `service ps` of one service or of all: name, node, desired, observed, what is wrong.
pub fn tasks(world: &World, service: Option<ServiceId>) -> String {
    let mut tasks: Vec<&Task> = world.state.tasks.values().map(|task| &**task).collect();
    tasks.retain(|task| service.is_none_or(|service| service == task.service));
    tasks.sort_by_key(|task| (service_name(world, task.service), task.slot, task.created, task.id));
    let lines: Vec<String> = tasks.into_iter().map(|task| task_line(world, task)).collect();
    if lines.is_empty() { "no tasks".to_owned() } else { lines.join("\n") }
}

fn task_line(world: &World, task: &Task) -> String {
    let node = task.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
    let Image { name: image, .. } = &task.template.image;
    let mut line = format!("{} {image} {node} {} {}", task_name(world, task.id), task.desired, task.status.state);
    if let Some(health) = task.status.health {
        line += &format!(" ({health})");
    }
    if let Some(at) = task.start_at.filter(|at| *at > START && *at > world.now) {
        line += &format!(" (in {})", after(world.now, at));
    }
    if !task.status.message.is_empty() {
        line += &format!(": {}", task.status.message);
    }
    line
}

/// One line for each event.
pub fn events(events: &[Event]) -> String {
    let line = |event: &Event| {
        let node = event.node.as_ref().filter(|node| **node != event.name).map_or_else(String::new, |node| format!(" on {node}"));
        let detail = if event.detail.is_empty() { String::new() } else { format!(": {}", event.detail) };
        format!("{} {} {}{node}{detail}", event.subject, event.action, event.name)
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Of every live task of a service its hostname, variables and volumes.
pub fn texts(world: &World, service: &str) -> Result<String, Rejection> {
    let service = world.state.find_service(service)?.id;
    let tasks = world.state.tasks_of_service(service).filter(|task| task.is_live());
    let lines = tasks.map(|task| {
        let hostname = task.template.hostname.clone().unwrap_or_default();
        let env = task.template.env.iter().map(|(key, value)| format!("{key}={value}"));
        let mounts = task.template.mounts.iter().map(|mount| mount.source.clone());
        let texts: Vec<String> = std::iter::once(hostname).chain(env).chain(mounts).filter(|text| !text.is_empty()).collect();
        format!("{} {}", task_name(world, task.id), texts.join(", "))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub fn volumes(world: &World) -> String {
    let node = |node: Option<NodeId>| node.map_or_else(|| "-".to_owned(), |node| node.to_string());
    let mut lines: Vec<String> = world.state.volumes.values().map(|volume| format!("{} {}", volume.spec.name, node(volume.node))).collect();
    lines.sort();
    lines.join("\n")
}

/// Secrets and configs, and who uses them.
pub fn files(world: &World) -> String {
    let mut lines: Vec<String> = Vec::new();
    for file in world.state.files.values() {
        let labels: String = file.spec.labels.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let users = world.state.users_of_file(file.id).join(", ");
        lines.push(format!("{} {}{labels}: {users}", file.spec.kind, file.spec.name).trim_end_matches([':', ' ']).to_owned());
    }
    lines.sort();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
}

/// Of every live task its addresses, by network.
pub fn addresses(world: &World) -> String {
    let network = |id| world.state.networks.get(id).map_or("(gone)", |network| network.spec.name.as_str());
    let mut lines = Vec::new();
    for task in world.state.tasks.values().filter(|task| task.is_live()) {
        let addresses: Vec<String> = task.addresses.iter().map(|(id, address)| format!("{} {address}", network(id))).collect();
        lines.push(format!("{} {}", task_name(world, task.id), addresses.join(", ")));
    }
    lines.join("\n")
}
