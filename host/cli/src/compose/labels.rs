//! What of a cluster belongs to a project: its label says so.
use minicloud_core::spec::Labels;
use minicloud_node::api::types::ServiceSummary;
use minicloud_node::client::Client;

pub const PROJECT: &str = "com.docker.compose.project";
pub const SERVICE: &str = "com.docker.compose.service";
/// How many tasks a service that was stopped had: a number, or `global`.
pub const STOPPED: &str = "minicloud.compose.stopped";

/// Whether something belongs to the project.
pub fn is_of(labels: &Labels, project: &str) -> bool {
    labels.get(PROJECT).is_some_and(|name| name == project)
}

/// The services of a project by name.
pub async fn services(client: &Client, project: &str) -> anyhow::Result<Vec<ServiceSummary>> {
    let mut services = client.services().await?;
    services.retain(|service| is_of(&service.labels, project));
    Ok(services)
}

/// Whether `stop` left the service without tasks.
pub async fn is_stopped(client: &Client, name: &str) -> anyhow::Result<bool> {
    Ok(client.services().await?.iter().any(|service| service.name == name && service.labels.contains_key(STOPPED)))
}

/// The name of a service in its file.
pub fn key(service: &ServiceSummary) -> &str {
    service.labels.get(SERVICE).map_or(&service.name, String::as_str)
}

/// Those of the project that the user named, all if none were named.
pub async fn chosen(client: &Client, project: &str, keys: &[String]) -> anyhow::Result<Vec<ServiceSummary>> {
    let mut services = services(client, project).await?;
    for wanted in keys {
        if !services.iter().any(|service| key(service) == wanted) {
            let hint = minicloud_compose::nearest(wanted, services.iter().map(key));
            let hint = hint.map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
            anyhow::bail!("project {project} has no service '{wanted}' here{hint}");
        }
    }
    services.retain(|service| keys.is_empty() || keys.iter().any(|wanted| key(service) == wanted));
    Ok(services)
}

/// `worker-3` of the task `shop_worker.3`.
pub fn task_name(service: &ServiceSummary, task: &str) -> String {
    match task.strip_prefix(service.name.as_str()).and_then(|rest| rest.strip_prefix('.')) {
        Some(slot) => format!("{}-{slot}", key(service)),
        None => task.to_owned(),
    }
}
