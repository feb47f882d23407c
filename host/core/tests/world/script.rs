//! The language of the scenarios: one command a line, words and `key=value`.
use std::collections::BTreeMap;
use std::time::Duration;

use minicloud_core::command::{Command, NodeChange, Rejection};
use minicloud_core::id::{FileId, NetworkId, ServiceId, VolumeId};
use minicloud_core::names;
use minicloud_core::spec::*;
use minicloud_core::state::{Availability, NodeDescription, NodeStatus, Role, RowKey};
use minicloud_core::task::{Health, TaskState, TaskStatus};
use minicloud_core::view;

use super::render;
use super::world::World;

type Answer = Result<String, Rejection>;

/// Runs one line and returns what it prints.
pub fn run(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [verb, rest @ ..] = words.as_slice() else { return String::new() };
    let arguments = Arguments::parse(rest);
    match execute(world, verb, &arguments) {
        Ok(text) => text,
        Err(rejection) => format!("refused: {rejection}"),
    }
}

struct Arguments<'a> {
    words: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Arguments<'a> {
    fn parse(words: &[&'a str]) -> Self {
        let (options, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.contains('='));
        Arguments { words, options: options.iter().filter_map(|option| option.split_once('=')).collect() }
    }

    fn word(&self, at: usize) -> &'a str {
        self.words.get(at).copied().unwrap_or_else(|| panic!("word {at} is missing"))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn option(&self, key: &str) -> Option<&'a str> {
        self.options.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.option(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key}={value} is no number")))
    }

    fn duration_ms(&self, key: &str) -> Option<u64> {
        self.option(key).map(|value| duration(value).as_millis() as u64)
    }
}

fn duration(text: &str) -> Duration {
    let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.parse().ok());
    match (number("ms"), number("s")) {
        (Some(ms), _) => Duration::from_millis(ms),
        (None, Some(s)) => Duration::from_secs(s),
        (None, None) => panic!("'{text}' is no duration"),
    }
}

fn execute(world: &mut World, verb: &str, arguments: &Arguments) -> Answer {
    match verb {
        "cluster" => done(world.found(arguments.option("pool").unwrap_or("10.0.0.0/8"))),
        "add-nodes" => add_nodes(world, arguments),
        "node" => node(world, arguments),
        "remove-node" => {
            let node = world.state.find_node(arguments.word(0))?.id;
            done(world.apply(Command::RemoveNode { node, force: arguments.has("force") }))
        }
        "create-network" => {
            let id = NetworkId(world.id());
            done(world.apply(Command::CreateNetwork { id, spec: network_spec(arguments) }))
        }
        "remove-network" => {
            let id = world.state.find_network(arguments.word(0))?.id;
            done(world.apply(Command::RemoveNetwork { id }))
        }
        "create-volume" => {
            let node = arguments.option("node").map(|node| world.state.find_node(node).map(|node| node.id)).transpose()?;
            let spec = VolumeSpec { name: arguments.word(0).to_owned(), labels: Labels::new(), node };
            let id = VolumeId(world.id());
            done(world.apply(Command::CreateVolume { id, spec }))
        }
        "remove-volume" => {
            let id = world.state.find_volume(arguments.word(0))?.id;
            done(world.apply(Command::RemoveVolume { id }))
        }
        "seal-key" => {
            let fingerprint = [arguments.word(0).parse().expect("a number"); 32];
            let replaces = arguments.number("replaces").map(|key| [key as u8; 32]);
            done(world.apply(Command::SetSealKey { fingerprint, replaces }))
        }
        "create-secret" => create_file(world, FileKind::Secret, arguments),
        "create-config" => create_file(world, FileKind::Config, arguments),
        "label-config" => {
            let id = world.state.find_file(FileKind::Config, arguments.word(0))?.id;
            let labels = arguments.all("label").filter_map(|label| label.split_once(':')).map(own).collect();
            done(world.apply(Command::LabelFile { id, labels }))
        }
        "remove-secret" => {
            let id = world.state.find_file(FileKind::Secret, arguments.word(0))?.id;
            done(world.apply(Command::RemoveFile { id }))
        }
        "remove-config" => {
            let id = world.state.find_file(FileKind::Config, arguments.word(0))?.id;
            done(world.apply(Command::RemoveFile { id }))
        }
        // As no command can: what a reference names is gone.
        "lose-secret" => {
            let id = world.state.find_file(FileKind::Secret, arguments.word(0))?.id;
            world.state.remove_row(RowKey::File(id));
            Ok(String::new())
        }
        "files" => Ok(render::files(world)),
        "create-service" => create_service(world, arguments),
        "update-service" => update_service(world, arguments),
        "rollback" => {
            let service = world.state.find_service(arguments.word(0))?;
            let (id, version) = (service.id, arguments.number("version").map_or(service.version, minicloud_core::id::Index));
            done(world.apply(Command::RollbackService { id, version }))
        }
        "scale" => scale(world, arguments),
        "remove-service" => {
            let id = world.state.find_service(arguments.word(0))?.id;
            done(world.apply(Command::RemoveService { id }))
        }
        "plan" => {
            let plan = world.plan_and_apply();
            Ok(render::plan(world, &plan))
        }
        "run" => Ok(run_agents(world)),
        "settle" => {
            world.settle();
            Ok(String::new())
        }
        "advance" => {
            world.advance(duration(arguments.word(0)));
            Ok(String::new())
        }
        "report" => report(world, arguments),
        "stick" => {
            let task = world.task(arguments.word(0)).expect("a task of this name");
            world.stuck.insert(task);
            Ok(String::new())
        }
        "unstick" => {
            let task = world.task(arguments.word(0)).expect("a task of this name");
            world.stuck.remove(&task);
            Ok(String::new())
        }
        "tasks" => {
            let service = arguments.words.first().map(|name| world.state.find_service(name).map(|service| service.id));
            Ok(render::tasks(world, service.transpose()?))
        }
        "texts" => render::texts(world, arguments.word(0)),
        "volumes" => Ok(render::volumes(world)),
        "addresses" => Ok(render::addresses(world)),
        "service" => service(world, arguments),
        "events" => Ok(render::events(&std::mem::take(&mut world.events))),
        "spread" => Ok(spread(world)),
        "resolve" => resolve(world, arguments),
        "find-task" => world.state.find_task(arguments.word(0)).map(|task| render::task_name(world, task.id)),
        "find-service" => world.state.find_service(arguments.word(0)).map(|service| service.spec.name.clone()),
        verb => panic!("no such command: {verb}"),
    }
}

fn done(outcome: minicloud_core::command::Outcome) -> Answer {
    outcome.map(|_| String::new())
}

fn add_nodes(world: &mut World, arguments: &Arguments) -> Answer {
    let count: usize = arguments.word(0).parse().expect("a number of nodes");
    let role = arguments.has("managers").then_some(Role::Manager);
    let description = NodeDescription {
        version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        memory_bytes: arguments.number("memory").unwrap_or(1024) << 20,
        cpu_millis: arguments.number("cpu").unwrap_or(2000) as u32,
        tasks_max: arguments.number("tasks").unwrap_or(0) as u32,
        ingress: None,
    };
    world.add_nodes(count, role, &description)?;
    if world.state.cluster.is_none() {
        world.found("10.0.0.0/8")?;
    }
    Ok(String::new())
}

fn node(world: &mut World, arguments: &Arguments) -> Answer {
    let node = world.state.find_node(arguments.word(0))?.id;
    match arguments.option("status") {
        Some("down") => done(world.set_status(node, NodeStatus::Down)),
        Some("ready") => done(world.set_status(node, NodeStatus::Ready)),
        Some(status) => panic!("no such status: {status}"),
        None => Ok(String::new()),
    }?;
    let availability = arguments.option("availability").map(|availability| match availability {
        "active" => Availability::Active,
        "pause" => Availability::Pause,
        "drain" => Availability::Drain,
        availability => panic!("no such availability: {availability}"),
    });
    let role = arguments.option("role").map(|role| if role == "manager" { Role::Manager } else { Role::Worker });
    let labels_add: Labels = arguments.all("label").filter_map(|label| label.split_once(':')).map(own).collect();
    let labels_remove = arguments.all("label-rm").map(str::to_owned).collect();
    let change = NodeChange { availability, role, labels_add, labels_remove };
    if change == NodeChange::default() { Ok(String::new()) } else { done(world.apply(Command::UpdateNode { node, change })) }
}

fn own((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn network_spec(arguments: &Arguments) -> NetworkSpec {
    NetworkSpec {
        name: arguments.word(0).to_owned(),
        labels: Labels::new(),
        subnet: arguments.option("subnet").map(|subnet| subnet.parse().expect("a subnet")),
        internal: arguments.has("internal"),
        attachable: arguments.has("attachable"),
    }
}

fn create_file(world: &mut World, kind: FileKind, arguments: &Arguments) -> Answer {
    let size_bytes = arguments.number("bytes").unwrap_or(3);
    let spec = FileSpec {
        kind,
        name: arguments.word(0).to_owned(),
        labels: Labels::new(),
        data: Payload::new(vec![7; size_bytes as usize]),
        size_bytes,
        sealed_with: arguments.number("key").map(|key| [key as u8; 32]),
    };
    let id = FileId(world.id());
    done(world.apply(Command::CreateFile { id, spec }))
}

fn create_service(world: &mut World, arguments: &Arguments) -> Answer {
    let image = Image { name: arguments.option("image").unwrap_or("v1").to_owned(), digest: Digest([7; 32]) };
    let mut spec = ServiceSpec {
        name: arguments.word(0).to_owned(),
        labels: Labels::new(),
        mode: ServiceMode::Replicated { replicas: 1 },
        task: TaskTemplate::new(image),
        networks: Vec::new(),
        endpoint_mode: EndpointMode::Vip,
        ports: Vec::new(),
        update: UpdateConfig::default(),
        rollback: UpdateConfig::default(),
    };
    edit(world, &mut spec, arguments)?;
    let id = ServiceId(world.id());
    done(world.apply(Command::CreateService { id, spec: Box::new(spec) }))
}

fn update_service(world: &mut World, arguments: &Arguments) -> Answer {
    let service = world.state.find_service(arguments.word(0))?.clone();
    let mut spec = ServiceSpec::clone(&service.spec);
    edit(world, &mut spec, arguments)?;
    let version = arguments.number("version").map_or(service.version, minicloud_core::id::Index);
    done(world.apply(Command::UpdateService { id: service.id, version, spec: Box::new(spec) }))
}

/// What the options say, written into the spec; what they do not name stays.
fn edit(world: &World, spec: &mut ServiceSpec, arguments: &Arguments) -> Result<(), Rejection> {
    let options: BTreeMap<&str, Vec<&str>> = arguments.options.iter().fold(BTreeMap::new(), |mut options, (key, value)| {
        options.entry(*key).or_insert_with(Vec::new).push(*value);
        options
    });
    if arguments.has("global") {
        spec.mode = ServiceMode::Global;
    }
    match arguments.option("mode") {
        Some("job") => spec.mode = ServiceMode::ReplicatedJob { total: 1, max_concurrent: 0 },
        Some("global-job") => spec.mode = ServiceMode::GlobalJob,
        _ => {}
    }
    if arguments.has("force") {
        spec.task.force_update += 1;
    }
    for (key, values) in options {
        option(world, spec, arguments, key, &values)?;
    }
    Ok(())
}

fn option(world: &World, spec: &mut ServiceSpec, arguments: &Arguments, key: &str, values: &[&str]) -> Result<(), Rejection> {
    let value = values[0];
    let number = || value.parse::<u32>().unwrap_or_else(|_| panic!("{key}={value} is no number"));
    match key {
        "name" => spec.name = value.to_owned(),
        "version" | "mode" => {}
        "image" => spec.task.image.name = value.to_owned(),
        "replicas" => spec.mode = ServiceMode::Replicated { replicas: number() },
        "total" | "max-concurrent" => {
            if let ServiceMode::ReplicatedJob { total, max_concurrent } = &mut spec.mode {
                *(if key == "total" { total } else { max_concurrent }) = number();
            }
        }
        "network" => spec.networks = values.iter().map(|network| attachment(world, network)).collect::<Result<_, _>>()?,
        "publish" => spec.ports = values.iter().map(|port| published(port)).collect(),
        "mount" => spec.task.mounts = values.iter().map(|mount| self::mount(mount)).collect(),
        "secret" => spec.task.secrets = files(world, FileKind::Secret, values)?,
        "config" => spec.task.configs = files(world, FileKind::Config, values)?,
        "constraint" => spec.task.constraints = values.iter().map(|text| constraint(text)).collect(),
        "env" => spec.task.env = values.iter().filter_map(|env| env.split_once(':')).map(own).collect(),
        "memory" => spec.task.resources.reserve_memory_bytes = u64::from(number()) << 20,
        "cpu" => spec.task.resources.reserve_cpu_millis = number(),
        "endpoint" => spec.endpoint_mode = if value == "dnsrr" { EndpointMode::Dnsrr } else { EndpointMode::Vip },
        "order" => spec.update.order = Some(if value == "stop-first" { UpdateOrder::StopFirst } else { UpdateOrder::StartFirst }),
        "parallelism" => spec.update.parallelism = number(),
        "delay" => spec.update.delay_ms = duration(value).as_millis() as u64,
        "monitor" => spec.update.monitor_ms = duration(value).as_millis() as u64,
        "on-failure" => {
            spec.update.failure_action = match value {
                "continue" => FailureAction::Continue,
                "rollback" => FailureAction::Rollback,
                _ => FailureAction::Pause,
            };
        }
        "max-failures" => spec.update.max_failure_permille = number(),
        "rollback-on-failure" => {
            spec.rollback.failure_action = match value {
                "continue" => FailureAction::Continue,
                "rollback" => FailureAction::Rollback,
                _ => FailureAction::Pause,
            };
        }
        "rollback-parallelism" => spec.rollback.parallelism = number(),
        "rollback-monitor" => spec.rollback.monitor_ms = duration(value).as_millis() as u64,
        "restart" => {
            spec.task.restart.condition = match value {
                "none" => RestartCondition::None,
                "on-failure" => RestartCondition::OnFailure,
                _ => RestartCondition::Any,
            }
        }
        "hostname" => spec.task.hostname = Some(value.to_owned()),
        "label" => spec.labels = values.iter().filter_map(|label| label.split_once(':')).map(own).collect(),
        "max-per-node" => spec.task.placement.replicas_max_per_node = number(),
        "spread" => {
            let label = |label: &&str| PlacementPreference { label: (*label).to_owned() };
            spec.task.placement.preferences = values.iter().map(label).collect();
        }
        "health" => spec.task.health = Some(health(value)),
        "health-interval" => change_health(spec, |check| check.interval_ms = duration(value).as_millis() as u64),
        "health-retries" => change_health(spec, |check| check.retries = number()),
        "restart-delay" => spec.task.restart.delay_ms = arguments.duration_ms(key),
        "max-attempts" => spec.task.restart.max_attempts = number(),
        "window" => spec.task.restart.window_ms = duration(value).as_millis() as u64,
        key => panic!("no such option: {key}"),
    }
    Ok(())
}

/// `/path`, `:81/path`, or a port.
fn health(text: &str) -> HealthCheck {
    let http = |port: &str, path: &str| HealthProbe::Http { path: path.to_owned(), port: port.parse().ok() };
    HealthCheck::new(match text.strip_prefix(':').and_then(|rest| rest.split_once('/')) {
        Some((port, path)) => http(port, &format!("/{path}")),
        None => text.parse().map_or_else(|_| http("", text), |port| HealthProbe::Tcp { port }),
    })
}

fn change_health(spec: &mut ServiceSpec, change: impl FnOnce(&mut HealthCheck)) {
    change(spec.task.health.get_or_insert_with(|| HealthCheck::new(HealthProbe::Tcp { port: 80 })));
}

/// `front`, or `front:alias,alias`.
fn attachment(world: &World, text: &str) -> Result<NetworkAttachment, Rejection> {
    let (name, aliases) = text.split_once(':').unwrap_or((text, ""));
    let network = world.state.find_network(name)?.id;
    Ok(NetworkAttachment { network, aliases: aliases.split(',').filter(|alias| !alias.is_empty()).map(str::to_owned).collect() })
}

/// `8000:80`, `80` (published port chosen), each with `/udp` and `@host`.
fn published(text: &str) -> PublishedPort {
    let (text, mode) = text.strip_suffix("@host").map_or((text, PublishMode::Ingress), |text| (text, PublishMode::Host));
    let (text, protocol) = text.strip_suffix("/udp").map_or((text, Protocol::Tcp), |text| (text, Protocol::Udp));
    let (published, target) = text.split_once(':').unwrap_or(("0", text));
    let port = |text: &str| text.parse().expect("a port");
    PublishedPort { published: port(published), target: port(target), protocol, mode, address: None }
}

fn mount(text: &str) -> Mount {
    let (source, target) = text.split_once(':').expect("source:target");
    let kind = if source.starts_with('/') { MountKind::Bind } else { MountKind::Volume };
    Mount { kind, source: source.to_owned(), target: target.to_owned(), read_only: false }
}

/// `password`, `password:/etc/password`, or `none`.
fn files(world: &World, kind: FileKind, texts: &[&str]) -> Result<Vec<FileReference>, Rejection> {
    let file = |text: &&str| {
        let (name, target) =
            text.split_once(':').map_or_else(|| (*text, format!("{}{text}", kind.folder())), |(name, at)| (name, at.to_owned()));
        let id = world.state.find_file(kind, name)?.id;
        Ok(FileReference { id, name: name.to_owned(), target, mode: FILE_MODE_DEFAULT })
    };
    texts.iter().filter(|text| **text != "none").map(file).collect()
}

/// `node.role:worker`, or `node.role!worker`.
fn constraint(text: &str) -> Constraint {
    text.replacen(':', "==", 1).replacen('!', "!=", 1).parse().expect("a constraint")
}

fn scale(world: &mut World, arguments: &Arguments) -> Answer {
    let mut replicas = BTreeMap::new();
    for (service, count) in &arguments.options {
        replicas.insert(world.state.find_service(service)?.id, count.parse().expect("a number of replicas"));
    }
    done(world.apply(Command::ScaleServices { replicas }))
}

fn run_agents(world: &mut World) -> String {
    let reports = world.run_agents();
    let mut by_state: BTreeMap<TaskState, Vec<String>> = BTreeMap::new();
    for (task, status) in reports {
        by_state.entry(status.state).or_default().push(render::task_name(world, task));
    }
    let lines: Vec<String> = by_state
        .into_iter()
        .map(|(state, mut tasks)| {
            tasks.sort();
            format!("{state} {}", tasks.join(", "))
        })
        .collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}

/// `report worker.1 failed some words`: what the agent of the task's node says.
fn report(world: &mut World, arguments: &Arguments) -> Answer {
    let task = world.task(arguments.word(0)).expect("a task of this name");
    let node = world.state.tasks.get(&task).and_then(|task| task.node).expect("the task has a node");
    let state = match arguments.word(1) {
        "starting" => TaskState::Starting,
        "running" | "healthy" | "unhealthy" => TaskState::Running,
        "complete" => TaskState::Complete,
        "failed" => TaskState::Failed,
        "rejected" => TaskState::Rejected,
        "shutdown" => TaskState::Shutdown,
        state => panic!("no such state: {state}"),
    };
    let health = match arguments.word(1) {
        "starting" => Some(Health::Starting),
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        _ => None,
    };
    let status = TaskStatus { state, at: world.now, message: arguments.words[2..].join(" "), health, ..TaskStatus::default() };
    done(world.apply(Command::ReportStatus { node, tasks: vec![(task, status)] }))
}

fn service(world: &World, arguments: &Arguments) -> Answer {
    let service = world.state.find_service(arguments.word(0))?;
    let mut text = format!("{} {:?}", service.spec.name, service.spec.mode).to_lowercase();
    let vips = service.vips.iter().filter_map(|(network, vip)| Some(format!("{} {vip}", world.state.networks.get(network)?.spec.name)));
    let ports = service.ports.iter().map(|port| format!("{}:{}/{}", port.published, port.target, port.protocol));
    for part in vips.chain(ports) {
        text += &format!(", {part}");
    }
    if let Some(update) = &service.update {
        text += &format!(", {}", update.state);
    }
    Ok(text)
}

/// How many tasks run on each node.
fn spread(world: &World) -> String {
    let count = |node| world.state.tasks_of_node(node).filter(|task| task.is_running()).count();
    let counts: Vec<String> = world.state.nodes.keys().map(|node| format!("{node}: {}", count(*node))).collect();
    counts.join(", ")
}

/// `resolve rng on=front`.
fn resolve(world: &World, arguments: &Arguments) -> Answer {
    let networks: Vec<_> =
        arguments.all("on").map(|name| world.state.find_network(name).map(|network| network.id)).collect::<Result<_, _>>()?;
    let routes = view::routes(&world.state);
    Ok(match names::resolve(&routes, &networks, arguments.word(0)) {
        None => "no such name".to_owned(),
        Some(addresses) if addresses.is_empty() => "no address".to_owned(),
        Some(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    })
}
