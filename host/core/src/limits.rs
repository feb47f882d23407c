//! Every bound of the cluster's state and of the commands that change it, with its unit.
use std::time::Duration;

/// Bytes a task's memories may sum up to when the service names no limit.
pub const TASK_MEMORY_DEFAULT_BYTES: u64 = 256 << 20;
/// Least memory limit a service may ask for, in bytes.
pub const TASK_MEMORY_MIN_BYTES: u64 = 1 << 20;
/// Longest name of a service, network or volume, in characters (a DNS label).
pub const NAME_CHARS_MAX: usize = 63;
/// Finished tasks kept per slot.
pub const TASK_HISTORY_PER_SLOT: usize = 5;
/// Changes in one plan; the rest comes with the next one.
pub const PLAN_CHANGES_MAX: usize = 4_000;
/// Replicas of one service.
pub const REPLICAS_MAX: u32 = 20_000;
/// Answers kept for requests that might be sent again.
pub const REQUEST_ANSWERS_MAX: usize = 4_096;
/// Bytes of a task's arguments, environment and labels together.
pub const TASK_TEXT_BYTES_MAX: usize = 256 << 10;

/// First wait before a failed task is replaced; doubles with each failure.
pub const RESTART_DELAY_FIRST: Duration = Duration::from_millis(100);
/// Longest wait before a failed task is replaced.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);
/// How long a task may take to drain after it was told to stop.
pub const STOP_GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// How long a new task is watched for failure: in an update, and before a service counts as converged.
pub const UPDATE_MONITOR_DEFAULT: Duration = Duration::from_millis(500);
/// Wait between two health checks of a task.
pub const HEALTH_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// Least such wait that a service may ask for.
pub const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A health check that is not answered for this long has failed.
pub const HEALTH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Failed health checks in a row that make a task unhealthy.
pub const HEALTH_RETRIES_DEFAULT: u32 = 3;
/// Longest path of a health check, in bytes.
pub const HEALTH_PATH_BYTES_MAX: usize = 2_048;
/// A node on which a service failed this often within [`FAILURE_WINDOW`] is chosen last.
pub const FAILURES_PER_NODE_MAX: usize = 5;
/// See [`FAILURES_PER_NODE_MAX`].
pub const FAILURE_WINDOW: Duration = Duration::from_secs(300);
/// Bounded wait of a stopping task until all live nodes have dropped it from their routes.
pub const ROUTE_ACK_WAIT: Duration = Duration::from_secs(1);

/// An agent tells the leader that it lives this often, ± 10 %.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// A node is down after this long without a heartbeat.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// A new leader waits this long before it calls a silent node down.
pub const HEARTBEAT_GRACE_NEW_LEADER: Duration = Duration::from_secs(6);

/// Ports that are given out when `--publish` names only the target.
pub const PUBLISH_PORTS_AUTOMATIC: std::ops::RangeInclusive<u16> = 30_000..=32_767;
/// Connections that wait for a task of a service to become ready wait this long.
pub const CONNECT_READY_WAIT: Duration = Duration::from_secs(2);

/// Tasks that one plan creates at most, so that the same plan can address and assign them too.
pub const PLAN_CREATES_MAX: usize = 1_200;
/// A task that ran this long before it ended is restarted with the first delay again.
pub const RESTART_RESET_AFTER: Duration = Duration::from_secs(10);
/// Longest address pool prefix: shorter pools would hold too few networks.
pub const ADDRESS_POOL_PREFIX_MAX: u8 = 24;
/// Prefix of the subnets that are cut from the pool, where the pool is large enough.
pub const SUBNET_PREFIX: u8 = 16;
/// Shortest prefix of a subnet that a user may give.
pub const SUBNET_PREFIX_MIN: u8 = 8;
/// Longest prefix of a subnet that a user may give.
pub const SUBNET_PREFIX_MAX: u8 = 29;
/// Longest hostname of a node, in characters.
pub const HOSTNAME_CHARS_MAX: usize = 253;
/// Placement preferences of one service at most.
pub const PREFERENCES_MAX: usize = 8;
/// Volumes and folders that one task mounts at most.
pub const MOUNTS_MAX: usize = 32;
/// Longest path of a node's folder that a task mounts, in bytes.
pub const BIND_SOURCE_BYTES_MAX: usize = 4_096;
/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 500 << 10;
/// Bytes of a config.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Bytes by which sealing may make a secret longer.
pub const SEAL_BYTES_MAX: usize = 64;
/// Secrets and configs of the cluster.
pub const FILES_MAX: usize = 10_000;
/// Bytes of all secrets and configs of the cluster, which every manager holds in memory.
pub const FILES_BYTES_MAX: u64 = 256 << 20;
/// Secrets and configs that one task has at most.
pub const FILES_PER_TASK_MAX: usize = 64;
/// Longest name of a secret or config, in characters; longer than other names, because compose puts a number behind it.
pub const FILE_NAME_CHARS_MAX: usize = 128;
/// Longest path of a secret or config inside a task, in bytes.
pub const FILE_TARGET_BYTES_MAX: usize = 1_024;
/// Networks of one service at most.
pub const NETWORKS_PER_SERVICE_MAX: usize = 32;
/// Further names of a service on one network at most.
pub const ALIASES_MAX: usize = 32;
/// Published ports of one service at most.
pub const PORTS_PER_SERVICE_MAX: usize = 128;
/// Longest delay, grace period or monitor that a spec may ask for.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
