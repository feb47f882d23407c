//! Every bound of this server, with its unit.

use std::time::Duration;

/// The longest bulk string, and so the longest value (`proto-max-bulk-len`). Redis allows 512 MB;
/// a task has 256 MiB in all by default, and a value on its way exists several times.
pub const BULK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// All arguments of one request together.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Arguments of one request.
pub const REQUEST_ITEMS_MAX: usize = 1024 * 1024;
/// A line typed by hand, and any line that announces a length.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Arguments of all commands queued by one `MULTI`.
pub const TRANSACTION_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Past this, a client's next command waits until it has read its replies.
pub const OUTPUT_BYTES_HIGH: usize = 256 * 1024;
/// Past this, a subscriber that does not read is disconnected.
pub const PUSHED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Clients at a time.
pub const CLIENTS_MAX: usize = 4096;
/// Databases that `SELECT` chooses from.
pub const DATABASES: usize = 16;
/// Bytes asked for in one read: at first, and of a client that fills every read.
pub const READ_BYTES_MIN: usize = 4 * 1024;
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Reads of one client before others get their turn.
pub const READS_PER_TURN: u32 = 16;
/// How long a closed connection may take to send its last bytes.
pub const CLIENT_LINGER: Duration = Duration::from_secs(5);
/// Pause after the append-only file could not be written.
pub const WRITE_RETRY: Duration = Duration::from_secs(1);
/// Between two syncs of the append-only file with `appendfsync everysec`.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// The append-only file is rewritten when it has doubled and is at least this long.
pub const REWRITE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Bytes of one append while the file is rewritten.
pub const REWRITE_STEP_BYTES: usize = 256 * 1024;
/// So few changed keys may be left for the moment when the new file takes over.
pub const REWRITE_CHANGES_FEW: usize = 256;
/// Rounds over changed keys before the new file takes over all the same.
pub const REWRITE_ROUNDS_MAX: u32 = 8;
/// What one argument costs beside its bytes.
pub const ARGUMENT_BYTES: usize = 32;
/// Times that the bytes of a request exist at once at most: as they arrived, as arguments, as a
/// value, as the command that is logged, and, in a buffer that doubles, in the journal.
pub const REQUEST_COPIES: usize = 6;
/// Times that the bytes of a reply exist at once at most: as a reply, and in a buffer that doubles.
pub const REPLY_COPIES: usize = 3;
/// Requests and replies up to this many bytes are not asked about.
pub const SMALL_BYTES: usize = 64 * 1024;
/// Memory that must be left before a write: a table that grows needs it at once.
pub const MEMORY_HEADROOM_BYTES: usize = 32 * 1024 * 1024;
/// So much memory is used without looking how much is left.
pub const MEMORY_PROBE_FROM_BYTES: usize = 32 * 1024 * 1024;
