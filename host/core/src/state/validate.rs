//! What a spec may say, apart from the rest of the cluster.
use std::collections::BTreeSet;

use crate::command::Rejection;
use crate::limits;
use crate::spec::{
    FailureAction, FileKind, FileSpec, HealthCheck, HealthProbe, Labels, Mount, MountKind, Placeholder, PublishedPort, ServiceMode,
    ServiceSpec, TaskTemplate, UpdateConfig, expand, has_placeholder,
};

/// Names that would hide others in `<name>.<network>` and `<name>.<network>.minicloud`.
pub(super) const NETWORK_NAMES_RESERVED: [&str; 2] = ["minicloud", "localhost"];
/// Names that mean something else to a resolver.
const SERVICE_NAMES_RESERVED: [&str; 2] = ["localhost", "tasks"];

impl ServiceSpec {
    /// Whether a service may be so, apart from the rest of the cluster.
    pub fn check(&self) -> Result<(), Rejection> {
        service(self)
    }
}

pub(super) fn service(spec: &ServiceSpec) -> Result<(), Rejection> {
    let name = &spec.name;
    self::name("service", name)?;
    if SERVICE_NAMES_RESERVED.contains(&name.as_str()) {
        return invalid(format!("'{name}' is a reserved name; choose another for the service"));
    }
    labels(&spec.labels)?;
    placeholders(spec)?;
    mode(spec)?;
    template(&spec.task)?;
    placement(spec)?;
    attachments(spec)?;
    ports(&spec.ports)?;
    update("update", &spec.update)?;
    update("rollback", &spec.rollback)?;
    if spec.rollback.failure_action == FailureAction::Rollback {
        return invalid("a rollback cannot be rolled back; use --rollback-failure-action pause or continue".to_owned());
    }
    Ok(())
}

fn mode(spec: &ServiceSpec) -> Result<(), Rejection> {
    let unset = spec.update == UpdateConfig::default() && spec.rollback == UpdateConfig::default();
    if spec.mode.is_job() && !unset {
        return invalid("a job is begun anew, not updated task by task: leave the --update and --rollback flags out".to_owned());
    }
    match spec.mode {
        ServiceMode::Replicated { replicas } => self::replicas(&spec.name, replicas),
        ServiceMode::ReplicatedJob { total, .. } => self::replicas(&spec.name, total),
        ServiceMode::Global | ServiceMode::GlobalJob => Ok(()),
    }
}

pub(super) fn replicas(name: &str, replicas: u32) -> Result<(), Rejection> {
    if replicas > limits::REPLICAS_MAX {
        return invalid(format!("{replicas} replicas of '{name}' are too many; ask for at most {}", limits::REPLICAS_MAX));
    }
    Ok(())
}

/// A DNS label, in which underscores are allowed too: `compose` and `stack` name a service `project_service`.
pub(super) fn name(noun: &str, name: &str) -> Result<(), Rejection> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let edges = !name.starts_with(['-', '_']) && !name.ends_with(['-', '_']);
    if name.is_empty() || name.len() > limits::NAME_CHARS_MAX || !edges || !name.bytes().all(inner) {
        let shown: String = name.chars().take(limits::NAME_CHARS_MAX).collect();
        return invalid(format!(
            "'{shown}' cannot name a {noun}; use 1 to {} lower-case letters, digits, inner hyphens and underscores",
            limits::NAME_CHARS_MAX
        ));
    }
    Ok(())
}

/// A secret or config, apart from whether its name is free. Docker's rules for its name.
pub(super) fn file(spec: &FileSpec) -> Result<(), Rejection> {
    let FileSpec { kind, name, .. } = spec;
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let edges = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > limits::FILE_NAME_CHARS_MAX || !edges || !name.bytes().all(inner) {
        let shown: String = name.chars().take(limits::FILE_NAME_CHARS_MAX).collect();
        return invalid(format!(
            "'{shown}' cannot name a {kind}; use 1 to {} letters, digits, inner hyphens, dots and underscores",
            limits::FILE_NAME_CHARS_MAX
        ));
    }
    labels(&spec.labels)?;
    let (most, overhead) = match kind {
        FileKind::Secret => (limits::SECRET_BYTES_MAX, limits::SEAL_BYTES_MAX),
        FileKind::Config => (limits::CONFIG_BYTES_MAX, 0),
    };
    if spec.size_bytes > most as u64 || spec.data.len() > most + overhead {
        return invalid(format!(
            "{kind} '{name}' has {} bytes, and at most {most} are allowed; put large data on a volume",
            spec.size_bytes
        ));
    }
    Ok(())
}

pub(super) fn hostname_of_node(hostname: &str) -> Result<(), Rejection> {
    let visible = hostname.bytes().all(|c| c.is_ascii_graphic());
    if hostname.is_empty() || hostname.len() > limits::HOSTNAME_CHARS_MAX || !visible {
        return invalid(format!("the hostname of a node must be 1 to {} visible characters without blanks", limits::HOSTNAME_CHARS_MAX));
    }
    Ok(())
}

pub(super) fn labels(labels: &Labels) -> Result<(), Rejection> {
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if labels.keys().any(String::is_empty) {
        return invalid("a label needs a name: --label NAME=VALUE".to_owned());
    }
    if bytes > limits::TASK_TEXT_BYTES_MAX {
        return invalid(format!("the labels are longer than {} bytes together; shorten them", limits::TASK_TEXT_BYTES_MAX));
    }
    Ok(())
}

/// A row's id comes from its proposer; one that is taken would overwrite another row.
pub(super) fn fresh_id(noun: &str, taken: bool) -> Result<(), Rejection> {
    if taken { Err(Rejection::Conflict(format!("the id of the new {noun} is taken; try again"))) } else { Ok(()) }
}

/// `service 'a'`, or `services 'a', 'b'`; `None` when there are none.
pub(super) fn users(names: &[&str]) -> Option<String> {
    const NAMED_MAX: usize = 5;
    let shown: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("'{name}'")).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    match names.len() {
        0 => None,
        1 => Some(format!("service {}", shown.join(", "))),
        _ if more > 0 => Some(format!("services {} and {more} more", shown.join(", "))),
        _ => Some(format!("services {}", shown.join(", "))),
    }
}

fn template(template: &TaskTemplate) -> Result<(), Rejection> {
    if template.image.name.is_empty() {
        return invalid("the image is empty; name a bundled image such as 'redis', or the path of a component".to_owned());
    }
    texts(template)?;
    mounts(template)?;
    files(template)?;
    if let Some(hostname) = &template.hostname {
        name("task (--hostname)", &sample(hostname))?;
    }
    template.health.as_ref().map_or(Ok(()), health)?;
    if template.http_port == 0 {
        return invalid("port 0 is no port to serve HTTP on; give --http-port 1 to 65535".to_owned());
    }
    if template.concurrency == Some(0) {
        return invalid("concurrency 0 would serve nothing; give --concurrency 1 or more".to_owned());
    }
    let resources = &template.resources;
    if (1..limits::TASK_MEMORY_MIN_BYTES).contains(&resources.limit_memory_bytes) {
        return invalid(format!(
            "a memory limit of {} bytes is too small; give at least {} bytes",
            resources.limit_memory_bytes,
            limits::TASK_MEMORY_MIN_BYTES
        ));
    }
    let day = limits::INTERVAL_MAX.as_millis() as u64;
    let restart = &template.restart;
    if template.stop_grace_ms > day || restart.delay_ms.is_some_and(|delay| delay > day) {
        return invalid(format!("a stop grace period or restart delay may be at most {} hours", day / 3_600_000));
    }
    Ok(())
}

/// Placeholders are read when the spec is handed in, not when a task is made of it.
fn placeholders(spec: &ServiceSpec) -> Result<(), Rejection> {
    for text in spec.task.texts().filter(|text| has_placeholder(text)) {
        let mut missing = None;
        let look = |placeholder: &Placeholder| {
            if let Placeholder::ServiceLabel(label) = placeholder
                && !spec.labels.contains_key(label)
            {
                missing = Some(label.clone());
            }
            None
        };
        expand(text, look).map_err(|error| Rejection::Invalid(error.to_string()))?;
        if let Some(label) = missing {
            return invalid(format!("'{text}' needs the label '{label}', which the service has not; give it with --label {label}=VALUE"));
        }
    }
    Ok(())
}

/// What the text may become: every name that is put in as one letter.
fn sample(text: &str) -> String {
    let letter = |placeholder: &Placeholder| match placeholder {
        Placeholder::Text(text) => Some(text.clone()),
        _ => Some("x".to_owned()),
    };
    expand(text, letter).unwrap_or_else(|_| text.to_owned())
}

fn placement(spec: &ServiceSpec) -> Result<(), Rejection> {
    let placement = &spec.task.placement;
    if placement.replicas_max_per_node > 0 && spec.mode.is_per_node() {
        return invalid("a global service has one task per node: leave --replicas-max-per-node out".to_owned());
    }
    if placement.preferences.len() > limits::PREFERENCES_MAX {
        let most = limits::PREFERENCES_MAX;
        return invalid(format!("{} placement preferences are too many; use at most {most}", placement.preferences.len()));
    }
    Ok(())
}

fn health(check: &HealthCheck) -> Result<(), Rejection> {
    let day = limits::INTERVAL_MAX.as_millis() as u64;
    let least = limits::HEALTH_INTERVAL_MIN.as_millis() as u64;
    match &check.probe {
        HealthProbe::Http { path, .. } if !path.starts_with('/') || !path.bytes().all(|c| c.is_ascii_graphic()) => {
            return invalid(format!("'{path}' is no path; give --health-http as /PATH, or as :PORT/PATH"));
        }
        HealthProbe::Http { path, .. } if path.len() > limits::HEALTH_PATH_BYTES_MAX => {
            return invalid(format!("the path of a health check may be at most {} bytes long", limits::HEALTH_PATH_BYTES_MAX));
        }
        HealthProbe::Http { port: Some(0), .. } | HealthProbe::Tcp { port: 0 } => {
            return invalid("port 0 is no port to check; give 1 to 65535".to_owned());
        }
        HealthProbe::Http { .. } | HealthProbe::Tcp { .. } => {}
    }
    if !(least..=day).contains(&check.interval_ms) {
        return invalid(format!("--health-interval must lie between {least} ms and {} hours", day / 3_600_000));
    }
    if !(1..=day).contains(&check.timeout_ms) {
        return invalid(format!("--health-timeout must lie between 1 ms and {} hours", day / 3_600_000));
    }
    if check.start_period_ms > day {
        return invalid(format!("--health-start-period may be at most {} hours", day / 3_600_000));
    }
    if check.retries == 0 {
        return invalid("--health-retries 0 would make every task unhealthy; give 1 or more".to_owned());
    }
    Ok(())
}

fn texts(template: &TaskTemplate) -> Result<(), Rejection> {
    let args = template.args.iter().map(String::len);
    let env = template.env.iter().map(|(name, value)| name.len() + value.len());
    if args.chain(env).sum::<usize>() > limits::TASK_TEXT_BYTES_MAX {
        let most = limits::TASK_TEXT_BYTES_MAX;
        return invalid(format!("the arguments and environment are longer than {most} bytes together; shorten them"));
    }
    match template.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => invalid(format!("'{name}' cannot name an environment variable; use --env NAME=VALUE")),
        None => Ok(()),
    }
}

fn mounts(template: &TaskTemplate) -> Result<(), Rejection> {
    if template.mounts.len() > limits::MOUNTS_MAX {
        return invalid(format!("{} mounts are too many; use at most {}", template.mounts.len(), limits::MOUNTS_MAX));
    }
    let mut targets = BTreeSet::new();
    for mount in &template.mounts {
        source(mount)?;
        let target = mount.target.as_str();
        if !target.starts_with('/') || target.split('/').any(|part| part == "..") {
            return invalid(format!("mount target '{target}' must be an absolute path such as /data"));
        }
        if !targets.insert(target.trim_end_matches('/')) {
            return invalid(format!("two mounts are at '{target}'; give each a target of its own"));
        }
    }
    Ok(())
}

fn source(mount: &Mount) -> Result<(), Rejection> {
    let path = &mount.source;
    match mount.kind {
        MountKind::Volume => name("volume", &sample(path)),
        MountKind::Bind if !path.starts_with('/') || path.contains('\0') => {
            invalid(format!("'{path}' is no absolute path; a bind has that of a folder or file as its source, for example /srv/data"))
        }
        MountKind::Bind if path.len() > limits::BIND_SOURCE_BYTES_MAX => {
            invalid(format!("the source of a bind may be at most {} bytes long", limits::BIND_SOURCE_BYTES_MAX))
        }
        MountKind::Bind => Ok(()),
    }
}

fn files(template: &TaskTemplate) -> Result<(), Rejection> {
    if template.files().count() > limits::FILES_PER_TASK_MAX {
        let most = limits::FILES_PER_TASK_MAX;
        return invalid(format!("{} secrets and configs are too many for one service; use at most {most}", template.files().count()));
    }
    let mut targets = BTreeSet::new();
    for (kind, file) in template.files() {
        let (name, target) = (&file.name, file.target.as_str());
        let parts = || target.split('/').skip(1);
        let odd = parts().any(|part| matches!(part, "" | "." | "..") || part.contains('\0'));
        if !target.starts_with('/') || odd || target.len() > limits::FILE_TARGET_BYTES_MAX {
            return invalid(format!(
                "the target '{target}' of {kind} '{name}' must be an absolute path of a file, such as {}{name}, of at most {} bytes",
                kind.folder(),
                limits::FILE_TARGET_BYTES_MAX
            ));
        }
        if file.mode > 0o7777 {
            return invalid(format!("the mode {:o} of {kind} '{name}' is none; give it in octal, as in mode=0400", file.mode));
        }
        if !targets.insert(target) {
            return invalid(format!("two secrets or configs have the target '{target}'; give each a target of its own"));
        }
    }
    let below = targets.iter().find_map(|target| {
        let folder = targets.iter().find(|other| target.strip_prefix(**other).is_some_and(|rest| rest.starts_with('/')))?;
        Some((target, folder))
    });
    if let Some((target, file)) = below {
        return invalid(format!("'{target}' lies below '{file}', which is a file; choose another target"));
    }
    for volume in template.mounts.iter().map(|mount| mount.target.trim_end_matches('/')) {
        if let Some(target) = targets.iter().find(|target| target.rsplit_once('/').is_some_and(|(folder, _)| folder == volume)) {
            return invalid(format!("'{target}' lies in the folder of a volume; give the secret or config a target in another folder"));
        }
        if let Some(target) =
            targets.iter().find(|target| volume.strip_prefix(**target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        {
            return invalid(format!("a volume is mounted at '{volume}', but '{target}' is a secret or config; choose another target"));
        }
    }
    Ok(())
}

fn attachments(spec: &ServiceSpec) -> Result<(), Rejection> {
    if spec.networks.len() > limits::NETWORKS_PER_SERVICE_MAX {
        let most = limits::NETWORKS_PER_SERVICE_MAX;
        return invalid(format!("{} networks are too many for one service; use at most {most}", spec.networks.len()));
    }
    let mut seen = BTreeSet::new();
    for attachment in &spec.networks {
        if !seen.insert(attachment.network) {
            return invalid(format!("network {} is given twice; name it once", attachment.network));
        }
        if attachment.aliases.len() > limits::ALIASES_MAX {
            return invalid(format!("{} aliases are too many; use at most {}", attachment.aliases.len(), limits::ALIASES_MAX));
        }
        attachment.aliases.iter().try_for_each(|alias| name("network alias", alias))?;
    }
    Ok(())
}

fn ports(ports: &[PublishedPort]) -> Result<(), Rejection> {
    if ports.len() > limits::PORTS_PER_SERVICE_MAX {
        let most = limits::PORTS_PER_SERVICE_MAX;
        return invalid(format!("{} published ports are too many for one service; use at most {most}", ports.len()));
    }
    for (at, port) in ports.iter().enumerate() {
        if port.target == 0 {
            return invalid("a published port needs the port of the task: --publish PUBLISHED:TARGET".to_owned());
        }
        if ports[..at].iter().any(|other| port.clashes(other)) {
            return invalid(format!("port {}/{} is published twice; publish it once", port.published, port.protocol));
        }
    }
    Ok(())
}

fn update(what: &str, update: &UpdateConfig) -> Result<(), Rejection> {
    let day = limits::INTERVAL_MAX.as_millis() as u64;
    if update.delay_ms > day {
        return invalid(format!("--{what}-delay may be at most {} hours", day / 3_600_000));
    }
    if update.monitor_ms > day {
        return invalid(format!("--{what}-monitor may be at most {} hours", day / 3_600_000));
    }
    if update.max_failure_permille > 1_000 {
        return invalid(format!("--{what}-max-failure-ratio must lie between 0 and 1"));
    }
    Ok(())
}

fn invalid<T>(message: String) -> Result<T, Rejection> {
    Err(Rejection::Invalid(message))
}
