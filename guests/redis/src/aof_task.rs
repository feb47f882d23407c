//! Keeps the append-only file up with the journal.

use crate::aof_file::AofFile;
use crate::aof_rewrite::{rewrite, write};
use crate::config::AppendFsync;
use crate::dump::Dump;
use crate::engine::Demand;
use crate::keyspace::Keyspace;
use crate::limits::{REWRITE_BYTES_MIN, SYNC_INTERVAL, WRITE_RETRY};
use crate::run::now_ms;
use crate::server::Server;
use guest_common::{clock, log};
use std::cell::RefCell;
use std::rc::Rc;
use wasip3::cli::exit::exit_with_code;
use wasip3::filesystem::types::ErrorCode;
use wasip3::spawn_local;

/// Starts to append, and to sync once a second where that is the setting.
pub fn spawn(server: &Rc<Server>, file: AofFile) {
    let keeper = Keeper { server: Rc::clone(server), base_bytes: file.length(), file, rewritten: Rc::default() };
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
    /// Length of the file when it was opened or last rewritten.
    base_bytes: u64,
    /// What a rewrite in the background has come to.
    rewritten: Rc<RefCell<Option<Result<AofFile, ErrorCode>>>>,
}

/// What there is to do next.
enum Work {
    Append(Append),
    /// Begin to write the file anew.
    Rewrite,
    /// Put the new file in the place of the old.
    Switch(Result<AofFile, ErrorCode>),
}

struct Append {
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
            match self.server.work.until(|| self.next_work()).await {
                Work::Append(append) => self.append(append).await,
                Work::Rewrite => self.start_rewrite().await,
                Work::Switch(Ok(file)) => self.switch(file).await,
                Work::Switch(Err(code)) => self.end_rewrite(&format!("failed: {code:?}")),
            }
        }
    }

    fn next_work(&self) -> Option<Work> {
        if let Some(rewritten) = self.rewritten.borrow_mut().take() {
            return Some(Work::Switch(rewritten));
        }
        let mut engine = self.server.engine();
        if let Some(at) = engine.demands.iter().position(|demand| *demand == Demand::Rewrite) {
            engine.demands.remove(at);
            return Some(Work::Rewrite);
        }
        let demanded = !std::mem::take(&mut engine.demands).is_empty();
        let bytes = engine.journal.take_pending();
        let position = engine.journal.end();
        let always = engine.config.append_fsync == AppendFsync::Always;
        let sync = if always && position > self.server.synced.get() { Some(Sync::Before) } else { demanded.then_some(Sync::Behind) };
        (sync.is_some() || !bytes.is_empty()).then_some(Work::Append(Append { bytes, position, sync }))
    }

    async fn append(&mut self, append: Append) {
        self.append_bytes(append.bytes).await;
        self.server.written_to(append.position);
        match append.sync {
            Some(Sync::Before) => self.sync_now(append.position).await,
            Some(Sync::Behind) => self.sync_behind(append.position),
            None => {}
        }
        let length = self.file.length();
        let mut engine = self.server.engine();
        engine.stats.file_bytes = length;
        if length >= REWRITE_BYTES_MIN.max(2 * self.base_bytes) && !engine.stats.rewriting {
            engine.demands.push(Demand::Rewrite);
        }
    }

    /// Appends however long it takes: nothing is acknowledged before, and writes are refused
    /// meanwhile.
    async fn append_bytes(&mut self, mut bytes: Vec<u8>) {
        while !bytes.is_empty() {
            if let Err(code) = self.file.append(&mut bytes).await {
                self.failed("write", code).await;
                if let Err(code) = self.file.repair().await {
                    self.failed("truncate", code).await;
                }
            }
        }
        if self.server.engine().write_error.take().is_some() {
            log::line("The append-only file can be written again");
        }
    }

    async fn failed(&self, what: &str, code: ErrorCode) {
        log::line(format_args!("Cannot {what} the append-only file: {code:?}; trying again"));
        self.server.engine().write_error = Some(format!("{code:?}"));
        clock::sleep(WRITE_RETRY).await;
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

    async fn start_rewrite(&mut self) {
        self.server.engine().stats.rewriting = true;
        let file = match self.file.create_temporary().await {
            Ok(file) => file,
            Err(code) => return self.end_rewrite(&format!("failed: {code:?}")),
        };
        log::line("Rewriting the append-only file");
        let (server, rewritten) = (Rc::clone(&self.server), Rc::clone(&self.rewritten));
        spawn_local(async move {
            let outcome = rewrite(&server, file).await;
            *rewritten.borrow_mut() = Some(outcome);
            server.work.notify();
        });
    }

    /// While clients pause, what they changed last goes to the new file, and so what waited for the old
    /// one is needed only if this fails.
    async fn switch(&mut self, mut file: AofFile) {
        self.server.pause();
        let (pending, position) = {
            let mut engine = self.server.engine();
            (engine.journal.take_pending(), engine.journal.end())
        };
        match self.complete(&mut file).await {
            Ok(()) => {
                self.server.engine().journal.switch_file();
                self.file = file;
                self.server.written_to(position);
                self.server.synced_to(position, now_ms());
                self.end_rewrite(&format!("done: {} bytes", self.file.length()));
            }
            Err(code) => {
                self.append(Append { bytes: pending, position, sync: Some(Sync::Before) }).await;
                self.end_rewrite(&format!("failed: {code:?}"));
            }
        }
        self.server.resume();
    }

    async fn complete(&self, file: &mut AofFile) -> Result<(), ErrorCode> {
        let changes = Dump::of_changes(&mut self.server.engine());
        write(&self.server, file, changes).await?;
        self.file.replace_with(file).await
    }

    fn end_rewrite(&mut self, how: &str) {
        log::line(format_args!("Rewriting the append-only file: {how}"));
        // After a failure, not at once again.
        self.base_bytes = self.file.length();
        let mut engine = self.server.engine();
        engine.stats.rewriting = false;
        engine.stats.file_bytes = self.file.length();
        engine.databases.iter_mut().for_each(Keyspace::stop_tracking);
    }
}
