//! From what a user asked for to a spec: names become ids, what is absent gets its default or stays as it was.
//!
//! What a spec may say is checked where it is applied; here is only what needs names.
mod names;

use minicloud_core::spec::{
    Constraint, FileKind, FileReference, Image, Mount, MountKind, Placement, PlacementPreference, PublishMode, PublishedPort,
    RestartPolicy, ServiceMode, ServiceSpec, TaskTemplate, UpdateConfig,
};
use minicloud_core::state::{ClusterState, Service};

use super::super::error::ApiError;
use super::super::types::{CreateService, FileUse, Mode, UpdateService};
use crate::images::ImageDefaults;
use names::{attachable, attachments, find_network, networks, references, unused_name};

pub fn create(state: &ClusterState, request: CreateService, image: Image, defaults: ImageDefaults) -> Result<ServiceSpec, ApiError> {
    let name = match request.name {
        Some(name) => name,
        None => unused_name(state, &image.name),
    };
    let mode = mode(request.mode, request.replicas, request.max_concurrent)?;
    if request.foreground {
        attachable(state, &request.networks)?;
    }
    let template = TaskTemplate::new(image);
    let mounts = mounts(&name, request.mounts, &defaults);
    let resources = minicloud_core::spec::Resources {
        limit_memory_bytes: request.limit_memory_bytes.unwrap_or_default(),
        limit_cpu_millis: request.limit_cpu_millis.unwrap_or_default(),
        reserve_memory_bytes: request.reserve_memory_bytes.unwrap_or_default(),
        reserve_cpu_millis: request.reserve_cpu_millis.unwrap_or_default(),
    };
    Ok(ServiceSpec {
        name,
        labels: request.labels,
        mode,
        task: TaskTemplate {
            args: if request.args.is_empty() { defaults.args } else { request.args },
            env: defaults.env.into_iter().chain(request.env).collect(),
            hostname: request.hostname,
            mounts,
            secrets: references(state, FileKind::Secret, &request.secrets)?,
            configs: references(state, FileKind::Config, &request.configs)?,
            http_port: request.http_port.or(defaults.http_port).unwrap_or(template.http_port),
            concurrency: request.concurrency.or(defaults.concurrency),
            resources,
            restart: request.restart.applied_to(RestartPolicy::default()),
            constraints: constraints(&request.constraints)?,
            placement: Placement {
                replicas_max_per_node: request.replicas_max_per_node.unwrap_or_default(),
                preferences: preferences(&request.placement_preferences)?,
            },
            health: request.health.applied_to(None).map_err(ApiError::invalid)?,
            stop_grace_ms: request.stop_grace_ms.unwrap_or(template.stop_grace_ms),
            ..template
        },
        networks: attachments(state, &request.networks, &request.aliases)?,
        endpoint_mode: request.endpoint_mode,
        ports: request.ports,
        update: request.update.applied_to(UpdateConfig::default()),
        rollback: request.rollback.applied_to(UpdateConfig::default()),
    })
}

/// The mounts that were asked for, and a volume of the service's own at each further path where the image needs one.
fn mounts(service: &str, mut mounts: Vec<Mount>, defaults: &ImageDefaults) -> Vec<Mount> {
    for target in &defaults.volumes {
        if !mounts.iter().any(|mount| mount.target == *target) {
            let part: String = target.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let source = format!("{service}{}", part.trim_end_matches('-'));
            mounts.push(Mount { kind: MountKind::Volume, source, target: target.clone(), read_only: false });
        }
    }
    mounts
}

/// The service's spec with the request's changes. `image`: the new one, resolved.
pub fn update(
    state: &ClusterState,
    service: &Service,
    request: &UpdateService,
    image: Option<(Image, ImageDefaults)>,
) -> Result<ServiceSpec, ApiError> {
    let mut spec = (*service.spec).clone();
    spec.mode = changed_mode(spec.mode, request)?;
    if let Some((image, defaults)) = image {
        spec.task.image = image;
        spec.task.concurrency = spec.task.concurrency.or(defaults.concurrency);
    }
    change_template(&mut spec.task, request)?;
    change_files(state, &mut spec.task.secrets, FileKind::Secret, &request.secrets_add, &request.secrets_rm)?;
    change_files(state, &mut spec.task.configs, FileKind::Config, &request.configs_add, &request.configs_rm)?;
    change_networks(state, &mut spec, request)?;
    change_ports(&mut spec.ports, request)?;
    remove_keys(&mut spec.labels, &request.labels_rm, "label")?;
    spec.labels.extend(request.labels_add.clone());
    spec.endpoint_mode = request.endpoint_mode.unwrap_or(spec.endpoint_mode);
    spec.update = request.update.applied_to(spec.update);
    spec.rollback = request.rollback.applied_to(spec.rollback);
    Ok(spec)
}

/// What the user should know of a spec that is accepted.
pub fn warnings(state: &ClusterState, spec: &ServiceSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if spec.networks.is_empty() && spec.ports.is_empty() && !spec.mode.is_job() {
        warnings.push(format!("service '{}' is on no network and publishes no port: nothing can connect to it", spec.name));
    }
    let host_mode = spec.ports.iter().any(|port| port.mode == PublishMode::Host);
    if let ServiceMode::Replicated { replicas } = spec.mode
        && host_mode
        && replicas as usize > state.nodes.len()
    {
        warnings.push(format!("{replicas} tasks each need a port of their node, and there are {} nodes", state.nodes.len()));
    }
    warnings
}

/// A mode with its numbers, those that were given or are kept.
fn mode(mode: Mode, replicas: Option<u32>, max_concurrent: Option<u32>) -> Result<ServiceMode, ApiError> {
    if mode.is_per_node() && replicas.is_some() {
        return Err(ApiError::invalid("a global service has one task per node: leave --replicas out, or give another --mode"));
    }
    if mode != Mode::ReplicatedJob && max_concurrent.is_some() {
        return Err(ApiError::invalid("only a replicated job runs in turns: give --mode replicated-job, or leave --max-concurrent out"));
    }
    Ok(match mode {
        Mode::Replicated => ServiceMode::Replicated { replicas: replicas.unwrap_or(1) },
        Mode::Global => ServiceMode::Global,
        Mode::ReplicatedJob => {
            ServiceMode::ReplicatedJob { total: replicas.unwrap_or(1), max_concurrent: max_concurrent.unwrap_or_default() }
        }
        Mode::GlobalJob => ServiceMode::GlobalJob,
    })
}

/// The mode after an update: what is not named stays, as far as the new mode has it.
fn changed_mode(now: ServiceMode, request: &UpdateService) -> Result<ServiceMode, ApiError> {
    let wanted = request.mode.unwrap_or(now.into());
    let (number, at_once) = match now {
        ServiceMode::Replicated { replicas } => (Some(replicas), None),
        ServiceMode::ReplicatedJob { total, max_concurrent } => (Some(total), Some(max_concurrent)),
        ServiceMode::Global | ServiceMode::GlobalJob => (None, None),
    };
    let number = number.filter(|_| !wanted.is_per_node());
    let at_once = at_once.filter(|_| wanted == Mode::ReplicatedJob);
    mode(wanted, request.replicas.or(number), request.max_concurrent.or(at_once))
}

fn change_template(task: &mut TaskTemplate, request: &UpdateService) -> Result<(), ApiError> {
    remove_keys(&mut task.env, &request.env_rm, "environment variable")?;
    task.env.extend(request.env_add.clone());
    if let Some(args) = &request.args {
        task.args.clone_from(args);
    }
    if let Some(hostname) = &request.hostname {
        task.hostname = Some(hostname.clone()).filter(|hostname| !hostname.is_empty());
    }
    for target in &request.mounts_rm {
        remove_one(&mut task.mounts, |mount| mount.target == *target, || format!("nothing is mounted at {target}"))?;
    }
    for mount in &request.mounts_add {
        task.mounts.retain(|old| old.target != mount.target);
        task.mounts.push(mount.clone());
    }
    for constraint in constraints(&request.constraints_rm)? {
        remove_one(&mut task.constraints, |old| *old == constraint, || format!("there is no constraint '{constraint}'"))?;
    }
    for constraint in constraints(&request.constraints_add)? {
        if !task.constraints.contains(&constraint) {
            task.constraints.push(constraint);
        }
    }
    change_placement(&mut task.placement, request)?;
    task.http_port = request.http_port.unwrap_or(task.http_port);
    task.concurrency = request.concurrency.map_or(task.concurrency, |limit| Some(limit).filter(|limit| *limit > 0));
    let resources = &mut task.resources;
    resources.limit_memory_bytes = request.limit_memory_bytes.unwrap_or(resources.limit_memory_bytes);
    resources.limit_cpu_millis = request.limit_cpu_millis.unwrap_or(resources.limit_cpu_millis);
    resources.reserve_memory_bytes = request.reserve_memory_bytes.unwrap_or(resources.reserve_memory_bytes);
    resources.reserve_cpu_millis = request.reserve_cpu_millis.unwrap_or(resources.reserve_cpu_millis);
    task.health = request.health.applied_to(task.health.take()).map_err(ApiError::invalid)?;
    task.restart = request.restart.applied_to(task.restart);
    task.stop_grace_ms = request.stop_grace_ms.unwrap_or(task.stop_grace_ms);
    task.force_update += u64::from(request.force);
    Ok(())
}

fn change_files(
    state: &ClusterState,
    files: &mut Vec<FileReference>,
    kind: FileKind,
    added: &[FileUse],
    removed: &[String],
) -> Result<(), ApiError> {
    for name in removed {
        let id = state.find_file(kind, name).ok().map(|file| file.id);
        let fits = |file: &FileReference| file.name == *name || Some(file.id) == id;
        remove_one(files, fits, || format!("the service has no {kind} '{name}'"))?;
    }
    for file in references(state, kind, added)? {
        // The same target given again is a change of it.
        files.retain(|old| old.target != file.target);
        files.push(file);
    }
    Ok(())
}

fn change_placement(placement: &mut Placement, request: &UpdateService) -> Result<(), ApiError> {
    placement.replicas_max_per_node = request.replicas_max_per_node.unwrap_or(placement.replicas_max_per_node);
    for preference in preferences(&request.placement_preferences_rm)? {
        remove_one(&mut placement.preferences, |old| *old == preference, || format!("there is no placement preference '{preference}'"))?;
    }
    for preference in preferences(&request.placement_preferences_add)? {
        if !placement.preferences.contains(&preference) {
            placement.preferences.push(preference);
        }
    }
    Ok(())
}

fn change_networks(state: &ClusterState, spec: &mut ServiceSpec, request: &UpdateService) -> Result<(), ApiError> {
    for name in &request.networks_rm {
        let network = find_network(state, name)?;
        remove_one(&mut spec.networks, |at| at.network == network, || format!("the service is not on network '{name}'"))?;
    }
    for attachment in networks(state, &request.networks_add)? {
        if !spec.networks.iter().any(|at| at.network == attachment.network) {
            spec.networks.push(attachment);
        }
    }
    Ok(())
}

fn change_ports(ports: &mut Vec<PublishedPort>, request: &UpdateService) -> Result<(), ApiError> {
    for target in &request.ports_rm {
        remove_one(ports, |port| port.target == *target, || format!("the service publishes no port for its port {target}"))?;
    }
    for added in &request.ports_add {
        // The same port given again is a change of it.
        ports.retain(|port| (port.target, port.published, port.protocol) != (added.target, added.published, added.protocol));
        ports.push(*added);
    }
    Ok(())
}

fn remove_keys<V>(map: &mut std::collections::BTreeMap<String, V>, keys: &[String], noun: &str) -> Result<(), ApiError> {
    for key in keys {
        if map.remove(key).is_none() {
            return Err(ApiError::not_found(format!("the service has no {noun} '{key}'")));
        }
    }
    Ok(())
}

/// Removes every row that fits; none is an error.
fn remove_one<T>(rows: &mut Vec<T>, fits: impl Fn(&T) -> bool, missing: impl Fn() -> String) -> Result<(), ApiError> {
    let before = rows.len();
    rows.retain(|row| !fits(row));
    if rows.len() == before { Err(ApiError::not_found(missing())) } else { Ok(()) }
}

fn constraints(texts: &[String]) -> Result<Vec<Constraint>, ApiError> {
    let parse = |text: &String| text.parse::<Constraint>().map_err(|error| ApiError::invalid(error.to_string()));
    texts.iter().map(parse).collect()
}

fn preferences(texts: &[String]) -> Result<Vec<PlacementPreference>, ApiError> {
    let parse = |text: &String| text.parse::<PlacementPreference>().map_err(|error| ApiError::invalid(error.to_string()));
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use minicloud_core::spec::Digest;

    fn image() -> Image {
        Image { name: "./build/My App.wasm".into(), digest: Digest([1; 32]) }
    }

    fn created(request: CreateService) -> Result<ServiceSpec, ApiError> {
        create(&ClusterState::default(), request, image(), ImageDefaults { concurrency: Some(4), ..Default::default() })
    }

    fn service(spec: ServiceSpec) -> Service {
        serde_json::from_value(serde_json::json!({
            "id": "000000000001", "spec": spec, "template_version": 1, "created_at": 0, "updated_at": 0, "version": 1,
        }))
        .unwrap()
    }

    #[test]
    fn a_service_gets_a_name_and_its_images_defaults() {
        let spec = created(CreateService::default()).unwrap();
        assert_eq!(spec.name, "my-app");
        assert_eq!(spec.mode, ServiceMode::Replicated { replicas: 1 });
        assert_eq!(spec.task.concurrency, Some(4));
        assert_eq!(created(CreateService { concurrency: Some(1), ..Default::default() }).unwrap().task.concurrency, Some(1));
    }

    #[test]
    fn what_an_image_wants_gives_way_to_what_is_asked_for() {
        let defaults = || ImageDefaults {
            args: vec!["--all".into()],
            env: [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "1".to_owned())].into(),
            http_port: Some(5000),
            volumes: vec!["/data".into(), "/var/log/".into()],
            ..Default::default()
        };
        let made = |request| create(&ClusterState::default(), request, image(), defaults()).unwrap().task;
        let plain = made(CreateService { name: Some("hub".into()), ..Default::default() });
        assert_eq!((plain.args, plain.http_port), (vec!["--all".to_owned()], 5000));
        let volumes: Vec<_> = plain.mounts.iter().map(|mount| (mount.source.as_str(), mount.target.as_str())).collect();
        assert_eq!(volumes, [("hub-data", "/data"), ("hub-var-log", "/var/log/")]);
        let asked = made(CreateService {
            args: vec!["--one".into()],
            env: [("B".to_owned(), "2".to_owned())].into(),
            http_port: Some(80),
            mounts: vec![Mount { kind: MountKind::Volume, source: "mine".into(), target: "/data".into(), read_only: true }],
            ..Default::default()
        });
        assert_eq!(
            (asked.args, asked.http_port, asked.env["A"].as_str(), asked.env["B"].as_str()),
            (vec!["--one".to_owned()], 80, "1", "2")
        );
        assert_eq!((asked.mounts.len(), asked.mounts[0].source.as_str()), (2, "mine"));
    }

    #[test]
    fn a_missing_network_says_how_to_make_it() {
        let error = created(CreateService { networks: vec!["blue".into()], ..Default::default() }).unwrap_err();
        assert_eq!(error, ApiError::not_found("no network 'blue': create it with 'minicloud network create blue'"));
    }

    #[test]
    fn a_job_has_a_total_and_a_number_at_once() {
        let request = |mode, replicas, max_concurrent| CreateService { mode, replicas, max_concurrent, ..Default::default() };
        let job = |total, max_concurrent| ServiceMode::ReplicatedJob { total, max_concurrent };
        assert_eq!(created(request(Mode::ReplicatedJob, None, None)).unwrap().mode, job(1, 0));
        assert_eq!(created(request(Mode::ReplicatedJob, Some(5), Some(2))).unwrap().mode, job(5, 2));
        assert_eq!(created(request(Mode::GlobalJob, None, None)).unwrap().mode, ServiceMode::GlobalJob);
        for wrong in
            [request(Mode::GlobalJob, Some(2), None), request(Mode::GlobalJob, None, Some(2)), request(Mode::Replicated, Some(2), Some(1))]
        {
            assert!(created(wrong).is_err());
        }
        let change = |now, request: UpdateService| changed_mode(now, &request).unwrap();
        let to = |mode| UpdateService { mode: Some(mode), ..Default::default() };
        assert_eq!(change(job(5, 2), UpdateService { replicas: Some(7), ..Default::default() }), job(7, 2));
        assert_eq!(change(job(5, 2), UpdateService { max_concurrent: Some(0), ..Default::default() }), job(5, 0));
        assert_eq!(change(job(5, 2), to(Mode::Replicated)), ServiceMode::Replicated { replicas: 5 });
        assert_eq!(change(job(5, 2), to(Mode::GlobalJob)), ServiceMode::GlobalJob);
        assert_eq!(change(ServiceMode::Replicated { replicas: 3 }, to(Mode::ReplicatedJob)), job(3, 0));
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let ports = vec![PublishedPort { published: 8000, target: 80, ..serde_json::from_str(r#"{"target":80}"#).unwrap() }];
        let env = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())].into();
        let before = service(created(CreateService { ports, env, replicas: Some(3), ..Default::default() }).unwrap());
        let update = |request: &UpdateService| update(&ClusterState::default(), &before, request, None);

        assert_eq!(update(&UpdateService::default()).unwrap(), *before.spec);
        let request = UpdateService {
            env_rm: vec!["A".into()],
            env_add: [("C".to_owned(), "3".to_owned())].into(),
            ports_rm: vec![80],
            replicas: Some(5),
            force: true,
            ..Default::default()
        };
        let after = update(&request).unwrap();
        assert_eq!(after.task.env.keys().collect::<Vec<_>>(), ["B", "C"]);
        assert_eq!((after.ports.len(), after.mode, after.task.force_update), (0, ServiceMode::Replicated { replicas: 5 }, 1));
        assert_eq!(update(&UpdateService { mode: Some(Mode::Global), ..Default::default() }).unwrap().mode, ServiceMode::Global);

        for wrong in [
            UpdateService { env_rm: vec!["Z".into()], ..Default::default() },
            UpdateService { ports_rm: vec![81], ..Default::default() },
            UpdateService { mounts_rm: vec!["/data".into()], ..Default::default() },
            UpdateService { constraints_add: vec!["nonsense".into()], ..Default::default() },
            UpdateService { mode: Some(Mode::Global), replicas: Some(2), ..Default::default() },
            UpdateService { max_concurrent: Some(2), ..Default::default() },
        ] {
            assert!(update(&wrong).is_err(), "{wrong:?}");
        }
    }
}
