//! `minicloud:task` (`wit/minicloud.wit`): what a task may know of itself, and when it is to end.
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use wasmtime::component::Linker;

use crate::command::Ready;
use crate::spec::RunSpec;
use crate::store::GuestState;

const INFO: &str = "minicloud:task/task-info@0.1.0";
pub const LIFECYCLE: &str = "minicloud:task/lifecycle@0.1.0";
pub const READY: &str = "ready";

/// One task's place in the cluster and its way to the end, as all of its instances share it.
pub struct Lifecycle {
    service: String,
    slot: String,
    node: String,
    hostname: String,
    stopping: watch::Receiver<bool>,
    /// The guest has asked about its stop, so it may have something to do before it.
    listens: AtomicBool,
    /// Of a command that says itself when it is ready, until it does.
    ready: Mutex<Option<Ready>>,
}

impl Lifecycle {
    pub fn new(spec: &RunSpec, stopping: watch::Receiver<bool>) -> Lifecycle {
        Lifecycle {
            service: spec.service.clone(),
            slot: spec.slot.clone(),
            node: spec.node.clone(),
            hostname: spec.hostname.clone(),
            stopping,
            listens: AtomicBool::new(false),
            ready: Mutex::default(),
        }
    }

    pub fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Leaves it to the guest to say that it is ready.
    pub fn await_ready(&self, ready: Ready) {
        *self.ready() = Some(ready);
    }

    /// What is left to be said, if the guest has not said it.
    pub fn take_ready(&self) -> Option<Ready> {
        self.ready().take()
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, Option<Ready>> {
        self.ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn listen(&self) -> watch::Receiver<bool> {
        self.listens.store(true, Ordering::Relaxed);
        self.stopping.clone()
    }
}

pub fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut info = linker.instance(INFO)?;
    info.func_wrap("service", |store, (): ()| Ok((store.data().lifecycle().service.clone(),)))?;
    info.func_wrap("slot", |store, (): ()| Ok((store.data().lifecycle().slot.clone(),)))?;
    info.func_wrap("node", |store, (): ()| Ok((store.data().lifecycle().node.clone(),)))?;
    info.func_wrap("hostname", |store, (): ()| Ok((store.data().lifecycle().hostname.clone(),)))?;
    let mut lifecycle = linker.instance(LIFECYCLE)?;
    lifecycle.func_wrap(READY, |store, (): ()| {
        if let Some(ready) = store.data().lifecycle().take_ready() {
            // Nobody listens any more when the start was given up.
            ready.send(Ok(())).ok();
        }
        Ok(())
    })?;
    lifecycle.func_wrap("is-stopping", |store, (): ()| Ok((*store.data().lifecycle().listen().borrow(),)))?;
    lifecycle.func_wrap_concurrent("stopping", |accessor, (): ()| {
        let mut stopping = accessor.with(|mut access| access.get().lifecycle().listen());
        Box::pin(async move {
            // An error means that the task is gone, and this guest with it.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            Ok(())
        })
    })
}
