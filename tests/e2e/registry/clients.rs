//! Clients that we did not write push to the registry and pull from it: skopeo of Debian, oras of PyPI.
use std::path::{Path, PathBuf};

use super::Registry;
use crate::support::guest;
use crate::support::programs::{installed, output, skip};

#[test]
fn skopeo_copies_to_it_and_from_it() {
    if !installed(&["skopeo"]) {
        return;
    }
    let registry = Registry::start();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    write_layout(&layout);
    let (from, to) = (format!("oci:{}:v1", layout.display()), format!("docker://{}/tools/sample:v1", registry.address()));
    output("skopeo", &["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &from, &to]);
    assert_eq!(registry.get("/v2/_catalog").json()["repositories"], serde_json::json!(["tools/sample"]));

    let inspected: serde_json::Value = serde_json::from_str(&output("skopeo", &["inspect", "--tls-verify=false", "--raw", &to])).unwrap();
    assert_eq!(inspected["layers"].as_array().unwrap().len(), 2);
    let tags = output("skopeo", &["list-tags", "--tls-verify=false", &format!("docker://{}/tools/sample", registry.address())]);
    assert!(tags.contains("\"v1\""), "{tags}");
    // Within the registry the blobs are mounted, not sent again.
    let other = format!("docker://{}/other/copy:v2", registry.address());
    output(
        "skopeo",
        &["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", &to, &other],
    );

    let back = folder.path().join("back");
    output(
        "skopeo",
        &["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", &other, &format!("oci:{}:v1", back.display())],
    );
    for name in blobs(&layout) {
        // The index of the layout itself does not travel.
        assert_eq!(std::fs::read(blob(&layout, &name)).unwrap(), std::fs::read(blob(&back, &name)).unwrap(), "{name}");
    }
    output("skopeo", &["delete", "--tls-verify=false", &to]);
    assert_eq!(registry.get("/v2/tools/sample/manifests/v1").status, 404);
    assert_eq!(registry.get("/v2/other/copy/manifests/v2").status, 200);
}

/// An image of two layers as files.
fn write_layout(layout: &Path) {
    let write = |content: &[u8]| {
        let digest = super::digest(content);
        let hex = digest.trim_start_matches("sha256:");
        std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        std::fs::write(blob(layout, hex), content).unwrap();
        digest
    };
    let large: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let (first, second) = (write(b"a layer"), write(&large));
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{first}","{second}"]}}}}"#);
    let config_digest = write(config.as_bytes());
    let manifest = super::manifest(&config_digest, config.len(), &[(&first, 7), (&second, large.len())], "");
    let digest = write(&manifest);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#,
        manifest.len()
    );
    std::fs::write(layout.join("index.json"), index).unwrap();
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn blob(layout: &Path, hex: &str) -> PathBuf {
    layout.join("blobs/sha256").join(hex)
}

fn blobs(layout: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(layout.join("blobs/sha256")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Pushes a file as an artifact, pulls it again, and lists the tags.
const ORAS: &str = "
import sys, os, oras.client
target, folder = sys.argv[1], sys.argv[2]
client = oras.client.OrasClient(insecure=True, tls_verify=False)
os.chdir(folder)
client.push(target=target, files=['hello.wasm:application/wasm'], disable_path_validation=True)
pulled = client.pull(target=target, outdir=os.path.join(folder, 'back'))
print(pulled)
print(client.get_tags(target.rsplit(':', 1)[0]))
";

#[test]
fn oras_pushes_an_artifact_that_runs_here_and_pulls_ours() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/oras/bin/python");
    if !python.is_file() {
        return skip("the package oras of PyPI is not installed: cargo xtask test installs it");
    }
    let registry = Registry::start();
    let node = &registry.cluster.nodes[0];
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(guest("hasher"), folder.path().join("hello.wasm")).unwrap();
    let target = format!("{}/tools/hello:v1", registry.address());
    let python = python.display().to_string();
    let told = output(&python, &["-c", ORAS, &target, &folder.path().display().to_string()]);
    assert!(told.contains("'v1'"), "{told}");
    assert_eq!(std::fs::read(folder.path().join("back/hello.wasm")).unwrap(), std::fs::read(guest("hasher")).unwrap());

    node.ok(&["service", "create", "--name", "hello", "-p", "8002:80", "127.0.0.1:5000/tools/hello:v1"]);
    assert!(node.http(8002, "/").unwrap().1.starts_with("HASHER running on hello-1"));

    node.ok(&["tag", "rng", "127.0.0.1:5000/ours:v1"]);
    node.ok(&["push", "127.0.0.1:5000/ours:v1"]);
    let pull = "import sys, oras.client\nc = oras.client.OrasClient(insecure=True, tls_verify=False)\nprint(c.get_manifest(sys.argv[1])['layers'][0]['mediaType'])";
    let told = output(&python, &["-c", pull, &format!("{}/ours:v1", registry.address())]);
    assert_eq!(told.trim(), "application/wasm");
}
