//! Writes the append-only file anew, beside the old one, while clients go on.
//!
//! First every key is written as it is when its turn comes, then, again and again, those that have
//! changed since; when few are left, the keeper of the file writes these and puts the new file in the
//! place of the old.

use crate::aof_file::AofFile;
use crate::dump::{Changes, Dump};
use crate::keyspace::Keyspace;
use crate::limits::{REWRITE_CHANGES_FEW, REWRITE_ROUNDS_MAX, REWRITE_STEP_BYTES};
use crate::server::Server;

/// A new file that lacks only what changes until it takes the place of the old.
pub struct Rewritten {
    pub file: AofFile,
    pub dump: Dump,
}

/// Begins to track changes, and writes the new file up to the last few of them.
pub async fn rewrite(server: &Server, mut file: AofFile) -> Result<Rewritten, String> {
    server.engine().databases.iter_mut().for_each(Keyspace::track_changes);
    let mut dump = Dump::default();
    let mut bytes = Vec::new();
    while dump.step(&server.engine(), REWRITE_STEP_BYTES, &mut bytes) {
        append(&mut file, &mut bytes).await?;
    }
    for _ in 0..REWRITE_ROUNDS_MAX {
        let changes = Changes::take(&mut server.engine());
        dump.changes(&server.engine(), &changes, &mut bytes);
        append(&mut file, &mut bytes).await?;
        if changes.len() <= REWRITE_CHANGES_FEW {
            break;
        }
    }
    file.handle().sync_data().await.map_err(|code| format!("{code:?}"))?;
    Ok(Rewritten { file, dump })
}

async fn append(file: &mut AofFile, bytes: &mut Vec<u8>) -> Result<(), String> {
    file.append(bytes).await.map_err(|code| format!("{code:?}"))
}
