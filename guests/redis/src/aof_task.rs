//! Keeps the append-only file up with the journal.

use crate::aof_file::AofFile;
use crate::config::AppendFsync;
use crate::engine::Demand;
use crate::limits::{SYNC_INTERVAL, WRITE_RETRY};
use crate::run::now_ms;
use crate::server::Server;
use guest_common::{clock, log};
use std::rc::Rc;
use wasip3::cli::exit::exit_with_code;
use wasip3::spawn_local;

/// Starts to append, and to sync once a second where that is the setting.
pub fn spawn(server: &Rc<Server>, file: AofFile) {
    let keeper = Keeper { server: Rc::clone(server), file };
    spawn_local(keeper.run());
    spawn_local(tick(Rc::clone(server)));
}

/// Asks for a sync every second.
async fn tick(server: Rc<Server>) {
    loop {
        clock::sleep(SYNC_INTERVAL).await;
        let mut engine = server.engine();
        let behind = server.synced.get() < server.written.get();
        if engine.config.append_fsync == AppendFsync::Everysec && behind {
            engine.demands.push(Demand::Sync);
            drop(engine);
            server.work.notify();
        }
    }
}

struct Keeper {
    server: Rc<Server>,
    file: AofFile,
}

/// What there is to do next.
struct Work {
    bytes: Vec<u8>,
    /// Position of the journal behind these bytes.
    position: u64,
    sync: Option<Sync>,
}

/// Whether further appends wait for the sync.
enum Sync {
    Before,
    Behind,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let work = self.server.work.until(|| self.next_work()).await;
            self.append(work.bytes).await;
            self.server.written.set(work.position);
            self.server.progress.notify();
            match work.sync {
                Some(Sync::Before) => self.sync_now(work.position).await,
                Some(Sync::Behind) => self.sync_behind(work.position),
                None => {}
            }
        }
    }

    fn next_work(&self) -> Option<Work> {
        let mut engine = self.server.engine();
        let demands = std::mem::take(&mut engine.demands);
        let bytes = engine.journal.take_pending();
        let position = engine.journal.end();
        let always = engine.config.append_fsync == AppendFsync::Always;
        let sync = if always && position > self.server.synced.get() {
            Some(Sync::Before)
        } else {
            demands.contains(&Demand::Sync).then_some(Sync::Behind)
        };
        (sync.is_some() || !bytes.is_empty()).then_some(Work { bytes, position, sync })
    }

    /// Appends however long it takes: nothing is acknowledged before, and writes are refused
    /// meanwhile.
    async fn append(&mut self, mut bytes: Vec<u8>) {
        while !bytes.is_empty() {
            if let Err(code) = self.file.append(&mut bytes).await {
                self.failed("write", &format!("{code:?}")).await;
                if let Err(code) = self.file.repair().await {
                    self.failed("truncate", &format!("{code:?}")).await;
                }
            }
        }
        self.server.engine().stats.file_bytes = self.file.length();
        self.recovered();
    }

    /// With `always` a failure is the end: the operating system may have dropped what it could not
    /// write, so that asking again would prove nothing. What was acknowledged is on the disk.
    async fn sync_now(&self, position: u64) {
        if let Err(code) = self.file.handle().sync_data().await {
            log::line(format_args!("fatal: cannot sync the append-only file: {code:?}"));
            exit_with_code(1);
        }
        self.server.synced_to(position, now_ms());
    }

    /// Lets clients go on meanwhile.
    fn sync_behind(&self, position: u64) {
        let (server, file) = (Rc::clone(&self.server), self.file.handle());
        spawn_local(async move {
            match file.sync_data().await {
                Ok(()) => server.synced_to(position, now_ms()),
                Err(code) => log::line(format_args!("Cannot sync the append-only file: {code:?}")),
            }
        });
    }

    async fn failed(&self, what: &str, error: &str) {
        log::line(format_args!("Cannot {what} the append-only file: {error}; trying again"));
        self.server.engine().write_error = Some(error.to_owned());
        clock::sleep(WRITE_RETRY).await;
    }

    fn recovered(&self) {
        if self.server.engine().write_error.take().is_some() {
            log::line("The append-only file can be written again");
        }
    }
}
