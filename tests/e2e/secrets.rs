//! Secrets and configs on real nodes: read by the tasks that have them, on no disk of any node, and swapped by updates.
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Cluster, Node, guest, wait_for};

const PASSWORD: &str = "correct horse battery staple";
const SECOND: &str = "an even better passphrase";

fn create(node: &Node, noun: &str, name: &str, content: &str) {
    let mut command = node.command(&[noun, "create", "--label", "stage=test", name, "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.len() > 12, "{output:?}");
}

/// Files below the folder that hold the text, found by a program that we did not write.
fn grep(folder: &Path, text: &str) -> String {
    let output = Command::new("grep").args(["-r", "-l", "-a", "-F", text]).arg(folder).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A service whose tasks print a file and then stay.
fn reader<'a>(image: &'a str, path: &'a str) -> Vec<&'a str> {
    vec![image, "cat", path]
}

fn lines(node: &Node, service: &str) -> Vec<String> {
    node.ok(&["service", "logs", "--raw", service]).lines().map(str::to_owned).collect()
}

#[test]
fn secrets_reach_their_tasks_and_no_disk() {
    let mut cluster = Cluster::with_workers(1);
    create(&cluster.nodes[0], "secret", "password", PASSWORD);
    create(&cluster.nodes[0], "config", "settings", "colour = blue\n");
    // It comes later, and gets the key with its certificate.
    cluster.join("manager");
    let node = &cluster.nodes[2];
    let image = guest("test-cli2");
    let image = image.to_str().unwrap();
    let global = ["service", "create", "-d", "--mode", "global", "--restart-condition", "none"];
    let secret = [&global[..], &["--name", "secret", "--secret", "password"], &reader(image, "/run/secrets/password")].concat();
    node.ok(&secret);
    wait_for("it is read on every node", || (lines(node, "secret") == [PASSWORD; 3]).then_some(()));
    let target = "source=settings,target=/etc/app/settings.toml,mode=0400";
    let config = [&global[..], &["--name", "config", "--config", target], &reader(image, "/etc/app/settings.toml")].concat();
    node.ok(&config);
    wait_for("it is read on every node", || (lines(node, "config") == ["colour = blue"; 3]).then_some(()));

    // The tasks print them into their logs, as any program may: those go first.
    node.ok(&["service", "rm", "secret", "config"]);
    for node in &cluster.nodes {
        std::fs::remove_dir_all(node.data_dir.join("logs")).unwrap();
        assert_eq!(grep(&node.data_dir, PASSWORD), "", "{}", node.ip);
    }
    let key = |node: &Node| {
        std::fs::read_dir(node.data_dir.join("identity"))
            .unwrap()
            .any(|file| file.unwrap().file_name().to_string_lossy().starts_with("seal-"))
    };
    assert_eq!(cluster.nodes.iter().map(key).collect::<Vec<_>>(), [true, false, true], "managers keep the key, the worker has none");
}

#[test]
fn a_secret_is_never_shown_and_stays_while_it_is_used() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    create(node, "secret", "password", PASSWORD);
    create(node, "config", "settings", "colour = blue\n");
    node.ok(&["service", "create", "--name", "web", "--secret", "password", "--config", "settings", "--replicas", "2", "rng"]);
    let shown = [
        node.ok(&["secret", "inspect", "password"]),
        node.ok(&["secret", "inspect", "--pretty", "password"]),
        node.ok(&["secret", "ls"]),
        node.ok(&["secret", "ls", "--format", "json"]),
        node.ok(&["service", "inspect", "web"]),
        node.ok(&["service", "inspect", "--pretty", "web"]),
    ];
    for text in &shown {
        assert!(text.contains("password") && !text.contains(PASSWORD) && !text.contains("\"data\""), "{text}");
    }
    assert!(shown[1].contains("Services:  web"), "{}", shown[1]);
    assert!(node.ok(&["config", "inspect", "--pretty", "settings"]).ends_with("Data:\ncolour = blue\n"));
    assert_eq!(node.ok(&["secret", "ls", "-q", "--filter", "label=stage"]).lines().count(), 1);
    let refused = node.refused(&["secret", "rm", "password"]);
    assert!(refused.contains("secret 'password' is used by service 'web'"), "{refused}");
    assert!(node.refused(&["config", "rm", "settings"]).contains("is used by service 'web'"));
    let again = node.refused(&["config", "create", "settings", "/dev/null"]);
    assert!(again.contains("already exists, and what it holds never changes"), "{again}");
    node.ok(&["secret", "update", "--label-add", "stage=live", "--label-add", "x", "password"]);
    assert_eq!(node.json(&["secret", "ls"]).unwrap()[0]["labels"]["stage"], "live");
    let large = cluster.folder().join("large");
    std::fs::write(&large, vec![b'x'; (500 << 10) + 1]).unwrap();
    let refused = node.refused(&["secret", "create", "large", large.to_str().unwrap()]);
    assert!(refused.contains("more than 512000 bytes"), "{refused}");
    assert!(node.refused(&["service", "create", "--secret", "absent", "rng"]).contains("no secret 'absent': create it with"));
    // A worker says where a manager is.
    assert!(cluster.nodes[1].refused(&["secret", "ls"]).contains("run this on a manager"));
    node.ok(&["service", "update", "--secret-rm", "password", "--config-rm", "settings", "web"]);
    node.ok(&["secret", "rm", "password"]);
    node.ok(&["config", "rm", "settings"]);
}

#[test]
fn a_task_in_the_foreground_reads_them_too() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    create(node, "secret", "password", PASSWORD);
    create(node, "config", "settings", "colour = blue\n");
    let image = guest("test-cli2");
    let run = |flags: &[&str], path: &str| node.ok(&[&["run", "--rm"], flags, &reader(image.to_str().unwrap(), path)].concat());
    for host in ["node1", "node2"] {
        let constraint = format!("node.hostname=={host}");
        let there = ["--constraint", &constraint, "--secret", "password", "--config", "source=settings,target=/etc/app.conf"];
        assert_eq!(run(&there, "/run/secrets/password").trim_end(), PASSWORD, "on {host}");
        assert_eq!(run(&there, "/etc/app.conf"), "colour = blue\n", "on {host}");
    }
    let refused = node.refused(&["run", "--rm", "--secret", "absent", image.to_str().unwrap()]);
    assert!(refused.contains("no secret 'absent': create it with"), "{refused}");
}

#[test]
fn an_update_swaps_a_secret_and_a_restart_finds_it_again() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    create(node, "secret", "password", PASSWORD);
    create(node, "secret", "password-2", SECOND);
    let image = guest("test-cli2");
    let create = ["service", "create", "-d", "--name", "read", "--restart-condition", "none", "--secret", "source=password,target=it"];
    node.ok(&[&create[..], &reader(image.to_str().unwrap(), "/run/secrets/it")].concat());
    wait_for("the first is read", || (lines(node, "read") == [PASSWORD]).then_some(()));
    node.ok(&["service", "update", "-d", "--secret-rm", "password", "--secret-add", "source=password-2,target=it", "read"]);
    wait_for("the second is read", || lines(node, "read").contains(&SECOND.to_owned()).then_some(()));
    node.ok(&["secret", "rm", "password"]);

    // The key is read from disk again, and the secret from the state.
    node.kill();
    node.ok(&["start"]);
    node.ok(&["service", "update", "-d", "--force", "read"]);
    let count = || lines(node, "read").iter().filter(|line| *line == SECOND).count();
    wait_for("it is read by the new task", || (count() == 2).then_some(()));
    for node in &cluster.nodes {
        std::fs::remove_dir_all(node.data_dir.join("logs")).unwrap();
        assert_eq!((grep(&node.data_dir, PASSWORD), grep(&node.data_dir, SECOND)), (String::new(), String::new()));
    }
}

/// A project that reads a secret from a file and a config from its own text.
fn project(cluster: &Cluster, colour: &str) -> String {
    let image = guest("test-cli2");
    let text = format!(
        "services:
  secret: {{image: {0}, command: [cat, /run/secrets/token], secrets: [token], deploy: {{restart_policy: {{condition: none}}}}}}
  config:
    image: {0}
    command: [cat, /etc/app.conf]
    configs: [{{source: app, target: /etc/app.conf}}]
    deploy: {{restart_policy: {{condition: none}}}}
secrets: {{token: {{file: ./token.txt}}}}
configs: {{app: {{content: 'colour = {colour}'}}}}
",
        image.display()
    );
    let path = cluster.folder().join("compose.yml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn names(node: &Node, noun: &str) -> Vec<String> {
    let files = node.json(&[noun, "ls"]).unwrap_or_default();
    files.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_changed_file_of_a_stack_makes_a_new_secret_and_the_old_one_goes() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let token = |text: &str| std::fs::write(cluster.folder().join("token.txt"), text).unwrap();
    token(PASSWORD);
    let file = project(&cluster, "blue");
    let deploy = || node.ok(&["stack", "deploy", "-c", &file, "shop"]);
    deploy();
    wait_for("the secret is read", || (lines(node, "shop_secret") == [PASSWORD]).then_some(()));
    wait_for("the config is read", || (lines(node, "shop_config") == ["colour = blue"]).then_some(()));
    assert_eq!((names(node, "secret"), names(node, "config")), (vec!["shop_token".into()], vec!["shop_app".into()]));
    let again = deploy();
    assert!(again.contains("Unchanged: service shop_secret") && !again.contains("Creating"), "{again}");

    token(SECOND);
    let changed = deploy();
    assert!(changed.contains("Creating secret shop_token_2") && changed.contains("Unchanged: service shop_config"), "{changed}");
    wait_for("the new secret is read", || lines(node, "shop_secret").contains(&SECOND.to_owned()).then_some(()));
    // It goes with this deployment, or, if its last task had not ended yet, with the next one.
    if !changed.contains("Removing secret shop_token") {
        wait_for("the old secret goes", || deploy().contains("Removing secret shop_token").then_some(()));
    }
    assert_eq!(names(node, "secret"), ["shop_token_2"]);
    assert!(node.refused(&["secret", "rm", "shop_token_2"]).contains("is used by service 'shop_secret'"));
    node.ok(&["stack", "rm", "shop"]);
    assert_eq!((names(node, "secret"), names(node, "config")), (Vec::new(), Vec::new()));

    let external = "services: {web: {image: rng, secrets: [absent]}}\nsecrets: {absent: {external: true}}\n";
    std::fs::write(&file, external).unwrap();
    let refused = node.refused(&["stack", "deploy", "-c", &file, "shop"]);
    assert!(refused.contains("compose.yml:2") && refused.contains("the secret 'absent' is external and does not exist"), "{refused}");
}

#[test]
fn compose_gives_secrets_and_configs_and_takes_them_away() {
    let mut cluster = Cluster::empty();
    cluster.add_node();
    let node = &cluster.nodes[0];
    std::fs::write(cluster.folder().join("token.txt"), PASSWORD).unwrap();
    let (file, address) = (project(&cluster, "green"), node.ip.to_string());
    node.ok(&["compose", "-p", "shop", "-f", &file, "up", "-d", "--address", &address]);
    let logs = || node.ok(&["compose", "-p", "shop", "logs"]);
    wait_for("both are read", || (logs().contains(PASSWORD) && logs().contains("colour = green")).then_some(()));
    assert_eq!(names(node, "secret"), ["shop_token"]);
    project(&cluster, "red");
    node.ok(&["compose", "-p", "shop", "-f", &file, "up", "-d"]);
    wait_for("the new config is read", || logs().contains("colour = red").then_some(()));
    assert!(names(node, "config").contains(&"shop_app_2".to_owned()));
    node.ok(&["compose", "-p", "shop", "-f", &file, "down"]);
}
