//! The verbs of `compose` beside `up` and `down`: build, config, logs that go on, pull.
use std::net::TcpListener;

use super::{compose, foreground, project, running, up};
use crate::support::{guest, wait_for};

#[test]
fn a_service_is_built_when_it_is_missing_and_when_it_is_asked_for() {
    let (cluster, file) = project("services:\n  web:\n    build: {context: ./web, args: {SOURCE: hasher}}\n    ports: ['8000:80']\n");
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join("web");
    std::fs::create_dir(&folder).unwrap();
    let made = guest("hasher").parent().unwrap().display().to_string();
    let command = |source: &str| {
        std::fs::write(
            folder.join("minicloud.toml"),
            format!("[build]\ncommand = \"cp {made}/{source}.wasm out.wasm\"\noutput = \"out.wasm\"\n"),
        )
        .unwrap();
    };
    command("$SOURCE");
    let says = |name: &str| wait_for("the page", || node.http(8000, "/").filter(|(_, body)| body.starts_with(name)));
    up(node, &file, &["-d"]);
    says("HASHER running");
    command("rng");
    up(node, &file, &["-d"]);
    says("HASHER running");
    up(node, &file, &["-d", "--build"]);
    says("RNG running");
    command("hasher");
    compose(node, &["-f", file.to_str().unwrap(), "build", "web"]);
    says("RNG running");
    up(node, &file, &["-d", "--no-build"]);
    says("HASHER running");
    command("no-such-file");
    let failed = node.refused(&["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "-d", "--build"]);
    assert!(failed.contains("compose.yml:3:") && failed.contains("the build command") && failed.contains("failed"), "{failed}");
    says("HASHER running");
    assert_eq!(running(node), ["web-1"]);
    compose(node, &["down"]);
}

#[test]
fn a_file_is_shown_as_it_is_understood() {
    let (cluster, file) = project("services:\n  b: {image: 'rng:${TAG:-latest}', ports: [80]}\n  a: {build: .}\nvolumes: {data: {}}\n");
    let node = &cluster.nodes[0];
    let config = |flags: &[&str]| compose(node, &[&["-f", file.to_str().unwrap(), "config"], flags].concat());
    let shown = config(&[]);
    assert!(
        shown.starts_with("name: coins\nservices:\n") && shown.contains("image: rng:latest") && shown.contains("target: \"80\""),
        "{shown}"
    );
    assert_eq!(config(&["--services"]), "a\nb\n");
    assert_eq!(config(&["--volumes"]), "data\n");
    assert_eq!(config(&["--images"]), "coins-a\nrng:latest\n");
    assert_eq!(config(&["--quiet"]), "");
    std::fs::write(&file, "services:\n  a: {image: rng\n").unwrap();
    let broken = node.refused(&["compose", "-f", file.to_str().unwrap(), "config"]);
    assert!(broken.contains("compose.yml:3:1: "), "{broken}");
    assert!(!node.data_dir.exists(), "no node is needed for it");
}

#[test]
fn logs_go_on_and_images_are_fetched_anew() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/rng:v1", silent.local_addr().unwrap());
    drop(silent);
    let (cluster, file) =
        project(&format!("services:\n  rng: {{image: '{image}', ports: ['8001:80'], pull_policy: missing}}\n  redis: {{image: redis}}\n"));
    let node = &cluster.nodes[0];
    let text = file.to_str().unwrap();
    let missing = node.refused(&["compose", "-p", "coins", "-f", text, "up", "-d", "--address", &node.ip.to_string()]);
    assert!(missing.contains("service rng: cannot reach the registry"), "{missing}");
    // What is here will do, by the file's policy; `pull` wants the registry's own.
    compose(node, &["-f", text, "build"]);
    up(node, &file, &["-d", "redis"]);
    node.ok(&["tag", "rng", &image]);
    up(node, &file, &["-d"]);
    let refused = node.refused(&["compose", "-p", "coins", "-f", text, "pull"]);
    assert!(refused.contains("service rng: cannot reach the registry"), "{refused}");
    compose(node, &["-f", text, "pull", "redis"]);
    let refused = node.refused(&["compose", "-p", "coins", "-f", text, "up", "-d", "--pull", "always"]);
    assert!(refused.contains("cannot reach the registry"), "{refused}");

    let (mut follower, lines) = foreground(node, &["compose", "-p", "coins", "logs", "-f", "--tail", "0", "rng"]);
    wait_for("a line that came later", || {
        node.http(8001, "/7").unwrap();
        lines.try_iter().any(|line| line.starts_with("rng-1  | ") && line.contains("GET /7")).then_some(())
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
    compose(node, &["down"]);
}
