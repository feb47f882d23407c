//! Compose files on a node that is started for them, and stacks on a cluster.
mod files;
mod folders;
mod verbs;
mod waiting;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::dockercoins::hashes;
use crate::support::{Cluster, Node, guest, wait_for};

const DOCKERCOINS: &str = "\
services:
  rng: {image: rng, ports: ['8001:80']}
  hasher: {image: hasher, ports: ['8002:80']}
  webui: {image: webui, ports: ['8000:80'], depends_on: [redis]}
  redis: {image: redis, volumes: ['data:/data']}
  worker: {image: worker, depends_on: [rng, hasher, redis]}
volumes: {data: {}}
";

fn file(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A place for a node that is not made yet, and the file of a project for it.
fn project(text: &str) -> (Cluster, PathBuf) {
    let mut cluster = Cluster::empty();
    cluster.add_node();
    let file = file(&cluster, "compose.yml", text);
    (cluster, file)
}

fn up(node: &Node, file: &Path, further: &[&str]) -> String {
    let address = node.ip.to_string();
    let mut words = vec!["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "--address", &address];
    words.extend(further);
    node.ok(&words)
}

fn compose(node: &Node, words: &[&str]) -> String {
    node.ok(&[&["compose", "-p", "coins"], words].concat())
}

/// Tasks of the project that run, by their names.
fn running(node: &Node) -> Vec<String> {
    let text = compose(node, &["ps"]);
    let lines = text.lines().skip(1).filter(|line| line.contains("Running "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn a_project_lives_from_up_to_down() {
    let (cluster, file) = project(DOCKERCOINS);
    let node = &cluster.nodes[0];
    up(node, &file, &["-d", "--scale", "worker=2"]);
    let first = wait_for("hashes are counted", || hashes(node));
    wait_for("the count rises", || hashes(node).filter(|later| *later > first));
    assert_eq!(running(node), ["hasher-1", "redis-1", "rng-1", "webui-1", "worker-1", "worker-2"]);
    assert!(compose(node, &["top"]).contains("rng-1"));
    let lines = wait_for("the worker's lines", || {
        let lines = compose(node, &["logs", "worker", "rng"]);
        lines.contains("worker-2  | ").then_some(lines)
    });
    assert!(lines.contains("rng-1     | ") && lines.contains("units of work done, updating hash counter"), "{lines}");
    assert_eq!(compose(node, &["logs", "--tail", "1", "--no-log-prefix", "worker"]).lines().count(), 2);

    up(node, &file, &["-d"]);
    wait_for("without --scale the file says how many", || (running(node).len() == 5).then_some(()));
    compose(node, &["stop", "worker"]);
    assert_eq!(running(node), ["hasher-1", "redis-1", "rng-1", "webui-1"]);
    compose(node, &["stop"]);
    assert!(running(node).is_empty());
    let ended = compose(node, &["ps", "-a"]);
    assert!(ended.lines().any(|line| line.starts_with("worker-1 ") && line.contains("Stopped")), "{ended}");
    compose(node, &["start"]);
    assert_eq!(running(node).len(), 5);
    let kept = wait_for("hashes are counted again", || hashes(node));
    assert!(kept >= first, "redis kept its volume: {kept} after {first}");
    compose(node, &["restart", "rng"]);
    wait_for("the count rises again", || hashes(node).filter(|later| *later > kept));

    compose(node, &["down"]);
    assert!(node.pid().is_none_or(|pid| rustix::process::test_kill_process(pid).is_err()), "its node is ended");
    assert!(node.data_dir.is_dir(), "its volume is kept");
    up(node, &file, &["-d"]);
    let again = wait_for("hashes are counted in the next run", || hashes(node));
    assert!(again >= kept, "redis kept its volume: {again} after {kept}");
    compose(node, &["down", "-v"]);
    assert!(!node.data_dir.exists(), "nothing is left");
}

#[test]
fn a_node_that_was_started_for_a_project_ends_with_the_last_that_is_on_it() {
    let (cluster, path) = project("services: {web: {image: rng, volumes: ['data:/data']}}\nvolumes: {data: {}}\n");
    let node = &cluster.nodes[0];
    let (text, address) = (path.to_str().unwrap(), node.ip.to_string());
    let lives = || node.pid().is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    for name in ["first", "second"] {
        node.ok(&["compose", "-p", name, "-f", text, "up", "-d", "--address", &address]);
    }
    node.ok(&["service", "create", "--name", "plain", "rng"]);
    let told = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let goes_on = told(node.cli(&["compose", "-p", "second", "down", "-v"]));
    assert!(goes_on.contains("goes on: it has service first_web and 3 more too"), "{goes_on}");
    assert!(lives() && node.running("first_web").len() == 1 && node.running("plain").len() == 1, "others go on");
    assert_eq!(node.ok(&["volume", "ls", "-q"]), "first_data\n");
    node.ok(&["compose", "-p", "first", "down"]);
    assert!(lives(), "a plain service is on it");
    node.ok(&["service", "rm", "plain"]);

    node.ok(&["compose", "-p", "second", "-f", text, "up", "-d"]);
    node.ok(&["compose", "-p", "second", "down", "-v"]);
    assert!(lives() && node.ok(&["volume", "ls", "-q"]) == "first_data\n", "the volume is another project's");
    node.ok(&["compose", "-p", "first", "down"]);
    assert!(!lives() && node.data_dir.is_dir(), "its own volume is kept, and needs no process");
    // An attempt that starts nothing leaves it as it was.
    std::fs::write(&path, "services: {web: {image: no-such-image}}\n").unwrap();
    node.refused(&["compose", "-p", "first", "-f", text, "up", "-d"]);
    assert!(!lives() && node.data_dir.is_dir(), "the volume of before is still there");
    node.ok(&["compose", "-p", "first", "down", "-v"]);
    assert!(!node.data_dir.exists(), "nothing is left");
}

/// A command of the foreground, and its lines as they come.
fn foreground(node: &Node, words: &[&str]) -> (Child, std::sync::mpsc::Receiver<String>) {
    let mut child = node.command(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (told, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
    (child, lines)
}

#[test]
fn in_the_foreground_all_lines_are_shown_until_ctrl_c_stops_the_project() {
    let (cluster, file) = project(DOCKERCOINS);
    let node = &cluster.nodes[0];
    let address = node.ip.to_string();
    let (mut child, lines) = foreground(node, &["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "--address", &address]);
    let mut missing = vec!["worker-1  | ", "rng-1     | ", "hasher-1  | "];
    let deadline = Instant::now() + crate::support::PATIENCE;
    while !missing.is_empty() {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => missing.retain(|start| !line.starts_with(start)),
            Err(_) => panic!("no line begins with {missing:?}"),
        }
    }
    let node_process = node.pid().expect("a node was started");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    wait_for("the node ended with it", || rustix::process::test_kill_process(node_process).is_err().then_some(()));
    compose(node, &["start"]);
    assert_eq!(running(node).len(), 5, "what was stopped is still there");
    compose(node, &["down", "-v"]);
}

#[test]
fn services_wait_for_those_they_need_and_a_project_that_is_done_ends() {
    let (cluster, file) = project("");
    let node = &cluster.nodes[0];
    let component = guest("test-cli2");
    let text = format!(
        "services:\n  first: {{image: '{0}', command: [args, one]}}\n  second: {{image: '{0}', command: [args, two], depends_on: {{first: {{condition: service_completed_successfully}}}}}}\n",
        component.display()
    );
    std::fs::write(&file, text).unwrap();
    let lines = up(node, &file, &[]);
    let (one, two) = (lines.find("first-1   | "), lines.find("second-1  | "));
    assert!(one.is_some() && one < two, "{lines}");
    compose(node, &["down"]);
    assert!(!node.data_dir.exists());
}

#[test]
fn what_is_wrong_in_a_file_starts_nothing() {
    let (cluster, file) = project("services:\n  worker:\n    image: worker\n    enviroment: {A: 1}\n");
    let node = &cluster.nodes[0];
    let file_text = file.to_str().unwrap();
    let typo = node.refused(&["compose", "-f", file_text, "up", "-d"]);
    assert!(typo.contains("compose.yml:4:5: 'enviroment' is no key of a service; did you mean 'environment'?"), "{typo}");
    std::fs::write(&file, "services: {worker: {image: worker}}\n").unwrap();
    let scale = node.refused(&["compose", "-f", file_text, "up", "-d", "--scale", "wroker=3"]);
    assert!(scale.contains("there is no service 'wroker'") && scale.contains("did you mean 'worker'?"), "{scale}");
    let image = {
        std::fs::write(&file, "services: {worker: {image: no-such-image}}\n").unwrap();
        node.refused(&["compose", "-f", file_text, "up", "-d", "--address", &node.ip.to_string()])
    };
    assert!(image.contains("no-such-image"), "{image}");
    std::fs::write(&file, "services: {a: {image: rng}, b: {image: no-such-image, depends_on: [a]}}\n").unwrap();
    let later = node.refused(&["compose", "-f", file_text, "up", "-d", "--address", &node.ip.to_string()]);
    assert!(
        later.contains("service b: there is no image 'no-such-image' on this node") && later.contains("REGISTRY/no-such-image"),
        "{later}"
    );
    assert!(!later.contains("created"), "{later}");
    std::fs::write(&file, "services: {a: {image: rng}, b: {image: rng, depends_on: [a], deploy: {replicas: 3000000000}}}\n").unwrap();
    let many = node.refused(&["compose", "-f", file_text, "up", "-d", "--address", &node.ip.to_string()]);
    assert!(many.contains("service b: 3000000000 replicas") && many.contains("ask for at most") && !many.contains("created"), "{many}");
    assert!(!node.data_dir.exists(), "the node that was started for nothing is gone");
}

#[test]
fn a_port_that_another_program_has_is_told() {
    let (cluster, file) = project("services:\n  rng: {image: rng, ports: ['8001:80', '8002:80']}\n");
    let node = &cluster.nodes[0];
    let _other = std::net::TcpListener::bind((node.ip, 8001)).unwrap();
    let told = node.refused(&["compose", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()]);
    assert!(told.contains(":8001/tcp of service") && told.contains("another program listens there"), "{told}");
    assert!(node.http(8002, "/").is_some(), "the rest of it runs");
    let _further = std::net::TcpListener::bind((node.ip, 8003)).unwrap();
    let created = node.cli(&["service", "create", "--name", "again", "-p", "8003:80", "rng"]);
    let warned = String::from_utf8_lossy(&created.stderr);
    assert!(created.status.success() && warned.contains("warning: port") && warned.contains(":8003/tcp"), "{created:?}");
    node.ok(&["service", "rm", "again"]);
    node.ok(&["compose", "-f", file.to_str().unwrap(), "down"]);
}

/// The example builds four services from source.
#[test]
fn dockercoins_is_built_and_runs_as_it_is() {
    let mut cluster = Cluster::empty();
    let node = cluster.add_node();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dockercoins/compose.yml");
    up(node, &file, &["-d"]);
    let first = wait_for("hashes are counted", || hashes(node));
    wait_for("the count rises", || hashes(node).filter(|later| *later > first));
    assert_eq!(node.http(8001, "/").unwrap().1, "RNG running on coins_rng-1\n");
    assert!(node.ok(&["images"]).contains("coins-worker"));
    compose(node, &["down", "-v"]);
    assert!(!node.data_dir.exists());
}

#[test]
fn a_dockerfile_is_told_what_is_built_here() {
    let (cluster, file) = project("services:\n  web:\n    build: ./web\n");
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join("web");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    let refused = node.refused(&["compose", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()]);
    for part in ["compose.yml:3:", "minicloud builds Wasm", "Cargo.toml", "minicloud.toml", "examples/dockercoins"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(!node.data_dir.exists(), "nothing is left of the attempt");
}

#[test]
fn a_stack_is_deployed_changed_and_removed() {
    let cluster = Cluster::with_workers(2);
    let node = &cluster.nodes[0];
    let path = file(&cluster, "stack.yml", &format!("{DOCKERCOINS}\n"));
    let path = path.to_str().unwrap();
    let deployed = node.ok(&["stack", "deploy", "-c", path, "coins"]);
    assert!(deployed.contains("Creating service coins_worker") && deployed.contains("Stack coins converged"), "{deployed}");
    let first = wait_for("hashes are counted", || hashes(node));
    wait_for("the count rises", || hashes(node).filter(|later| *later > first));
    assert!(node.ok(&["stack", "ls"]).lines().any(|line| line.split_whitespace().eq(["coins", "5"])));
    assert!(node.ok(&["stack", "services", "coins"]).contains("coins_redis"));
    let tasks = |node: &Node| {
        let tasks = node.json(&["stack", "ps", "coins"]).unwrap();
        let mut ids: Vec<String> = tasks.as_array().unwrap().iter().map(|task| task["id"].to_string()).collect();
        ids.sort();
        ids
    };
    let before = tasks(node);
    assert_eq!(before.len(), 5);

    let shown = node.ok(&["stack", "config", "-c", path]);
    assert!(shown.contains("services:") && shown.contains("image: hasher"), "{shown}");
    let again = node.ok(&["stack", "deploy", "-c", path, "--detach=false", "coins"]);
    assert_eq!(again.matches("Unchanged: service").count(), 5, "{again}");
    assert_eq!(tasks(node), before, "not a task was replaced");

    let changed = DOCKERCOINS
        .replace("worker, depends_on", "worker, deploy: {replicas: 3}, depends_on")
        .replace("image: hasher", "image: hasher, labels: [a=b]");
    std::fs::write(path, changed.replace("  webui:", "  page:")).unwrap();
    // The page's port is still taken by the service of its old name.
    let pruned = node.ok(&["stack", "deploy", "-c", path, "--prune", "coins"]);
    assert!(pruned.contains("Removing service coins_webui") && pruned.contains("Creating service coins_page"), "{pruned}");
    assert!(pruned.contains("Updating service coins_worker") && pruned.contains("Unchanged: service coins_rng"), "{pruned}");
    assert_eq!(node.running("coins_worker").len(), 3);

    std::fs::write(path, changed.replace("image: rng", "image: rng, deploy: {placement: {constraints: ['node.labels.moon==full']}}"))
        .unwrap();
    let refused = node.refused(&["stack", "deploy", "-c", path, "--timeout", "2s", "--prune", "coins"]);
    assert!(refused.contains("stack coins has not converged") && refused.contains("no suitable node"), "{refused}");
    node.ok(&["stack", "rm", "coins"]);
    assert_eq!(node.ok(&["service", "ls", "-q"]), "");
    assert!(node.refused(&["stack", "ps", "coins"]).contains("there is no stack 'coins'"));
    assert!(node.ok(&["volume", "ls"]).contains("coins_data"), "volumes stay");
    what_a_refused_deployment_made_can_be_removed(node, path);
}

fn what_a_refused_deployment_made_can_be_removed(node: &Node, path: &str) {
    let pool = |name: &str, subnet: &str| format!("  {name}: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}\n");
    let overlapping = [pool("wide", "10.77.0.0/16"), pool("within", "10.77.5.0/24")].concat();
    let stack = format!("networks:\n{overlapping}services:\n  rng: {{image: rng, networks: [wide, within]}}\n");
    std::fs::write(path, stack).unwrap();
    assert!(node.refused(&["stack", "deploy", "-c", path, "half"]).contains("overlaps"));
    node.ok(&["stack", "rm", "half"]);
    assert!(!node.ok(&["network", "ls"]).contains("half_"));
    assert!(node.refused(&["stack", "rm", "half"]).contains("there is no stack 'half'"));

    // What no cluster could ever have is noticed before anything is made.
    for (wrong, told) in [("rng, stop_grace_period: 90000h", "service later: "), ("no-such-image", "service later: there is no image")] {
        let stack = format!("services:\n  rng: {{image: rng}}\n  later: {{depends_on: [rng], image: {wrong}}}\n");
        std::fs::write(path, stack).unwrap();
        let refused = node.refused(&["stack", "deploy", "-c", path, "half"]);
        assert!(refused.contains(told), "{refused}");
        assert!(node.ok(&["stack", "ls", "-q"]).is_empty() && !node.ok(&["network", "ls"]).contains("half_"));
    }
}
