//! The registry as a service of the cluster: the cases of the four workflows of opencontainers/distribution-spec's
//! conformance suite (v1.1.1) by name, and what it must survive.
mod clients;
mod faults;
mod workflows;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Cluster, wait_for};

pub const PORT: u16 = 5000;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A node that runs the registry on port 5000.
pub struct Registry {
    pub cluster: Cluster,
}

/// What the registry answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Registry {
    pub fn start() -> Registry {
        let registry = Registry { cluster: Cluster::found() };
        registry.cluster.nodes[0].ok(&["service", "create", "--name", "registry", "--publish", "5000:5000", "registry"]);
        wait_for("the registry answers", || registry.try_send("GET", "/v2/", &[], b""));
        registry
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.cluster.nodes[0].ip, PORT)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|| panic!("{method} {path} got no answer"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut stream = self.open(method, path, headers, body.len())?;
        // A refusal may come before all of it is taken.
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    /// A request whose body is still to be sent.
    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> Option<TcpStream> {
        let address = self.address();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        Some(stream)
    }

    /// Begins an upload; answers its path.
    pub fn begin(&self, repository: &str) -> String {
        let answer = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.header("location")
    }

    /// Pushes a blob; answers its digest.
    pub fn push_blob(&self, repository: &str, content: &[u8]) -> String {
        let digest = digest(content);
        let path = format!("{}?digest={digest}", self.begin(repository));
        let answer = self.send("PUT", &path, &[("content-type", "application/octet-stream")], content);
        assert_eq!(answer.status, 201, "{answer:?}");
        digest
    }

    pub fn push_manifest(&self, repository: &str, reference: &str, manifest: &[u8]) -> Answer {
        self.send("PUT", &format!("/v2/{repository}/manifests/{reference}"), &[("content-type", MANIFEST)], manifest)
    }
}

impl Answer {
    fn read(mut stream: TcpStream) -> Option<Answer> {
        let mut bytes = Vec::new();
        // What came before a reset counts.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Some(Answer { status, headers: lines.filter_map(header).collect(), body: bytes.split_off(end + 4) })
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("no header {name}: {self:?}"))
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn digest(content: &[u8]) -> String {
    let mut text = String::from("sha256:");
    Sha256::digest(content).iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
    text
}

/// A manifest of one layer, with a subject if there is one.
pub fn manifest(config: &str, config_size: usize, layers: &[(&str, usize)], extra: &str) -> Vec<u8> {
    let layers: Vec<String> = layers
        .iter()
        .map(|(digest, size)| format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#))
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},"layers":[{}]{extra}}}"#,
        layers.join(",")
    )
    .into_bytes()
}
