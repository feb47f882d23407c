//! Writes the append-only file anew, beside the old one, while clients go on.
//!
//! First every key is written as it is when its turn comes, then, again and again, those that have
//! changed since. When few are left, clients pause while the keeper of the file writes these and puts
//! the new file in the place of the old.

use crate::aof_file::AofFile;
use crate::dump::Dump;
use crate::keyspace::Keyspace;
use crate::limits::{REWRITE_CHANGES_FEW, REWRITE_ROUNDS_MAX, REWRITE_STEP_BYTES};
use crate::server::Server;
use wasip3::filesystem::types::ErrorCode;

/// Begins to track changes, and writes a new file that lacks only the last few of them.
pub async fn rewrite(server: &Server, mut file: AofFile) -> Result<AofFile, ErrorCode> {
    server.engine().databases.iter_mut().for_each(Keyspace::track_changes);
    write(server, &mut file, Dump::of_all()).await?;
    for _ in 0..REWRITE_ROUNDS_MAX {
        let changes = Dump::of_changes(&mut server.engine());
        let few = changes.queued() <= REWRITE_CHANGES_FEW;
        write(server, &mut file, changes).await?;
        if few {
            break;
        }
    }
    file.handle().sync_data().await?;
    Ok(file)
}

/// Writes what the dump holds, a bounded step at a time.
pub async fn write(server: &Server, file: &mut AofFile, mut dump: Dump) -> Result<(), ErrorCode> {
    let mut bytes = Vec::new();
    while dump.step(&server.engine(), REWRITE_STEP_BYTES, &mut bytes) {
        file.append(&mut bytes).await?;
    }
    Ok(())
}
