//! The client of the API: one typed call per endpoint. Used by the command line and by tests.
//!
//! Each call opens a connection of its own; streaming calls keep theirs until the stream is dropped.
mod call;
mod error;
mod lines;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use minicloud_core::command::NodeChange;
use minicloud_core::spec::FileKind;
use minicloud_core::state::Role;

use crate::api::socket;
use crate::api::types::*;
use crate::images::ImageDefaults;

pub(crate) use call::UPGRADE_PROTOCOL;
pub use error::ClientError;
pub use lines::Lines;

/// A raw stream to an address inside a network of the cluster.
pub type NetworkStream = TokioIo<Upgraded>;

/// Talks to the node that listens on one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// A client of the node at `socket`; fails with [`ClientError::NotRunning`] when nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Client> {
        socket::connect(socket).await.map_err(|error| ClientError::connecting(socket, error))?;
        Ok(Client { socket: socket.to_owned() })
    }

    /// The node in `data_dir`; see [`Client::connect`].
    pub async fn connect_data_dir(data_dir: &Path) -> Result<Client> {
        Client::connect(&socket::path(data_dir)).await
    }

    pub async fn version(&self) -> Result<Version> {
        self.get("/v1/version").await
    }

    pub async fn info(&self) -> Result<Info> {
        self.get("/v1/info").await
    }

    pub async fn join_token(&self, role: Role) -> Result<JoinToken> {
        self.get(&format!("/v1/join-token/{role}")).await
    }

    pub async fn rotate_join_token(&self, role: Role) -> Result<JoinToken> {
        self.send(Method::POST, &format!("/v1/join-token/{role}/rotate"), &()).await
    }

    /// Leaves the cluster and shuts the daemon down.
    pub async fn leave(&self, force: bool) -> Result<()> {
        self.send(Method::POST, &format!("/v1/leave?force={force}"), &()).await
    }

    /// Shuts the daemon down in order. It answers before it ends.
    pub async fn stop(&self) -> Result<()> {
        self.send(Method::POST, "/v1/stop", &()).await
    }

    pub async fn nodes(&self) -> Result<Vec<NodeSummary>> {
        self.get("/v1/nodes").await
    }

    /// `node`: an id, a hostname that one node has, or `self`.
    pub async fn node(&self, node: &str) -> Result<NodeDetail> {
        self.get(&format!("/v1/nodes/{}", segment(node))).await
    }

    pub async fn update_node(&self, node: &str, change: &NodeChange) -> Result<Changed> {
        self.send(Method::PATCH, &format!("/v1/nodes/{}", segment(node)), change).await
    }

    pub async fn remove_node(&self, node: &str, force: bool) -> Result<Changed> {
        self.send(Method::DELETE, &format!("/v1/nodes/{}?force={force}", segment(node)), &()).await
    }

    pub async fn promote_node(&self, node: &str) -> Result<Changed> {
        self.send(Method::POST, &format!("/v1/nodes/{}/promote", segment(node)), &()).await
    }

    pub async fn demote_node(&self, node: &str) -> Result<Changed> {
        self.send(Method::POST, &format!("/v1/nodes/{}/demote", segment(node)), &()).await
    }

    pub async fn node_tasks(&self, node: &str) -> Result<Vec<TaskSummary>> {
        self.get(&format!("/v1/nodes/{}/tasks", segment(node))).await
    }

    pub async fn services(&self) -> Result<Vec<ServiceSummary>> {
        self.get("/v1/services").await
    }

    pub async fn create_service(&self, service: &CreateService) -> Result<Created> {
        self.send(Method::POST, "/v1/services", service).await
    }

    /// Creates the service, or changes of it what differs.
    pub async fn declare_service(&self, service: &CreateService) -> Result<Declared> {
        self.send(Method::POST, "/v1/services/declare", service).await
    }

    /// Refused when no such service could be made; networks, secrets and configs need not be there yet.
    pub async fn check_service(&self, service: &CreateService) -> Result<Checked> {
        self.send(Method::POST, "/v1/services/check", service).await
    }

    pub async fn service(&self, service: &str) -> Result<ServiceDetail> {
        self.get(&format!("/v1/services/{}", segment(service))).await
    }

    pub async fn update_service(&self, service: &str, update: &UpdateService) -> Result<Changed> {
        self.send(Method::POST, &format!("/v1/services/{}/update", segment(service)), update).await
    }

    pub async fn rollback_service(&self, service: &str, rollback: &RollbackService) -> Result<Changed> {
        self.send(Method::POST, &format!("/v1/services/{}/rollback", segment(service)), rollback).await
    }

    pub async fn remove_service(&self, service: &str) -> Result<Changed> {
        self.send(Method::DELETE, &format!("/v1/services/{}", segment(service)), &()).await
    }

    /// Sets the replicas of all of them, or of none.
    pub async fn scale_services(&self, services: &ScaleServices) -> Result<Changed> {
        self.send(Method::POST, "/v1/services/scale", services).await
    }

    pub async fn service_tasks(&self, service: &str) -> Result<Vec<TaskSummary>> {
        self.get(&format!("/v1/services/{}/tasks", segment(service))).await
    }

    /// `service`: a service, or the id of a task.
    pub async fn service_logs(&self, service: &str, query: &LogQuery) -> Result<Lines<LogLine>> {
        self.stream(&format!("/v1/services/{}/logs?{}", segment(service), log_parameters(query))).await
    }

    /// A line on each change, until the service has converged, was removed, or the stream is dropped.
    pub async fn watch_service(&self, service: &str) -> Result<Lines<Progress>> {
        self.stream(&format!("/v1/services/{}/watch", segment(service))).await
    }

    pub async fn service_usage(&self, service: &str) -> Result<ServiceUsage> {
        self.get(&format!("/v1/services/{}/usage", segment(service))).await
    }

    /// What all nodes and running tasks use; with names, only of these services and tasks.
    pub async fn stats(&self, of: &[String]) -> Result<Stats> {
        let of: Vec<String> = of.iter().map(|name| segment(name)).collect();
        self.get(&format!("/v1/stats?of={}", of.join(","))).await
    }

    /// A line for each event, until the time that the query names, the node ends, or the stream is dropped.
    pub async fn events(&self, query: &EventQuery) -> Result<Lines<EventLine>> {
        self.stream(&format!("/v1/events?{}", event_parameters(query))).await
    }

    pub async fn networks(&self) -> Result<Vec<NetworkSummary>> {
        self.get("/v1/networks").await
    }

    pub async fn create_network(&self, network: &CreateNetwork) -> Result<Created> {
        self.send(Method::POST, "/v1/networks", network).await
    }

    pub async fn network(&self, network: &str) -> Result<NetworkDetail> {
        self.get(&format!("/v1/networks/{}", segment(network))).await
    }

    pub async fn remove_network(&self, network: &str) -> Result<Changed> {
        self.send(Method::DELETE, &format!("/v1/networks/{}", segment(network)), &()).await
    }

    /// A raw stream to `host:port` as a task on that network would reach it; what `minicloud proxy` is made of.
    pub async fn connect_on_network(&self, network: &str, host: &str, port: u16) -> Result<NetworkStream> {
        self.upgrade(&format!("/v1/networks/{}/connect?host={}&port={port}", segment(network), segment(host))).await
    }

    /// All secrets, or all configs.
    pub async fn files(&self, kind: FileKind) -> Result<Vec<FileSummary>> {
        self.get(&format!("/v1/{kind}s")).await
    }

    pub async fn create_file(&self, kind: FileKind, file: &CreateFile) -> Result<Created> {
        self.send(Method::POST, &format!("/v1/{kind}s"), file).await
    }

    /// A file with this content and these labels: the one that is there, or a new one under this name or one like it.
    pub async fn declare_file(&self, kind: FileKind, file: &CreateFile) -> Result<DeclaredFile> {
        self.send(Method::POST, &format!("/v1/{kind}s/declare"), file).await
    }

    pub async fn file(&self, kind: FileKind, name: &str) -> Result<FileDetail> {
        self.get(&format!("/v1/{kind}s/{}", segment(name))).await
    }

    pub async fn update_file(&self, kind: FileKind, name: &str, change: &UpdateFile) -> Result<Changed> {
        self.send(Method::POST, &format!("/v1/{kind}s/{}/update", segment(name)), change).await
    }

    pub async fn remove_file(&self, kind: FileKind, name: &str) -> Result<Changed> {
        self.send(Method::DELETE, &format!("/v1/{kind}s/{}", segment(name)), &()).await
    }

    pub async fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        self.get("/v1/volumes").await
    }

    pub async fn create_volume(&self, volume: &CreateVolume) -> Result<Created> {
        self.send(Method::POST, "/v1/volumes", volume).await
    }

    pub async fn volume(&self, volume: &str) -> Result<VolumeDetail> {
        self.get(&format!("/v1/volumes/{}", segment(volume))).await
    }

    pub async fn remove_volume(&self, volume: &str) -> Result<Changed> {
        self.send(Method::DELETE, &format!("/v1/volumes/{}", segment(volume)), &()).await
    }

    pub async fn tasks(&self) -> Result<Vec<TaskSummary>> {
        self.get("/v1/tasks").await
    }

    pub async fn task(&self, task: &str) -> Result<TaskSummary> {
        self.get(&format!("/v1/tasks/{}", segment(task))).await
    }

    pub async fn images(&self) -> Result<Vec<ImageSummary>> {
        self.get("/v1/images").await
    }

    /// `image`: a name, or a digest.
    pub async fn image(&self, image: &str) -> Result<ImageDetail> {
        self.get(&format!("/v1/images/inspect?image={}", segment(image))).await
    }

    /// Hands the bytes of a component to the cluster; services then name it by its digest.
    pub async fn import_image(&self, component: Bytes) -> Result<ImageSummary> {
        self.upload("/v1/images", component).await
    }

    /// As [`Client::import_image`], and gives it a name on this node.
    pub async fn import_named_image(&self, name: &str, defaults: &ImageDefaults, component: Bytes) -> Result<ImageSummary> {
        let defaults = serde_json::to_string(defaults).map_err(error::broken)?;
        self.upload(&format!("/v1/images?name={}&defaults={}", segment(name), segment(&defaults)), component).await
    }

    /// How far it is, until the last line says how it ended.
    pub async fn pull_image(&self, image: &TransferImage) -> Result<Lines<Transfer>> {
        self.send_for_lines("/v1/images/pull", image).await
    }

    /// As [`Client::pull_image`].
    pub async fn push_image(&self, image: &TransferImage) -> Result<Lines<Transfer>> {
        self.send_for_lines("/v1/images/push", image).await
    }

    pub async fn tag_image(&self, tag: &TagImage) -> Result<ImageSummary> {
        self.send(Method::POST, "/v1/images/tag", tag).await
    }

    pub async fn remove_image(&self, image: &str) -> Result<RemovedImage> {
        self.send(Method::DELETE, &format!("/v1/images?image={}", segment(image)), &()).await
    }

    pub async fn prune_images(&self) -> Result<PrunedImages> {
        self.send(Method::POST, "/v1/images/prune", &()).await
    }
}

fn log_parameters(query: &LogQuery) -> String {
    let mut parameters = format!("follow={}", query.follow);
    if let Some(tail) = query.tail {
        parameters.push_str(&format!("&tail={tail}"));
    }
    if query.until_end {
        parameters.push_str("&until_end=true");
    }
    if let Some(since_ms) = query.since_ms {
        parameters.push_str(&format!("&since_ms={since_ms}"));
    }
    parameters
}

fn event_parameters(query: &EventQuery) -> String {
    let numbers = [("since_ms", query.since_ms), ("until_ms", query.until_ms), ("from_index", query.from_index)];
    let numbers = numbers.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    let texts = [("types", &query.types), ("actions", &query.actions), ("services", &query.services), ("nodes", &query.nodes)];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", segment(value)));
    numbers.chain(texts).collect::<Vec<_>>().join("&")
}

/// `text` as one segment of a path or one value of a query: everything but unreserved characters is escaped.
fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    // A dot segment would be taken for a step in the path.
    if escaped == "." || escaped == ".." { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_types_stays_one_segment() {
        assert_eq!(segment("rng"), "rng");
        assert_eq!(segment("a/b?c&d é"), "a%2Fb%3Fc%26d%20%C3%A9");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
