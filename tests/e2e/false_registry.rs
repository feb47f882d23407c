//! A registry that gives other bytes than it promises: nothing of them is taken.
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use sha2::{Digest, Sha256};

use crate::support::{Cluster, guest};

/// What it does with a request for the component.
#[derive(Clone, Copy)]
enum Fault {
    OtherBytes,
    Cut,
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Answers one request after the other; the repository's name says what is wrong with it.
fn serve(stream: TcpStream, component: &[u8]) {
    let config = b"{}";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"{}","size":2}},"layers":[{{"mediaType":"application/wasm","digest":"{}","size":{}}}]}}"#,
        digest(config),
        digest(component),
        component.len()
    );
    let head: Vec<String> = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let fault = if path.contains("/cut/") { Fault::Cut } else { Fault::OtherBytes };
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let (kind, body, promised) = match path {
        path if path.contains("/manifests/") => (manifest_type, manifest.clone().into_bytes(), manifest.len()),
        path if path.contains(&digest(config)) => ("application/octet-stream", config.to_vec(), config.len()),
        path if path.contains("/blobs/") => match fault {
            Fault::OtherBytes => ("application/octet-stream", vec![7; component.len()], component.len()),
            Fault::Cut => ("application/octet-stream", component[..component.len() / 2].to_vec(), component.len()),
        },
        _ => ("application/json", b"{}".to_vec(), 2),
    };
    let mut stream = &stream;
    let digest = digest(&body);
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ndocker-content-digest: {digest}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n"
    );
    if !head[0].starts_with("HEAD") {
        let _ = stream.write_all(&body);
    }
}

#[test]
fn bytes_that_are_not_those_of_the_digest_are_refused() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let listener = TcpListener::bind((node.ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // One that the node does not have already.
    let component = std::fs::read(guest("test-cli2")).unwrap();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|stream| serve(stream, &component)));
    let other = node.refused(&["pull", &format!("{address}/other/tool:v1")]);
    assert!(other.contains(&address.to_string()) && other.to_lowercase().contains("digest"), "{other}");
    let cut = node.refused(&["pull", &format!("{address}/cut/tool:v1")]);
    assert!(cut.contains(&address.to_string()), "{cut}");
    let service = node.refused(&["service", "create", &format!("{address}/other/tool:v1")]);
    assert!(service.to_lowercase().contains("digest"), "{service}");
    assert!(!node.ok(&["images"]).contains(&address.to_string()));
    assert_eq!(node.ok(&["service", "ls", "-q"]), "");
    assert_eq!(std::fs::read_dir(node.data_dir.join("images/unfinished")).unwrap().count(), 0);
}
