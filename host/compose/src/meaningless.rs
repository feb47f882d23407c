//! Keys of compose files that say something about containers, kernels or Docker, and nothing about a component.
//!
//! They are accepted with a warning that says why; a key that is in neither list is a mistake.

const NO_KERNEL: &str = "a task is a WebAssembly component without a kernel of its own";
const NO_PRIVILEGE: &str = "a component has no privileges to give or take; it reaches only what the service names";
const NO_USER: &str = "a component runs as no user of the machine";
const NO_EXEC: &str = "a component is one program and starts no other";
const NO_TERMINAL: &str = "a task has no terminal";
const NO_DEVICE: &str = "tasks have memory and CPU, and no devices";
const OWN_NAMES: &str = "names are answered by the cluster alone";
const ONE_LOG: &str = "each task's output is kept by its node; 'logs' shows it";
const NO_SIGNAL: &str = "a component gets no signals; it is told to stop and has stop_grace_period to end";
const NO_FILES: &str = "a task has no files of its own; mount a volume";
const OWN_NETWORK: &str = "the cluster gives addresses, and the network lives in its processes";
const NO_DRIVER: &str = "there is one kind of it, and no drivers to choose from";
const TASK_NAMES: &str = "tasks are named by their service and number; reach the service by its name";
const NOT_HERE: &str = "it is not supported";
/// Says nothing that would be missed.
const SILENT: &str = "";

/// Type of a value, key, and why it means nothing; an empty reason is not told.
const KEYS: &[(&str, &str, &str)] = &[
    ("ServiceModel", "annotations", SILENT),
    ("ServiceModel", "blkio_config", NO_KERNEL),
    ("ServiceModel", "cap_add", NO_PRIVILEGE),
    ("ServiceModel", "cap_drop", NO_PRIVILEGE),
    ("ServiceModel", "cgroup", NO_KERNEL),
    ("ServiceModel", "cgroup_parent", NO_KERNEL),
    ("ServiceModel", "container_name", TASK_NAMES),
    ("ServiceModel", "cpu_count", NO_KERNEL),
    ("ServiceModel", "cpu_percent", NO_KERNEL),
    ("ServiceModel", "cpu_period", NO_KERNEL),
    ("ServiceModel", "cpu_quota", NO_KERNEL),
    ("ServiceModel", "cpu_rt_period", NO_KERNEL),
    ("ServiceModel", "cpu_rt_runtime", NO_KERNEL),
    ("ServiceModel", "cpu_shares", "CPU is shared fairly; use cpus or deploy.resources"),
    ("ServiceModel", "cpuset", NO_KERNEL),
    ("ServiceModel", "credential_spec", NO_PRIVILEGE),
    ("ServiceModel", "develop", NOT_HERE),
    ("ServiceModel", "device_cgroup_rules", NO_DEVICE),
    ("ServiceModel", "devices", NO_DEVICE),
    ("ServiceModel", "dns", OWN_NAMES),
    ("ServiceModel", "dns_opt", OWN_NAMES),
    ("ServiceModel", "dns_search", OWN_NAMES),
    ("ServiceModel", "domainname", OWN_NAMES),
    ("ServiceModel", "entrypoint", "a component is one program; what it shall do goes into command"),
    ("ServiceModel", "expose", SILENT),
    ("ServiceModel", "external_links", OWN_NAMES),
    ("ServiceModel", "extra_hosts", OWN_NAMES),
    ("ServiceModel", "gpus", NO_DEVICE),
    ("ServiceModel", "group_add", NO_USER),
    ("ServiceModel", "init", NO_KERNEL),
    ("ServiceModel", "ipc", NO_KERNEL),
    ("ServiceModel", "isolation", NO_KERNEL),
    ("ServiceModel", "logging", ONE_LOG),
    ("ServiceModel", "log_driver", ONE_LOG),
    ("ServiceModel", "log_opt", ONE_LOG),
    ("ServiceModel", "mac_address", OWN_NETWORK),
    ("ServiceModel", "mem_swappiness", NO_KERNEL),
    ("ServiceModel", "memswap_limit", NO_KERNEL),
    ("ServiceModel", "models", NOT_HERE),
    ("ServiceModel", "network_mode", OWN_NETWORK),
    ("ServiceModel", "net", OWN_NETWORK),
    ("ServiceModel", "oom_kill_disable", NO_KERNEL),
    ("ServiceModel", "oom_score_adj", NO_KERNEL),
    ("ServiceModel", "pid", NO_KERNEL),
    ("ServiceModel", "pids_limit", NO_KERNEL),
    ("ServiceModel", "platform", "a component runs on every platform"),
    ("ServiceModel", "post_start", NO_EXEC),
    ("ServiceModel", "pre_stop", NO_EXEC),
    ("ServiceModel", "privileged", NO_PRIVILEGE),
    ("ServiceModel", "provider", NOT_HERE),
    ("ServiceModel", "pull_refresh_after", SILENT),
    ("ServiceModel", "read_only", SILENT),
    ("ServiceModel", "runtime", NO_KERNEL),
    ("ServiceModel", "security_opt", NO_PRIVILEGE),
    ("ServiceModel", "shm_size", NO_KERNEL),
    ("ServiceModel", "stdin_open", NO_TERMINAL),
    ("ServiceModel", "stop_signal", NO_SIGNAL),
    ("ServiceModel", "storage_opt", NO_FILES),
    ("ServiceModel", "sysctls", NO_KERNEL),
    ("ServiceModel", "tmpfs", NO_FILES),
    ("ServiceModel", "tty", NO_TERMINAL),
    ("ServiceModel", "ulimits", NO_KERNEL),
    ("ServiceModel", "use_api_socket", NO_PRIVILEGE),
    ("ServiceModel", "user", NO_USER),
    ("ServiceModel", "userns_mode", NO_USER),
    ("ServiceModel", "uts", NO_KERNEL),
    ("ServiceModel", "volume_driver", NO_DRIVER),
    ("ServiceModel", "volumes_from", "name the volumes of the other service"),
    ("ServiceModel", "working_dir", NO_FILES),
    ("BuildModel", "additional_contexts", NOT_HERE),
    ("BuildModel", "cache_from", SILENT),
    ("BuildModel", "cache_to", SILENT),
    ("BuildModel", "dockerfile", "minicloud builds Cargo.toml or minicloud.toml"),
    ("BuildModel", "dockerfile_inline", "minicloud builds Cargo.toml or minicloud.toml"),
    ("BuildModel", "entitlements", NO_PRIVILEGE),
    ("BuildModel", "extra_hosts", OWN_NAMES),
    ("BuildModel", "isolation", NO_KERNEL),
    ("BuildModel", "labels", SILENT),
    ("BuildModel", "network", NO_KERNEL),
    ("BuildModel", "no_cache", SILENT),
    ("BuildModel", "no_cache_filter", SILENT),
    ("BuildModel", "platforms", "a component runs on every platform"),
    ("BuildModel", "privileged", NO_PRIVILEGE),
    ("BuildModel", "provenance", SILENT),
    ("BuildModel", "pull", SILENT),
    ("BuildModel", "sbom", SILENT),
    ("BuildModel", "secrets", NOT_HERE),
    ("BuildModel", "shm_size", NO_KERNEL),
    ("BuildModel", "ssh", NOT_HERE),
    ("BuildModel", "tags", SILENT),
    ("BuildModel", "target", "a build has no stages"),
    ("BuildModel", "ulimits", NO_KERNEL),
    ("AttachmentModel", "driver_opts", NO_DRIVER),
    ("AttachmentModel", "gw_priority", OWN_NETWORK),
    ("AttachmentModel", "interface_name", OWN_NETWORK),
    ("AttachmentModel", "ipv4_address", OWN_NETWORK),
    ("AttachmentModel", "ipv6_address", OWN_NETWORK),
    ("AttachmentModel", "link_local_ips", OWN_NETWORK),
    ("AttachmentModel", "mac_address", OWN_NETWORK),
    ("AttachmentModel", "priority", SILENT),
    ("ResourceModel", "pids", NO_KERNEL),
    ("ResourceModel", "devices", NO_DEVICE),
    ("ResourceModel", "generic_resources", NO_DEVICE),
    ("DependencyModel", "restart", SILENT),
    ("PortModel", "name", SILENT),
    ("PortModel", "app_protocol", SILENT),
    ("VolumeMountModel", "consistency", SILENT),
    ("VolumeMountModel", "volume", SILENT),
    ("VolumeMountModel", "tmpfs", SILENT),
    ("BindModel", "propagation", NO_KERNEL),
    ("BindModel", "recursive", NO_KERNEL),
    ("BindModel", "selinux", SILENT),
    ("VolumeMountModel", "image", NOT_HERE),
    ("VolumeMountModel", "cluster", NOT_HERE),
    ("NetworkModel", "driver_opts", NO_DRIVER),
    ("NetworkModel", "enable_ipv4", OWN_NETWORK),
    ("NetworkModel", "enable_ipv6", OWN_NETWORK),
    ("VolumeModel", "driver_opts", NO_DRIVER),
    ("IpamModel", "driver", SILENT),
    ("IpamModel", "options", NO_DRIVER),
    ("IpamPoolModel", "gateway", OWN_NETWORK),
    ("IpamPoolModel", "ip_range", OWN_NETWORK),
    ("IpamPoolModel", "aux_addresses", OWN_NETWORK),
    ("FileModel", "driver", NO_DRIVER),
    ("FileModel", "driver_opts", NO_DRIVER),
    ("FileMountModel", "uid", NO_USER),
    ("FileMountModel", "gid", NO_USER),
    ("FileMountModel", "mode", NO_USER),
    ("HealthModel", "start_interval", SILENT),
    ("Compose", "models", NOT_HERE),
];

/// Why a known key of a value means nothing; `Some("")`: nothing needs to be said.
pub fn reason(of: &str, key: &str) -> Option<&'static str> {
    KEYS.iter().find(|(model, known, _)| *model == of && *known == key).map(|(_, _, reason)| *reason)
}

/// Every key of a value that is accepted and means nothing.
pub fn keys(of: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |(model, _, _)| *model == of).map(|(_, known, _)| *known)
}
