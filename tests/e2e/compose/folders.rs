//! Folders and files of the machine that tasks mount: from compose files, from the command line, and what they do not lead to.
use std::path::Path;

use super::{compose, project, up};
use crate::support::{Cluster, guest, wait_for};

/// A service that does one thing with the guest of the tests and ends.
fn service(name: &str, words: &str, mount: &str) -> String {
    format!("  {name}: {{image: '{}', command: {words}, volumes: [{mount}]}}\n", guest("test-cli2").display())
}

#[test]
fn a_folder_beside_the_file_is_made_written_and_read() {
    let (cluster, file) = project("");
    let node = &cluster.nodes[0];
    let text = format!(
        "services:\n{}",
        service("writer", "[write, /data/note, kept]", "'./made/here:/data'")
            + &service("refused", "[write, /data/other, text]", "{type: bind, source: ./made/here, target: /data, read_only: true}")
            + &service("outside", "[cat, /data/link]", "'./made:/data:ro'")
    );
    std::fs::write(&file, text).unwrap();
    std::fs::create_dir(cluster.folder().join("made")).unwrap();
    std::fs::write(cluster.folder().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", cluster.folder().join("made/link")).unwrap();
    // Without a restart policy each runs once, and in the foreground `up` ends with the last.
    let lines = up(node, &file, &[]);
    assert_eq!(std::fs::read_to_string(cluster.folder().join("made/here/note")).unwrap(), "kept\n");
    assert!(!cluster.folder().join("made/here/other").exists(), "it was mounted read-only");
    assert!(lines.contains("refused-1 ") && lines.contains("outside-1 ") && !lines.contains("secret"), "{lines}");
    compose(node, &["down"]);
    assert!(cluster.folder().join("made/here/note").exists() && !node.data_dir.exists(), "the folder is the user's, the node is not");
}

#[test]
fn a_single_file_is_read_and_written_and_nothing_beside_it() {
    let (cluster, file) = project("");
    let node = &cluster.nodes[0];
    let text = format!(
        "services:\n{}",
        service("reader", "[cat, /etc/app/app.conf]", "'./app.conf:/etc/app/app.conf:ro'")
            + &service("writer", "[write, /note, kept]", "{type: bind, source: ./note, target: /note}")
            + &service("refused", "[write, /etc/app.conf, text]", "'./app.conf:/etc/app.conf:ro'")
            + &service("beside", "[cat, /etc/app/secret]", "'./app.conf:/etc/app/app.conf'")
            + &service("newer", "[cat, /app.conf]", "'./app.conf:/app.conf'").replace("test-cli2", "test_cli3")
    );
    std::fs::write(&file, text).unwrap();
    for (name, content) in [("app.conf", "colour = blue\n"), ("note", "old"), ("secret", "secret")] {
        std::fs::write(cluster.folder().join(name), content).unwrap();
    }
    let lines = up(node, &file, &[]);
    let says = |service: &str, text: &str| lines.lines().any(|line| line.starts_with(service) && line.contains(text));
    assert!(says("reader-1", "colour = blue") && says("newer-1", "colour = blue"), "{lines}");
    assert!(says("refused-1", "error") && says("beside-1", "error") && !lines.contains("| secret"), "{lines}");
    assert_eq!(std::fs::read_to_string(cluster.folder().join("note")).unwrap(), "kept\n");
    assert_eq!(std::fs::read_to_string(cluster.folder().join("app.conf")).unwrap(), "colour = blue\n");
    compose(node, &["down"]);
}

#[test]
fn a_folder_that_cannot_be_mounted_is_named_with_its_line() {
    let (cluster, file) = project("");
    let node = &cluster.nodes[0];
    let refused = |mount: &str| {
        std::fs::write(&file, format!("services:\n  web:\n    image: rng\n    volumes:\n      - {mount}\n")).unwrap();
        node.refused(&["compose", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()])
    };
    let absent = refused("{type: bind, source: ./absent, target: /data, bind: {create_host_path: false}}");
    assert!(absent.contains("compose.yml:5:") && absent.contains("there is no folder or file") && absent.contains("/absent"), "{absent}");
    let device = refused("/dev/null:/etc/compose.yml");
    assert!(device.contains("compose.yml:5:") && device.contains("/dev/null is neither a folder nor a file"), "{device}");
    assert!(!node.data_dir.exists() && !cluster.folder().join("absent").exists(), "nothing was started or made");
}

#[test]
fn a_service_is_rejected_where_the_folder_is_not_and_runs_where_it_is() {
    let mut cluster = Cluster::with_workers(1);
    cluster.add_node();
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join("shared");
    let mount = format!("type=bind,source={},target=/data,readonly", folder.display());
    let component = guest("test-cli2");
    let create = ["service", "create", "--name", "reader", "--mode", "global", "--restart-delay", "100ms", "--mount", &mount, "-d"];
    node.ok(&[&create[..], &[component.to_str().unwrap(), "cat", "/data/note"]].concat());
    let tasks = |state: &str| {
        let tasks = node.json(&["service", "ps", "reader"]).unwrap_or_default();
        tasks.as_array().into_iter().flatten().filter(|task| task["current_state"] == state).cloned().collect::<Vec<_>>()
    };
    let rejected = wait_for("a rejection", || tasks("rejected").into_iter().next());
    let why = rejected["error"].as_str().unwrap();
    assert!(why.contains(&format!("there is no folder or file {}", folder.display())) && why.contains("--constraint"), "{why}");

    // Both nodes are on this machine; several tasks share a folder.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("note"), "from the machine").unwrap();
    wait_for("the file is read", || node.ok(&["service", "logs", "reader"]).contains("from the machine").then_some(()));
    let shown = node.ok(&["service", "inspect", "--pretty", "reader"]);
    assert!(shown.contains(&format!("{} at /data (read-only)", folder.display())), "{shown}");
    assert_eq!(node.ok(&["volume", "ls", "-q"]), "");
    relative_and_named(node, &folder);
}

/// What the command line takes.
fn relative_and_named(node: &crate::support::Node, folder: &Path) {
    let refused = |mount: &str| node.refused(&["service", "create", "--mount", mount, "redis"]);
    assert!(refused("type=bind,source=shared,target=/data").contains("no absolute path"));
    assert!(refused(&format!("source={},target=/data", folder.display())).contains("type=bind,source="));
}
