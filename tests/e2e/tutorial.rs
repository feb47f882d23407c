//! `examples/dockercoins/tutorial.sh` does what it narrates.
use std::path::Path;
use std::process::Command;

use crate::support::programs::installed;
use crate::support::{Cluster, wait_for};

#[test]
fn the_tutorial_s_script_builds_ships_and_runs_dockercoins() {
    if !installed(&["curl"]) {
        return;
    }
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dockercoins/tutorial.sh");
    let output = Command::new(script)
        .env("MINICLOUD", env!("CARGO_BIN_EXE_minicloud"))
        .env("MINICLOUD_DATA_DIR", &node.data_dir)
        .env("ADDRESS", node.ip.to_string())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains(r#"{"repositories":[]}"#), "{out}");
    assert!(out.contains(r#"{"repositories":["hasher","rng","webui","worker"]}"#), "{out}");
    assert_eq!(node.running("worker").len(), 10);
    wait_for("hashes are counted", || {
        let json: serde_json::Value = serde_json::from_str(&cluster.nodes[1].http(8000, "/json")?.1).ok()?;
        json["hashes"].as_str()?.parse::<u64>().ok().filter(|hashes| *hashes > 20)
    });
}
