//! Images from sources to tasks: build, tag, push, pull, and names in registries that mean the same on every node.
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Cluster, Node, guest, wait_for};

const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "built from text\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 16))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn registry_on(node: &Node) {
    node.ok(&["service", "create", "--name", "registry", "--publish", "5000:5000", "registry"]);
    wait_for("the registry answers", || node.http(5000, "/v2/"));
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn a_folder_becomes_an_image_and_an_image_a_service() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join("hello");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hello.wat"), PROGRAM).unwrap();
    let report = node.ok(&["build", "-t", "hello:v1", text(&folder)]);
    assert!(
        report.starts_with("hello:v1  sha256:") && report.contains("a program, WASI 0.2") && report.contains("wasi:cli@0.2."),
        "{report}"
    );
    node.ok(&["service", "create", "--name", "hello", "--restart-condition", "none", "--detach", "hello:v1"]);
    wait_for("the program's line", || node.ok(&["service", "logs", "hello"]).contains("built from text").then_some(()));

    // It calls nothing, and so has no memory either.
    std::fs::write(folder.join("hello.wat"), r#"(module (func (export "_start")))"#).unwrap();
    let report = node.ok(&["build", "-t", "nothing:v1", text(&folder)]);
    assert!(report.contains("a program, WASI 0.2"), "{report}");
    assert_eq!(node.ok(&["run", "--rm", "nothing:v1"]), "");

    // The command of a minicloud.toml, and what its image wants.
    std::fs::remove_file(folder.join("hello.wat")).unwrap();
    let made = guest("hasher");
    let settings = format!(
        "[build]\ncommand = \"cp {} out.wasm\"\noutput = \"out.wasm\"\n[image]\nhttp-port = 8080\nconcurrency = 3\n",
        made.display()
    );
    std::fs::write(folder.join("minicloud.toml"), settings).unwrap();
    let report = node.ok(&["build", "-t", "hello:v2", text(&folder)]);
    assert!(report.contains("an HTTP service, WASI 0.3"), "{report}");
    node.ok(&["service", "create", "--name", "web", "-p", "8000:8080", "hello:v2"]);
    assert!(node.http(8000, "/").unwrap().1.starts_with("HASHER running on web-1"));
    let shown = node.json(&["image", "inspect", "hello:v2"]).unwrap();
    assert_eq!((&shown[0]["defaults"]["concurrency"], &shown[0]["name"]), (&3.into(), &"hello:v2".into()));

    names_come_and_go(node);
}

fn names_come_and_go(node: &Node) {
    node.ok(&["tag", "hello:v2", "team/hello:stable"]);
    let listed = node.ok(&["images"]);
    assert!(listed.lines().any(|line| line.starts_with("team/hello") && line.contains("stable")), "{listed}");
    let removed = node.ok(&["image", "rm", "team/hello:stable", "hello:v1"]);
    assert!(removed.contains("Untagged: team/hello:stable") && !removed.contains("Deleted"), "services refer to both: {removed}");
    node.ok(&["service", "rm", "hello"]);
    let pruned = wait_for("nothing refers to it any more", || {
        let pruned = node.ok(&["image", "prune"]);
        pruned.contains("Deleted: sha256:").then_some(pruned)
    });
    assert!(pruned.contains("Total reclaimed space"), "{pruned}");
    assert!(node.refused(&["image", "rm", "hello:v1"]).contains("no image 'hello:v1'"));
    assert!(node.refused(&["image", "rm", "redis"]).contains("travels inside the binary"));
    assert!(node.http(8000, "/").is_some(), "the service runs on");
}

#[test]
fn what_cannot_be_built_or_run_says_why() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join("bad");
    std::fs::create_dir(&folder).unwrap();
    let build = || node.refused(&["build", "-t", "bad", text(&folder)]);
    std::fs::write(folder.join("Dockerfile"), "FROM scratch").unwrap();
    let told = build();
    assert!(told.contains("minicloud builds Wasm") && told.contains("minicloud.toml") && told.contains("examples/"), "{told}");
    std::fs::write(folder.join("bad.wat"), r#"(component (import "wasi:keyvalue/store@0.2.0" (instance (export "f" (func)))))"#).unwrap();
    let told = build();
    assert!(told.contains("wasi:keyvalue/store@0.2.0") && told.contains("does not offer"), "{told}");
    std::fs::write(folder.join("bad.wat"), "(module (oops))").unwrap();
    assert!(build().contains("neither WebAssembly nor its text format"), "{}", build());
    std::fs::write(folder.join("minicloud.toml"), "[build]\ncommand = \"no-such-tool\"\noutput = \"x\"").unwrap();
    assert!(build().contains("not installed"), "{}", build());
    std::fs::write(folder.join("minicloud.toml"), "[build]\ncomand = \"x\"\noutput = \"x\"").unwrap();
    assert!(build().contains("minicloud.toml") && build().contains("comand"), "{}", build());
    assert!(node.refused(&["build", "-t", "Bad Name", text(&folder)]).contains("no name of an image"));
    assert!(node.refused(&["service", "create", "team/nothing:v1"]).contains("minicloud build -t"));
    assert!(node.refused(&["push", "redis"]).contains("names no registry: tag it first"));
    assert!(node.refused(&["pull", "nginx"]).contains("names no registry to pull from: write REGISTRY/nginx"));
}

#[test]
fn a_name_in_the_cluster_s_registry_means_the_same_on_every_node() {
    let mut cluster = Cluster::found();
    cluster.join("manager");
    cluster.join("worker");
    let [first, second, worker] = &cluster.nodes[..] else { unreachable!() };
    registry_on(first);
    first.ok(&["build", "-t", "127.0.0.1:5000/hasher:v0.1", text(&repository("guests/hasher"))]);
    let pushed = first.ok(&["push", "127.0.0.1:5000/hasher:v0.1"]);
    let manifest = pushed.split("digest: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert!(manifest.starts_with("sha256:"), "{pushed}");
    let listed: serde_json::Value = serde_json::from_str(&second.http(5000, "/v2/_catalog").unwrap().1).unwrap();
    assert_eq!(listed, serde_json::json!({"repositories": ["hasher"]}));

    // The other manager has neither the image nor a registry on 127.0.0.1.
    let pulled = second.ok(&["pull", "-q", "127.0.0.1:5000/hasher:v0.1"]);
    assert_eq!(pulled.trim(), manifest);
    second.ok(&["service", "create", "--name", "hasher", "--replicas", "3", "-p", "8002:80", "127.0.0.1:5000/hasher:v0.1"]);
    for node in [first, second, worker] {
        assert!(node.http(8002, "/").unwrap().1.starts_with("HASHER running on hasher-"));
    }
    let spec = second.json(&["service", "inspect", "hasher"]).unwrap();
    let image = &spec[0]["spec"]["task"]["image"];
    assert_eq!(image["name"], "127.0.0.1:5000/hasher:v0.1");
    let component = image["digest"].as_str().unwrap().to_owned();

    // Another image takes the name: what runs stays as it is, and a new service gets the new one.
    first.ok(&["tag", "rng", "127.0.0.1:5000/hasher:v0.1"]);
    first.ok(&["push", "127.0.0.1:5000/hasher:v0.1"]);
    second.ok(&["service", "scale", "hasher=4"]);
    second.ok(&["service", "create", "--name", "moved", "-p", "8003:80", "127.0.0.1:5000/hasher:v0.1"]);
    assert!(second.http(8003, "/").unwrap().1.starts_with("RNG running"));
    let spec = second.json(&["service", "inspect", "hasher"]).unwrap();
    assert_eq!(spec[0]["spec"]["task"]["image"]["digest"], component.as_str());
    let absent = second.refused(&["service", "create", "127.0.0.1:5000/absent:v1"]);
    assert!(absent.contains("there is no image 127.0.0.1:5000/absent:v1"), "{absent}");

    a_registry_that_is_gone_holds_nothing_up(first, second);
}

fn a_registry_that_is_gone_holds_nothing_up(first: &Node, second: &Node) {
    first.ok(&["service", "scale", "registry=0"]);
    let began = Instant::now();
    second.ok(&["service", "scale", "hasher=6"]);
    second.ok(&["service", "update", "--force", "hasher"]);
    let known = second.cli(&["service", "create", "--name", "again", "127.0.0.1:5000/hasher:v0.1"]);
    let said = String::from_utf8_lossy(&known.stderr).into_owned();
    assert!(known.status.success() && said.contains("cannot reach the registry") && said.contains("on this node is taken"), "{said}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(40), "three changes took {took:?}");
    let refused = second.refused(&["pull", "127.0.0.1:5000/hasher:v0.1"]);
    assert!(refused.contains("cannot reach the registry 127.0.0.1:5000"), "{refused}");
}

#[test]
fn a_registry_that_says_nothing_is_given_up() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let silent = TcpListener::bind(SocketAddr::new(cluster.address(200), 0)).unwrap();
    let name = format!("{}/rng:v1", silent.local_addr().unwrap());
    node.ok(&["tag", "rng", &name]);
    let known = node.cli(&["service", "create", "--name", "rng", &name]);
    let said = String::from_utf8_lossy(&known.stderr).into_owned();
    assert!(known.status.success() && said.contains("does not answer"), "{said}");
    assert_eq!(node.running("rng").len(), 1);
}
