//! Flags of Docker that mean nothing here: each is refused with the reason, never ignored.

const NO_KERNEL: &str = "a task is a WebAssembly component without a kernel of its own";
const NO_PRIVILEGE: &str = "a component has no privileges to give or take; it reaches only what the service names";
const NO_USER: &str = "a component runs as no user of the machine";
const NO_EXEC: &str = "a component is one program; what it shall do goes into ARGS behind the image";
const NO_TERMINAL: &str = "a task has no terminal; 'service logs -f' shows what it writes";
const NO_HEALTH_COMMAND: &str = "a component cannot start a command";
const NO_GENERIC: &str = "tasks have memory and CPU, and no devices";
const OWN_NAMES: &str = "names are answered by the cluster alone";
const ONE_LOG: &str = "each task's output is kept by its node; 'service logs' shows it";
const NO_SIGNAL: &str = "a component gets no signals; it is told to stop and has --stop-grace-period to end";
const LATER: &str = "it is not supported yet";

const FLAGS: &[(&str, &str)] = &[
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
    ("--no-healthcheck", NO_HEALTH_COMMAND),
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
    ("--with-registry-auth", "a component file travels through the cluster by itself, no registry is asked"),
    ("--no-resolve-image", "an image is always resolved to its digest, so that every task runs the same bytes"),
    ("--volume", "write --mount type=volume,source=NAME,target=PATH"),
    ("-v", "write --mount type=volume,source=NAME,target=PATH"),
    ("--memory", "write --limit-memory"),
    ("-m", "write --limit-memory"),
    ("--cpus", "write --limit-cpu"),
    ("--restart", "write --restart-condition none, on-failure or any"),
    ("--read-only", LATER),
    ("--secret", LATER),
    ("--config", LATER),
    ("--placement-pref", LATER),
    ("--replicas-max-per-node", LATER),
    ("--max-concurrent", LATER),
    ("--rollback", LATER),
];

/// Why a flag that clap does not know is refused; `None`: it is a mistake.
pub fn why_not(flag: &str) -> Option<&'static str> {
    let name = flag.split('=').next().unwrap_or(flag);
    let listed = FLAGS.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
    listed.or_else(|| (name.starts_with("--health-") || name.starts_with("--rollback-")).then_some(LATER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_flags_have_a_reason() {
        for flag in ["--cap-add", "--sysctl", "--ulimit", "--privileged", "--user", "--entrypoint", "--gpus=all", "--health-interval"] {
            assert!(why_not(flag).is_some(), "{flag}");
        }
        assert_eq!(why_not("--replica"), None);
    }
}
