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
];

/// Verbs of docker compose, and what to write here.
const COMPOSE_VERBS: &[(&str, &str)] = &[
    ("attach", "a task has no terminal; write 'minicloud compose logs -f SVC'"),
    ("cp", "mount a folder of this machine instead: volumes: ['./files:/files']"),
    ("create", "write 'minicloud compose up -d'"),
    ("events", "write 'minicloud compose logs -f', or 'minicloud service ps'"),
    ("exec", "a component is one program and cannot be entered; see 'minicloud compose logs SVC'"),
    ("images", "write 'minicloud images'"),
    ("kill", "write 'minicloud compose stop'"),
    ("ls", "write 'minicloud service ls'"),
    ("pause", "write 'minicloud compose stop'"),
    ("port", "write 'minicloud compose ps'"),
    ("push", "write 'minicloud push IMAGE' for each image of 'minicloud compose config --images'"),
    ("rm", "write 'minicloud compose down'"),
    ("run", "write 'minicloud service create' for one task beside the project"),
    ("scale", "write 'minicloud compose up -d --scale SVC=N'"),
    ("stats", "write 'minicloud compose top'"),
    ("unpause", "write 'minicloud compose start'"),
    ("wait", "write 'minicloud compose ps'"),
    ("watch", "write 'minicloud compose up -d --build' after a change"),
];

/// Commands that a later version will have.
const COMMANDS_LATER: &[&str] = &["push", "pull", "top", "stats", "events", "recover", "ca", "unlock", "unlock-key", "update"];

/// What to say of a flag that clap does not know; `None`: it is a mistake.
pub fn flag(flag: &str) -> Option<String> {
    let name = flag.split('=').next().unwrap_or(flag);
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

/// What to say of a verb of compose that clap does not know.
pub fn compose_verb(name: &str) -> Option<String> {
    find(COMPOSE_VERBS, name).map(|other| format!("there is no 'minicloud compose {name}': {other}"))
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
            assert!(flag(meaningless).unwrap().contains("means nothing here: "), "{meaningless}");
        }
        assert_eq!(flag("--memory=64m").unwrap(), "--memory is not a flag of this command; write --limit-memory");
        assert!(flag("--health-cmd").unwrap().ends_with("use --health-http PATH or --health-tcp PORT"));
        assert_eq!(flag("--read-only").unwrap(), "--read-only is not supported yet");
        assert_eq!(flag("--replica"), None);
    }

    #[test]
    fn docker_s_commands_have_a_successor() {
        assert!(command("swarm").unwrap().contains("'minicloud init'"));
        assert_eq!(command("events").unwrap(), "'minicloud events' is not supported yet");
        assert_eq!(command("servise"), None);
    }
}
