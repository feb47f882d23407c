//! Every bound of a node's own queues, frames and waits, with its unit.
use std::time::Duration;

/// How long a process that was killed may still hold its data directory.
pub const DYING_PROCESS_WAIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
pub const DYING_PROCESS_LOOK: Duration = Duration::from_millis(20);

/// Bytes of one frame; a larger one ends its stream.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of a packet between nodes, without the headers of IP and UDP; each connection finds out by itself how much of that
/// its path takes. quinn hands ten at once to the system, which takes 64 KiB: of larger packets ten would be lost.
pub const PACKET_BYTES_MAX: u16 = 6_500;
/// Streams that one peer may have open at once on one connection.
pub const STREAMS_PER_LINK_MAX: u32 = 4_096;
/// Datagrams that wait for a connection to come up, per peer; later ones are dropped.
pub const DATAGRAMS_WAITING_MAX: usize = 64;
/// Bytes of a datagram that fit any connection between nodes; larger ones fit when the connection says so.
pub const DATAGRAM_BYTES_SURE: usize = 1_100;
/// Datagrams too large for the connection that are under way on streams of their own; later ones are dropped.
pub const LARGE_DATAGRAMS_MAX: usize = 64;
/// Bytes of a datagram between nodes, with its header.
pub const LARGE_DATAGRAM_BYTES_MAX: usize = 66 << 10;
/// How long a connection may take to come up, its first frame included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(2_000);
/// How long a caller waits for a stream to a peer.
pub const OPEN_TIMEOUT: Duration = Duration::from_millis(3_000);
/// First wait after a failed connection, during which callers fail at once; doubles with each failure.
pub const RECONNECT_DELAY_FIRST: Duration = Duration::from_millis(50);
/// Longest wait after a failed connection.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(1_000);
/// How long an accepted connection may take to say its first frame.
pub const HELLO_TIMEOUT: Duration = Duration::from_millis(3_000);
/// How long a refused peer is given to read why.
pub const REFUSAL_LINGER: Duration = Duration::from_millis(500);
/// How long a stream may take to say its kind.
pub const STREAM_KIND_TIMEOUT: Duration = Duration::from_millis(5_000);
/// Connections being set up at once; beyond it, newcomers must prove their address first.
pub const HANDSHAKES_MAX: usize = 256;

/// A connection between managers is dead after this long without a packet.
pub const MANAGER_IDLE: Duration = Duration::from_secs(3);
/// See [`MANAGER_IDLE`].
pub const MANAGER_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Any other connection is dead after this long without a packet.
pub const WORKER_IDLE: Duration = Duration::from_secs(10);
/// See [`WORKER_IDLE`].
pub const WORKER_KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Round trip assumed before the first measurement.
pub const INITIAL_RTT: Duration = Duration::from_millis(20);

/// The leader says that it leads this often.
pub const RAFT_HEARTBEAT: Duration = Duration::from_millis(130);
/// Managers look this often whether a heartbeat or an election is due.
pub const RAFT_TICK: Duration = Duration::from_millis(66);
/// Raft's waits below this are kept as they are.
pub const RAFT_WAIT_EXACT: Duration = Duration::from_millis(1);
/// Least silence of the leader before an election; also the most is its lease.
pub const ELECTION_TIMEOUT_MIN: Duration = Duration::from_millis(300);
/// Most silence of the leader before an election.
pub const ELECTION_TIMEOUT_MAX: Duration = Duration::from_millis(400);
/// See [`ELECTION_TIMEOUT_MIN`]; for slow disks.
pub const ELECTION_TIMEOUT_MIN_SLOW: Duration = Duration::from_millis(500);
/// See [`ELECTION_TIMEOUT_MAX`]; for slow disks.
pub const ELECTION_TIMEOUT_MAX_SLOW: Duration = Duration::from_millis(1_000);
/// Log entries between two snapshots.
pub const SNAPSHOT_ENTRIES: u64 = 5_000;
/// Log entries kept behind a snapshot for followers that lag a little.
pub const LOG_ENTRIES_KEPT: u64 = 1_000;
/// Entries in one append to a follower.
pub const APPEND_ENTRIES_MAX: u64 = 256;
/// Bytes of the entries in one append to a follower (at least one entry travels).
pub const APPEND_BYTES_MAX: usize = 4 << 20;
/// Bytes of one command; a larger one is refused.
pub const COMMAND_BYTES_MAX: usize = 8 << 20;
/// Operations in one commit of the log.
pub const LOG_BATCH_OPS_MAX: usize = 512;
/// Operations that wait for the log's writer.
pub const LOG_QUEUE_OPS_MAX: usize = 4_096;
/// Bytes of recent entries kept in memory.
pub const LOG_CACHE_BYTES_MAX: usize = 32 << 20;
/// The state goes to disk at least this often while it changes.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(1_500);
/// Bytes of the rows in one frame of a snapshot.
pub const SNAPSHOT_FRAME_BYTES: usize = 1 << 20;
/// How long a snapshot may take to travel.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a proposal is retried while there is no leader.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait between two tries of a proposal.
pub const PROPOSE_RETRY_DELAY: Duration = Duration::from_millis(20);
/// How long a new manager may take to catch up with the log before it votes.
pub const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a promotion waits for the node to vote; the promotion stands in any case.
pub const PROMOTION_WAIT: Duration = Duration::from_secs(20);
/// Wait before a node looks again at the role that it could not take up, or that its view does not show yet.
/// Doubles with each failure up to [`ROLE_RETRY_DELAY_MAX`]; a renewal that failed waits as long.
pub const ROLE_RETRY_DELAY: Duration = Duration::from_millis(200);
/// See [`ROLE_RETRY_DELAY`].
pub const ROLE_RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// How long a leader waits for its successor.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(3);
/// A manager counts as reachable while its last answer to the leader is younger than this.
pub const REACHABLE_WINDOW: Duration = Duration::from_secs(2);

/// Life of a node's certificate.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Life of the cluster's certificate authority.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// Certificates are valid from this long before they are made, for clocks that differ.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(3600);
/// How often a node looks whether its certificate is due for renewal.
pub const RENEWAL_CHECK: Duration = Duration::from_secs(60);
/// Bytes of a certificate signing request.
pub const CSR_BYTES_MAX: usize = 16 << 10;
/// How long a joiner waits for the answer of one manager.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys that seal secrets which a manager keeps while its cluster has not chosen one.
pub const SEAL_KEYS_MAX: usize = 16;
/// How long a manager may take to hand out or to keep the key that seals secrets.
pub const SEAL_KEY_TIMEOUT: Duration = Duration::from_secs(2);
/// Wait before a manager that lacks that key asks for it again.
pub const SEAL_KEY_RETRY_DELAY: Duration = Duration::from_millis(1_000);

/// How long a manager may take to hand out the secrets and configs of a task.
pub const FILES_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a manager waits for the state in which the task was assigned.
pub const FILE_CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// Wait before managers that could not hand out files are asked again.
pub const FILES_RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long a task waits for its secrets and configs before it fails.
pub const FILES_WAIT_MAX: Duration = Duration::from_secs(30);

/// Components that are fetched and compiled at once.
pub const PREPARES_MAX: usize = 4;
/// How long a task may take to end once its grace has passed, and again once it was killed.
pub const KILL_WAIT: Duration = Duration::from_secs(1);
/// How long tasks may drain when their node goes down; the node's stop must not take for ever.
pub const HALT_GRACE_MAX: Duration = Duration::from_secs(3);
/// How often a task that is starting is asked for its health, however long its interval is.
pub const HEALTH_START_INTERVAL_MAX: Duration = Duration::from_millis(250);
/// How long an unhealthy task may drain, however long its grace period is: its replacement waits for it.
pub const UNHEALTHY_GRACE_MAX: Duration = Duration::from_secs(2);
/// Bytes of a status' message; the rest is cut.
pub const STATUS_MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a status' backtrace; the rest is cut.
pub const STATUS_BACKTRACE_BYTES_MAX: usize = 16 << 10;
/// A state on the way to running is told when it lasts this long: most do not, and are never worth a log entry.
pub const STATUS_SETTLE: Duration = Duration::from_millis(20);
/// Statuses in one report.
pub const STATUS_BATCH_TASKS_MAX: usize = 1_000;
/// Bytes of the statuses in one report.
pub const STATUS_BATCH_BYTES_MAX: usize = 1 << 20;
/// Statuses of one node that wait to be proposed; a node that sends more is cut off.
pub const STATUSES_WAITING_MAX: usize = 50_000;
/// Rough bytes of rows in one frame of a view; a larger view travels in pieces.
pub const VIEW_FRAME_BYTES: usize = 1 << 20;
/// A node looks for another leader after this long without a word from this one.
pub const SESSION_SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// First wait before a node tries the next manager; doubles up to [`SESSION_RETRY_DELAY_MAX`], with jitter.
pub const SESSION_RETRY_DELAY_FIRST: Duration = Duration::from_millis(50);
/// See [`SESSION_RETRY_DELAY_FIRST`].
pub const SESSION_RETRY_DELAY_MAX: Duration = Duration::from_millis(1_000);
/// How long a node tries to reach one manager before it asks the next.
pub const SESSION_DIAL_MAX: Duration = Duration::from_millis(1_000);
/// How often a node follows one manager's word to the next before it waits.
pub const SESSION_REDIRECTS_MAX: u32 = 3;
/// How long a session may wait for the state to reach what its node has seen already.
pub const SESSION_CATCH_UP_MAX: Duration = Duration::from_millis(2_000);
/// Bytes that wait in each direction between a leader and its own node.
pub const LOCAL_STREAM_BYTES: usize = 256 << 10;
/// First wait after a plan that could not be applied; doubles up to [`PLAN_RETRY_DELAY_MAX`].
pub const PLAN_RETRY_DELAY_FIRST: Duration = Duration::from_millis(20);
/// See [`PLAN_RETRY_DELAY_FIRST`].
pub const PLAN_RETRY_DELAY_MAX: Duration = Duration::from_millis(1_000);
/// The leader and the dispatcher rest as long as their last piece of work took, but never longer than this.
pub const REST_MAX: Duration = Duration::from_millis(50);

/// Wait before the data of a volume that could not be removed is tried again.
pub const VOLUME_RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long the removal of a volume waits for its data to be gone; it goes in any case.
pub const VOLUME_REMOVAL_WAIT: Duration = Duration::from_secs(5);

/// A component that nobody refers to is kept this long after it was last asked for.
pub const IMAGE_GRACE: Duration = Duration::from_secs(3600);
/// Wait between two looks for components that nobody refers to.
pub const IMAGE_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of components that nobody refers to; beyond it those asked for longest ago go before their time.
pub const IMAGES_UNUSED_BYTES_MAX: u64 = 2 << 30;

/// Bytes of one component.
pub const IMAGE_BYTES_MAX: u64 = 256 << 20;
/// How long a peer may be silent while a component travels.
pub const IMAGE_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a component that came as a file may take to reach enough managers.
pub const IMAGE_REPLICATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Peers that are asked for a component before a task is told that nobody has it.
pub const IMAGE_PEERS_ASKED_MAX: usize = 64;

/// Bytes of one line in a task's log; a longer one is cut into several.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;
/// Bytes of lines that wait to be written, per task; a task that writes faster loses lines, and its log says how many.
pub const LOG_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a task's log file before it is rotated; one older file is kept.
pub const LOG_FILE_BYTES_MAX: u64 = 4 << 20;
/// Bytes of all log files of a node; those of tasks that write no more go first, the oldest first.
pub const LOG_TOTAL_BYTES_MAX: u64 = 1 << 30;
/// Log files that are looked at before an old one is dropped.
pub const LOG_FILES_MAX: usize = 50_000;
/// Events on their way from one log to one reader.
pub const LOG_EVENTS_WAITING_MAX: usize = 256;
/// Tasks in one request for logs or usage.
pub const QUERY_TASKS_MAX: usize = 100_000;
/// How long a node may take to answer a question about itself.
pub const QUERY_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Wait before logs that broke off are asked for again.
pub const LOG_RETRY_DELAY: Duration = Duration::from_millis(1_000);
/// A task's log that is silent for this long after the task's end is known, and does not end, is read once more from its files.
pub const LOG_END_WAIT: Duration = Duration::from_secs(2);
/// Work shorter than this needs no rest.
pub const REST_WORTH: Duration = Duration::from_millis(2);
/// Least wait between two plans of which the first changed nothing.
pub const PLAN_WAIT_MIN: Duration = Duration::from_millis(5);
/// Plans that are applied one after the other before the leader rests a little.
pub const PLANS_IN_A_ROW_MAX: u32 = 64;

/// Connections through published ports of one node at once; further ones wait in the system's backlog.
pub const INGRESS_CONNECTIONS_MAX: usize = 32_768;
/// Connections that wait to be accepted on one published port.
pub const INGRESS_BACKLOG: u32 = 1_024;
/// Bytes read from a published UDP port at a time: the largest datagram fits.
pub const INGRESS_UDP_READ_BYTES: usize = 64 << 10;
/// Bytes of datagrams that the system is asked to keep for a published UDP port.
pub const INGRESS_UDP_QUEUE_BYTES: usize = 1 << 20;
/// Wait before a port that could not be bound is tried again.
pub const INGRESS_RETRY_DELAY: Duration = Duration::from_millis(1_000);
/// Wait after a failed accept, which mostly means that the process has too many files open.
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// A client of a published port that is silent this long is asked whether it is still there; an idle one is never cut.
pub const CLIENT_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Bytes of the body of a request to the API, images excepted.
pub const API_BODY_BYTES_MAX: usize = 4 << 20;
/// Connections to the API at once; further ones wait.
pub const API_CONNECTIONS_MAX: usize = 1_024;
/// A connection to the API that asks nothing for so long is closed.
pub const API_FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests under way may take to end once the node stops.
pub const API_DRAIN_MAX: Duration = Duration::from_millis(500);
/// How long the API tries a change again whose basis was overtaken.
pub const API_STALE_TRIES_MAX: usize = 5;

/// A watch of a service tells a new line at most this often: thousands of tasks change at once, and one line tells all.
pub const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// A DNS client on TCP may be silent this long.
pub const DNS_TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers that wait to be sent on one DNS connection.
pub const DNS_TCP_ANSWERS_MAX: usize = 32;

/// How long a connection to a registry may take to open.
pub const REGISTRY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a registry may be silent within an answer.
pub const REGISTRY_SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a registry is asked what a name stands for that this node knows already.
pub const REGISTRY_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a component that are pushed at a time.
pub const REGISTRY_PIECE_BYTES: usize = 256 << 10;
/// How long a docker credential helper may take to answer; it may ask its user.
pub const CREDENTIAL_HELPER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a credential helper's answer.
pub const CREDENTIAL_HELPER_BYTES_MAX: u64 = 64 << 10;
/// Wait between two lines that tell how far a transfer is.
pub const TRANSFER_INTERVAL: Duration = Duration::from_millis(100);

/// Events of the cluster that a manager keeps; a reader that is further behind misses some, and is told how many.
pub const EVENTS_KEPT_MAX: usize = 8_192;
/// Bytes of what an event says beyond names; the rest is cut.
pub const EVENT_DETAIL_BYTES_MAX: usize = 512;
