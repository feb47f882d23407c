//! Disks that are full: for a registry's volume, for the components of a node, and for all that a node has. Each is a
//! small file system of the test's own, which takes root.
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::programs::{output, skip};
use crate::support::{Cluster, Node, wait_for};

/// More than fits anywhere here.
const LARGE_BYTES: usize = 6 << 20;

/// A file system of a few MiB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`: it cannot be made here; the test says so.
    fn at(folder: &Path, mib: u32) -> Option<SmallDisk> {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "minicloud-test"]).arg(folder);
        match mount.output() {
            Ok(output) if output.status.success() => Some(SmallDisk(folder.to_owned())),
            _ => {
                skip("no file system can be mounted: it takes root");
                None
            }
        }
    }

    /// Takes all room that is left; answers the file that holds it.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A program with so many bytes of data, as a file.
fn program(folder: &Path, name: &str, bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let data: String = (0..bytes as u64 / 8)
        .flat_map(|word| (word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let pages = bytes / 65_536 + 1;
    let text = format!(
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))) (memory (export \"memory\") {pages}) (data (i32.const 0) \"{data}\") (func (export \"_start\")))"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn build(node: &Node, path: &Path, name: &str) {
    node.ok(&["build", "-q", "-t", name, path.to_str().unwrap()]);
}

#[test]
fn a_registry_whose_volume_is_full_says_so_and_goes_on() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let Some(_disk) = SmallDisk::at(&node.data_dir.join("volumes"), 4) else { return };
    node.ok(&["service", "create", "--name", "registry", "--publish", "5000:5000", "registry"]);
    wait_for("the registry answers", || node.http(5000, "/v2/"));
    build(node, &program(cluster.folder(), "large.wat", LARGE_BYTES), "127.0.0.1:5000/large:v1");
    let refused = node.refused(&["push", "127.0.0.1:5000/large:v1"]);
    assert!(refused.contains("127.0.0.1:5000") && refused.contains("the volume of the registry is full"), "{refused}");

    // What came of it is gone: there is room for another.
    build(node, &program(cluster.folder(), "half.wat", LARGE_BYTES / 3), "127.0.0.1:5000/half:v1");
    wait_for("the room is free again", || node.cli(&["push", "127.0.0.1:5000/half:v1"]).status.success().then_some(()));
    assert_eq!(node.http(5000, "/v2/_catalog").unwrap().1, r#"{"repositories":["half"]}"#);
    assert_eq!(node.running("registry").len(), 1);
}

#[test]
fn a_node_without_room_for_a_component_says_so_and_keeps_nothing_of_it() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "registry", "--publish", "5000:5000", "registry"]);
    wait_for("the registry answers", || node.http(5000, "/v2/"));
    let large = program(cluster.folder(), "large.wat", LARGE_BYTES);
    build(node, &large, "127.0.0.1:5000/large:v1");
    node.ok(&["push", "127.0.0.1:5000/large:v1"]);
    node.ok(&["image", "rm", "127.0.0.1:5000/large:v1"]);

    let images = node.data_dir.join("images");
    let Some(_disk) = SmallDisk::at(&images, 3) else { return };
    for folder in ["sha256", "unfinished"] {
        std::fs::create_dir(images.join(folder)).unwrap();
    }
    let kept = || output("find", &[images.to_str().unwrap(), "-type", "f", "-size", "+1k"]);
    let full = "the disk of this node is full; free some of it";
    let pulled = node.refused(&["pull", "127.0.0.1:5000/large:v1"]);
    assert!(pulled.contains(full), "{pulled}");
    let built = node.refused(&["build", "-t", "large", large.to_str().unwrap()]);
    assert!(built.contains("large.wat") && built.contains(full), "{built}");
    assert_eq!(kept(), "");
    assert!(!node.ok(&["images"]).contains("large"));
    build(node, &program(cluster.folder(), "small.wat", 1_024), "small");
    assert!(node.http(5000, "/v2/").is_some(), "what ran runs on");
}

#[test]
fn a_node_whose_disk_is_full_loses_nothing() {
    let mut cluster = Cluster::empty();
    cluster.add_node();
    let Some(disk) = SmallDisk::at(&cluster.nodes[0].data_dir, 32) else { return };
    // In this order they are dropped: the node is ended by what stands on its disk.
    let (cluster, disk) = &(cluster, disk);
    let node = &cluster.nodes[0];
    let (listen, dns) = (format!("{}:2377", node.ip), format!("{}:5353", node.ip));
    node.ok(&["init", "--listen-addr", &listen, "--dns-addr", &dns]);
    node.ok(&["service", "create", "--name", "rng", "-p", "8001:80", "rng"]);
    let filler = disk.fill();
    let mut made = Vec::new();
    let refused = (0..2_000).find_map(|number| {
        let name = format!("volume-{number}");
        let output = node.cli(&["volume", "create", &name]);
        if !output.status.success() {
            return Some(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        made.push(name);
        None
    });
    let refused = refused.expect("a full disk takes no more");
    assert!(refused.lines().count() == 1 && refused.contains("minicloud.log in its data directory"), "{refused}");
    assert!(std::fs::read_to_string(node.data_dir.join("minicloud.log")).unwrap().contains("No space left on device"));
    std::fs::remove_file(filler).unwrap();
    let _ = node.cli(&["stop"]);
    node.ok(&["start"]);
    let volumes = node.ok(&["volume", "ls", "-q"]);
    for name in &made {
        assert!(volumes.lines().any(|volume| volume == name), "{name} was acknowledged: {volumes}");
    }
    wait_for("the service answers", || node.http(8001, "/"));
    node.ok(&["volume", "create", "another"]);
}
