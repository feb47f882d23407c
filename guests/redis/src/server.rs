//! What all clients share: the engine, and how far the append-only file has come.

use crate::engine::{Engine, Output};
use crate::notify::Notify;
use crate::session::ClientId;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Debug)]
pub struct Server {
    engine: RefCell<Engine>,
    clients: RefCell<HashMap<ClientId, Rc<Notify>>>,
    paused: Cell<bool>,
    /// The journal has come this far in the file, and this far on the disk.
    pub written: Cell<u64>,
    pub synced: Cell<u64>,
    /// `written` or `synced` has grown.
    pub progress: Notify,
    /// There is something to append, to sync or to rewrite.
    pub work: Notify,
}

impl Server {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine: RefCell::new(engine),
            clients: RefCell::default(),
            paused: Cell::new(false),
            written: Cell::new(0),
            synced: Cell::new(0),
            progress: Notify::default(),
            work: Notify::default(),
        }
    }

    /// The engine, for as long as nothing is awaited.
    pub fn engine(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    pub fn add_client(&self, client: ClientId) -> Rc<Notify> {
        let notify = Rc::new(Notify::default());
        self.clients.borrow_mut().insert(client, Rc::clone(&notify));
        notify
    }

    pub fn remove_client(&self, client: ClientId) {
        self.clients.borrow_mut().remove(&client);
        self.engine().disconnect(client);
    }

    /// Until [`Self::resume`], nothing changes any key.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    pub fn resume(&self) {
        self.paused.set(false);
        self.clients.borrow().values().for_each(|notify| notify.notify());
    }

    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Wakes whoever has something to do after commands have run.
    pub fn after_commands(&self) {
        let mut engine = self.engine();
        let woken = engine.take_woken();
        let work = engine.journal.has_pending() || !engine.demands.is_empty();
        drop(engine);
        if work {
            self.work.notify();
        }
        let clients = self.clients.borrow();
        for notify in woken.iter().filter_map(|client| clients.get(client)) {
            notify.notify();
        }
    }

    /// The file holds the journal up to `position`.
    pub fn written_to(&self, position: u64) {
        self.written.set(position);
        self.progress.notify();
    }

    /// The journal is on the disk up to `position`.
    pub fn synced_to(&self, position: u64, now_ms: u64) {
        self.synced.set(self.synced.get().max(position));
        self.engine().stats.saved_at_ms = now_ms;
        self.progress.notify();
    }

    /// Waits until what the output tells is as safe as the settings promise.
    pub async fn until_safe(&self, output: &Output) {
        let reached = if output.sync { &self.synced } else { &self.written };
        self.progress.until(|| (reached.get() >= output.position).then_some(())).await;
    }
}
