//! Flags and commands of Docker that are not here: each is refused with the reason, or with what to write, never ignored.

const NO_KERNEL: &str = "a task is a WebAssembly component without a kernel of its own";
const NO_PRIVILEGE: &str = "a component has no privileges to give or take; it reaches only what the service names";
const NO_USER: &str = "a component runs as no user of the machine";
const NO_EXEC: &str = "a component is one program; what it shall do goes into ARGS behind the image";
const NO_TERMINAL: &str = "a task has no terminal; 'service logs -f' shows what it writes";
const NO_HEALTH_COMMAND: &str = "a component cannot start a command; use --health-http PATH or --health-tcp PORT";
const NO_GENERIC: &str = "tasks have memory and CPU, and no devices";
const OWN_NAMES: &str = "names are answered by the cluster alone";
const ONE_LOG: &str = "each task's output is kept by its node; 'service logs' shows it";
const GRACE: &str = "a task is told to stop and has its service's stop_grace_period to end; write that into the compose file";
const NO_SIGNAL: &str = "a component gets no signals; it is told to stop and has --stop-grace-period to end";

/// Flags that cannot mean anything for a component.
const MEANINGLESS: &[(&str, &str)] = &[
    ("--cap-add", NO_PRIVILEGE),
    ("--cap-drop", NO_PRIVILEGE),
    ("--privileged", NO_PRIVILEGE),
    ("--security-opt", NO_PRIVILEGE),
    ("--credential-spec", NO_PRIVILEGE),
    ("--user", NO_USER),
    ("-u", NO_USER),
    ("--group", NO_USER),
    ("--group-add", NO_USER),
    ("--sysctl", NO_KERNEL),
    ("--sysctl-add", NO_KERNEL),
    ("--ulimit", NO_KERNEL),
    ("--ulimit-add", NO_KERNEL),
    ("--limit-pids", NO_KERNEL),
    ("--pids-limit", NO_KERNEL),
    ("--isolation", NO_KERNEL),
    ("--init", NO_KERNEL),
    ("--oom-score-adj", NO_KERNEL),
    ("--memory-swap", NO_KERNEL),
    ("--memory-swappiness", NO_KERNEL),
    ("--shm-size", NO_KERNEL),
    ("--pid", NO_KERNEL),
    ("--ipc", NO_KERNEL),
    ("--device", NO_GENERIC),
    ("--gpus", NO_GENERIC),
    ("--generic-resource", NO_GENERIC),
    ("--entrypoint", NO_EXEC),
    ("--workdir", NO_EXEC),
    ("-w", NO_EXEC),
    ("--tty", NO_TERMINAL),
    ("-t", NO_TERMINAL),
    ("--interactive", NO_TERMINAL),
    ("-i", NO_TERMINAL),
    ("--health-cmd", NO_HEALTH_COMMAND),
    ("--dns", OWN_NAMES),
    ("--dns-option", OWN_NAMES),
    ("--dns-search", OWN_NAMES),
    ("--host", OWN_NAMES),
    ("--host-add", OWN_NAMES),
    ("--add-host", OWN_NAMES),
    ("--log-driver", ONE_LOG),
    ("--log-opt", ONE_LOG),
    ("--stop-signal", NO_SIGNAL),
    ("--container-label", "a task has no labels of its own; label the service with --label"),
    ("--with-registry-auth", "the node that is asked fetches the image, and it travels through the cluster by itself"),
    ("--no-resolve-image", "an image is always resolved to its digest, so that every task runs the same bytes"),
];

/// Flags that have another name here.
const RENAMED: &[(&str, &str)] = &[
    ("--volume", "--mount type=volume,source=NAME,target=PATH, or type=bind,source=/PATH,target=PATH"),
    ("-v", "--mount type=volume,source=NAME,target=PATH, or type=bind,source=/PATH,target=PATH"),
    ("--memory", "--limit-memory"),
    ("-m", "--limit-memory"),
    ("--cpus", "--limit-cpu"),
    ("--restart", "--restart-condition none, on-failure or any"),
];

/// Flags that a later version will have.
const FLAGS_LATER: &[&str] = &["--read-only"];

/// Commands of Docker, and what to write here.
const COMMANDS: &[(&str, &str)] = &[
    ("swarm", "'minicloud init', 'join', 'join-token' and 'leave' stand alone"),
    ("ps", "write 'minicloud service ps SERVICE' or 'minicloud node ps'"),
    ("ls", "write 'minicloud service ls'"),
    ("logs", "write 'minicloud service logs SERVICE'"),
    ("scale", "write 'minicloud service scale SERVICE=REPLICAS'"),
    ("inspect", "write 'minicloud service inspect', or 'node', 'network' or 'volume inspect'"),
    ("rm", "write 'minicloud service rm', or 'node', 'network' or 'volume rm'"),
    ("kill", "write 'minicloud service rm', or 'minicloud service scale SERVICE=0'"),
    ("restart", "write 'minicloud service update --force SERVICE'"),
    ("exec", "a component is one program and cannot be entered; see 'minicloud service logs'"),
    ("attach", "a task has no terminal; see 'minicloud service logs -f'"),
    ("container", "tasks run components; see 'minicloud service ps' and 'minicloud node ps'"),
    ("login", "logins are taken from the docker config file (~/.docker/config.json)"),
    ("logout", "logins are taken from the docker config file (~/.docker/config.json)"),
    ("create", "write 'minicloud service create IMAGE', or 'minicloud run IMAGE' for one task in the foreground"),
    ("rmi", "write 'minicloud image rm IMAGE'"),
    ("history", "write 'minicloud image inspect IMAGE'; a component has no layers"),
    ("search", "a registry is asked for its images with 'curl REGISTRY/v2/_catalog'"),
    ("save", "write 'minicloud push REGISTRY/IMAGE'; images travel by a registry"),
    ("load", "write 'minicloud build -t NAME FILE.wasm', or 'minicloud pull REGISTRY/IMAGE'"),
    ("export", "write 'minicloud push REGISTRY/IMAGE'; images travel by a registry"),
    ("import", "write 'minicloud build -t NAME FILE.wasm'"),
    ("commit", "a task cannot become an image; write 'minicloud build -t NAME PATH'"),
    ("cp", "mount a folder of the node instead: --mount type=bind,source=/PATH,target=/PATH"),
    ("diff", "a task has no file system of its own; see 'minicloud service inspect' for what it mounts"),
    ("wait", "write 'minicloud run IMAGE', which ends with the task's exit code, or 'minicloud service ps SERVICE'"),
    ("pause", "a task cannot be held; write 'minicloud service scale SERVICE=0'"),
    ("unpause", "a task cannot be held; write 'minicloud service scale SERVICE=REPLICAS'"),
    ("port", "write 'minicloud service ls'"),
    ("rename", "a service keeps its name; write 'minicloud service create --name NAME'"),
    ("system", "write 'minicloud info', 'minicloud events', or 'minicloud image prune'"),
    ("builder", "write 'minicloud build -t NAME PATH'"),
    ("buildx", "write 'minicloud build -t NAME PATH'"),
    ("manifest", "write 'minicloud image inspect IMAGE'"),
    ("context", "the node is chosen with --data-dir or MINICLOUD_DATA_DIR"),
    ("plugin", "networks and volumes are built in"),
];

/// Verbs of docker's nouns, and what to write here.
const NOUN_VERBS: &[(&str, &str, &str)] = &[
    ("image", "build", "write 'minicloud build -t NAME PATH'"),
    ("image", "push", "write 'minicloud push IMAGE'"),
    ("image", "pull", "write 'minicloud pull IMAGE'"),
    ("image", "tag", "write 'minicloud tag IMAGE NAME'"),
    ("image", "history", "write 'minicloud image inspect IMAGE'; a component has no layers"),
    ("image", "save", "write 'minicloud push REGISTRY/IMAGE'; images travel by a registry"),
    ("image", "load", "write 'minicloud build -t NAME FILE.wasm', or 'minicloud pull REGISTRY/IMAGE'"),
    ("image", "import", "write 'minicloud build -t NAME FILE.wasm'"),
    ("volume", "prune", "write 'minicloud volume rm VOLUME' for each of 'minicloud volume ls -q' whose data may go"),
    ("volume", "update", "a volume does not change; write 'minicloud volume create'"),
    ("network", "prune", "write 'minicloud network rm NETWORK' for each of 'minicloud network ls -q' that is not needed"),
    ("network", "connect", "write 'minicloud service update --network-add NETWORK SERVICE'"),
    ("network", "disconnect", "write 'minicloud service update --network-rm NETWORK SERVICE'"),
    ("stack", "up", "write 'minicloud stack deploy -c FILE NAME'"),
    ("stack", "down", "write 'minicloud stack rm NAME'"),
];

/// Verbs of docker compose, and what to write here.
const COMPOSE_VERBS: &[(&str, &str)] = &[
    ("attach", "a task has no terminal; write 'minicloud compose logs -f SVC'"),
    ("cp", "mount a folder of this machine instead: volumes: ['./files:/files']"),
    ("create", "write 'minicloud compose up -d'"),
    ("events", "write 'minicloud events'"),
    ("exec", "a component is one program and cannot be entered; see 'minicloud compose logs SVC'"),
    ("images", "write 'minicloud images'"),
    ("kill", "write 'minicloud compose stop'"),
    ("ls", "write 'minicloud service ls'"),
    ("pause", "write 'minicloud compose stop'"),
    ("port", "write 'minicloud compose ps'"),
    ("push", "write 'minicloud push IMAGE' for each image of 'minicloud compose config --images'"),
    ("rm", "write 'minicloud compose down'"),
    ("run", "write 'minicloud run --rm --network PROJECT_default IMAGE ARGS' for one task beside the project"),
    ("scale", "write 'minicloud compose up -d --scale SVC=N'"),
    ("stats", "write 'minicloud compose top', or 'minicloud stats'"),
    ("unpause", "write 'minicloud compose start'"),
    ("wait", "write 'minicloud compose ps'"),
    ("watch", "write 'minicloud compose up -d --build' after a change"),
];

/// Commands that a later version will have.
const COMMANDS_LATER: &[&str] = &["recover", "ca", "unlock", "unlock-key", "update"];

/// What to say of a flag that clap does not know; `None`: it is a mistake. `compose`: it stands behind a verb of compose.
pub fn flag(flag: &str, compose: bool) -> Option<String> {
    let name = flag.split('=').next().unwrap_or(flag);
    if compose && ["-t", "--timeout"].contains(&name) {
        return Some(format!("{name} is not taken here: {GRACE}"));
    }
    if let Some(why) = find(MEANINGLESS, name) {
        return Some(format!("{name} means nothing here: {why}"));
    }
    if let Some(other) = find(RENAMED, name) {
        return Some(format!("{name} is not a flag of this command; write {other}"));
    }
    FLAGS_LATER.contains(&name).then(|| format!("{name} is not supported yet"))
}

/// What to say of a command that clap does not know; `None`: it is a mistake.
pub fn command(name: &str) -> Option<String> {
    if let Some(other) = find(COMMANDS, name) {
        return Some(format!("there is no 'minicloud {name}': {other}"));
    }
    COMMANDS_LATER.contains(&name).then(|| format!("'minicloud {name}' is not supported yet"))
}

/// What to say of a verb that clap does not know behind a noun.
pub fn verb(noun: &str, name: &str) -> Option<String> {
    let other = match noun {
        "compose" => find(COMPOSE_VERBS, name),
        _ => NOUN_VERBS.iter().find(|(of, known, _)| (*of, *known) == (noun, name)).map(|(_, _, text)| *text),
    };
    other.map(|other| format!("there is no 'minicloud {noun} {name}': {other}"))
}

fn find(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_flags_have_a_reason() {
        for meaningless in ["--cap-add", "--sysctl", "--ulimit", "--privileged", "--user", "--entrypoint", "--gpus=all"] {
            assert!(flag(meaningless, false).unwrap().contains("means nothing here: "), "{meaningless}");
        }
        assert_eq!(flag("--memory=64m", false).unwrap(), "--memory is not a flag of this command; write --limit-memory");
        assert!(flag("--health-cmd", false).unwrap().ends_with("use --health-http PATH or --health-tcp PORT"));
        assert_eq!(flag("--read-only", false).unwrap(), "--read-only is not supported yet");
        assert_eq!(flag("--replica", false), None);
    }

    #[test]
    fn docker_s_commands_have_a_successor() {
        assert!(command("swarm").unwrap().contains("'minicloud init'"));
        assert_eq!(command("recover").unwrap(), "'minicloud recover' is not supported yet");
        assert!(command("rmi").unwrap().ends_with("write 'minicloud image rm IMAGE'"));
        assert!(verb("volume", "prune").unwrap().contains("'minicloud volume rm VOLUME'"));
        assert_eq!(verb("volume", "run"), None);
        assert_eq!(command("servise"), None);
    }
}
