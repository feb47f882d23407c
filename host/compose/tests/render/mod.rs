//! A project as lines; what has its default is left out.
use minicloud_compose::{Content, Mode, MountSource, Probe, Project, Service, Source, Update};
use minicloud_core::spec::{EndpointMode, Labels, PublishMode, PublishedPort, Resources, RestartPolicy};

pub fn project(project: &Project) -> String {
    let mut lines = vec![format!("project {} in {}", project.name, project.folder.display())];
    for network in &project.networks {
        let mut line = format!("network {}", network.name);
        for (flag, said) in [(" external", network.external), (" internal", network.internal), (" attachable", network.attachable)] {
            line.push_str(if said { flag } else { "" });
        }
        lines.push(line + &network.subnet.as_ref().map_or_else(String::new, |subnet| format!(" {subnet}")) + &labels(&network.labels));
    }
    for volume in &project.volumes {
        lines.push(format!("volume {}{}{}", volume.name, if volume.external { " external" } else { "" }, labels(&volume.labels)));
    }
    for (noun, files) in [("secret", &project.secrets), ("config", &project.configs)] {
        for file in files {
            let content = match &file.content {
                None => "external".to_owned(),
                Some(Content::File(path)) => format!("of {}", path.display()),
                Some(Content::Text(text)) => format!("{text:?}"),
            };
            lines.push(format!("{noun} {} {content}{}", file.name, labels(&file.labels)));
        }
    }
    for service in &project.services {
        lines.extend(self::service(service));
    }
    if !project.disabled.is_empty() {
        lines.push(format!("disabled: {}", project.disabled.join(" ")));
    }
    lines.join("\n") + "\n"
}

/// Labels that the project does not set by itself.
fn labels(labels: &Labels) -> String {
    let own = |name: &str| {
        ["project", "service", "network", "volume", "secret", "config"].iter().any(|noun| name == format!("com.docker.compose.{noun}"))
    };
    labels.iter().filter(|(name, _)| !own(name)).map(|(name, value)| format!(" {name}={value}")).collect()
}

fn service(service: &Service) -> Vec<String> {
    let source = match &service.source {
        Source::Image(image) => format!("image {image}"),
        Source::Build(build) => {
            let image = build.image.as_ref().map_or_else(String::new, |image| format!(" as {image}"));
            let args: String = build.args.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let always = if build.always { " always" } else { "" };
            format!("build {}{image}{args}{always}", build.folder.display())
        }
    };
    let mut lines = vec![format!("service {} ({}): {source}", service.name, service.key)];
    let mut say = |text: String| lines.push(format!("  {text}"));
    if !service.args.is_empty() {
        say(format!("args {:?}", service.args));
    }
    for (name, value) in &service.env {
        say(format!("env {name}={value:?}"));
    }
    match service.mode {
        Mode::Replicated { replicas: 1 } => {}
        mode => say(format!("{mode:?}")),
    }
    if let Some(hostname) = &service.hostname {
        say(format!("hostname {hostname}"));
    }
    if let Some(pull) = service.pull {
        say(format!("pull {pull:?}"));
    }
    for network in &service.networks {
        say(format!("on {} as {}", network.network, network.aliases.join(" ")));
    }
    if service.endpoint_mode != EndpointMode::Vip {
        say("dnsrr".to_owned());
    }
    for port in &service.ports {
        say(format!("port {}", self::port(port)));
    }
    for mount in &service.mounts {
        let source = match &mount.source {
            MountSource::Volume(name) => format!("volume {name}"),
            MountSource::Host { path, make } => format!("folder {}{}", path.display(), if *make { "" } else { " that is there" }),
        };
        say(format!("mount {source} at {}{}", mount.target, if mount.read_only { " read-only" } else { "" }));
    }
    for (noun, files) in [("secret", &service.secrets), ("config", &service.configs)] {
        for file in files {
            say(format!("{noun} {} at {}", file.name, file.target));
        }
    }
    if !labels(&service.labels).is_empty() {
        say(format!("labels{}", labels(&service.labels)));
    }
    for constraint in &service.constraints {
        say(format!("constraint {constraint}"));
    }
    for spread in &service.spread {
        say(format!("spread over {spread}"));
    }
    if let Some(most) = service.max_per_node {
        say(format!("at most {most} on a node"));
    }
    if service.resources != Resources::default() {
        say(format!("{:?}", service.resources));
    }
    if service.restart != RestartPolicy::default() {
        let restart = service.restart;
        say(format!(
            "restart {:?} delay {:?} attempts {} window {}",
            restart.condition, restart.delay_ms, restart.max_attempts, restart.window_ms
        ));
    }
    for (noun, update) in [("update", &service.update), ("rollback", &service.rollback)] {
        if *update != Update::default() {
            say(format!("{noun} {update:?}"));
        }
    }
    if let Some(health) = &service.health {
        let probe = match &health.probe {
            Probe::Http { port, path } => format!("http {} {path}", port.map_or_else(|| "?".to_owned(), |port| port.to_string())),
            Probe::Tcp { port } => format!("tcp {port}"),
        };
        say(format!(
            "health {probe} every {:?} for {:?} times {:?} after {:?}",
            health.interval_ms, health.timeout_ms, health.retries, health.start_period_ms
        ));
    }
    if let Some(grace) = service.stop_grace_ms {
        say(format!("grace {grace} ms"));
    }
    if service.concurrency.is_some() || service.http_port.is_some() {
        say(format!("concurrency {:?} port {:?}", service.concurrency, service.http_port));
    }
    for need in &service.needs {
        say(format!("needs {} {:?}{}", need.key, need.condition, if need.required { "" } else { " if it is there" }));
    }
    if !service.attach {
        say("not attached".to_owned());
    }
    lines
}

fn port(port: &PublishedPort) -> String {
    let address = port.address.map_or_else(String::new, |address| format!("{address}:"));
    let mode = if port.mode == PublishMode::Host { " host" } else { "" };
    format!("{address}{}:{}/{}{mode}", port.published, port.target, port.protocol)
}
