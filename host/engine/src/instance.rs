//! The instances behind an HTTP task: one long-lived (WASI 0.3), or a fresh one for each request (WASI 0.2).
//!
//! `server.rs` hands over requests that were admitted. An instance that traps fails its requests and is replaced.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::channel::oneshot;
use futures::stream::{FuturesUnordered, StreamExt};
use minicloud_core::task::Exit;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{Prepared, Proxy, ProxyPre, Request, Response};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode as P3Error;

use crate::admission::Permit;
use crate::component::{Component, Entry};
use crate::error::EngineError;
use crate::meter::Turn;
use crate::store::{GuestState, TaskContext};
use crate::trap;

/// An admitted request on its way into the guest.
pub struct Job {
    pub request: Request,
    pub answer: oneshot::Sender<Result<Response, wasmtime::Error>>,
    /// Held until the guest has answered; the answer's body holds it as well.
    pub permit: Arc<Permit>,
}

/// Where admitted requests go. The queue needs no bound of its own: admission is in front of it.
pub enum Instances {
    Kept(mpsc::UnboundedSender<Job>),
    Fresh { context: Arc<TaskContext>, component: Component, running: Mutex<JoinSet<()>> },
}

impl Instances {
    pub fn fresh(context: Arc<TaskContext>, component: Component) -> Instances {
        Instances::Fresh { context, component, running: Mutex::default() }
    }

    /// A job that cannot be taken any more is dropped, which its requester sees.
    pub fn hand_over(&self, job: Job) {
        match self {
            Instances::Kept(jobs) => drop(jobs.send(job)),
            Instances::Fresh { context, component, running } => {
                let turn = Turn::new();
                let answering = answer_once(context.clone(), component.clone(), turn.clone(), job);
                let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                while running.try_join_next().is_some() {}
                running.spawn(context.metered(turn, answering));
            }
        }
    }
}

/// Instantiate once and drop it: a component that cannot start fails as a task, not at its first request.
pub async fn check(context: Arc<TaskContext>, component: Component, turn: Arc<Turn>) -> Result<(), EngineError> {
    Instance::new(&context, &component, &turn).await.map(drop)
}

/// Keep one instance for the life of the task. Ends when the senders of `jobs` are gone, or with an instance that
/// cannot be replaced.
pub async fn keep(
    context: Arc<TaskContext>,
    component: Component,
    turn: Arc<Turn>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    started: oneshot::Sender<Result<(), EngineError>>,
) -> Exit {
    let mut instance = match Instance::new(&context, &component, &turn).await {
        Ok(instance) => instance,
        Err(error) => {
            started.send(Err(error)).ok();
            return Exit::Stopped;
        }
    };
    started.send(Ok(())).ok();
    while let Err(error) = instance.serve(&mut jobs).await {
        report(&context, &error);
        drop(instance);
        instance = match Instance::new(&context, &component, &turn).await {
            Ok(instance) => instance,
            Err(error) => return Exit::Trapped { message: error.to_string(), backtrace: String::new() },
        };
    }
    Exit::Stopped
}

/// One request in an instance of its own.
///
/// The answer goes to its requester straight from the guest's call of `response-outparam.set`: after that the guest
/// may block its store while it writes the body, which the requester has to read meanwhile.
async fn answer_once(context: Arc<TaskContext>, component: Component, turn: Arc<Turn>, job: Job) {
    let instance = match Instance::new(&context, &component, &turn).await {
        Ok(instance) => instance,
        Err(error) => {
            context.log_error(&format!("minicloud: no instance for a request: {error}"));
            return;
        }
    };
    if let Err(error) = instance.answer_only(job).await {
        report(&context, &error);
    }
}

/// The trap of an instance belongs into the log of its task: the task itself goes on.
fn report(context: &TaskContext, error: &wasmtime::Error) {
    let message = trap::message_of(error, &context.memory);
    context.log_error(&format!("minicloud: an instance trapped and is replaced: {message}"));
    context.log_error(&trap::backtrace_of(error));
}

struct Instance {
    store: Store<GuestState>,
    proxy: Proxy,
}

impl Instance {
    async fn new(context: &TaskContext, component: &Component, turn: &Arc<Turn>) -> Result<Instance, EngineError> {
        let Entry::Http(pre) = component.entry() else { return Err(EngineError::NothingToRun) };
        let began = Instant::now();
        let mut store = context.store(turn)?;
        let proxy = match pre {
            ProxyPre::P3(pre) => pre.instantiate_async(&mut store).await.map(Proxy::P3),
            ProxyPre::P2(pre) => pre.instantiate_async(&mut store).await.map(Proxy::P2),
        };
        let proxy = proxy.map_err(|error| trap::start_error(&error, context))?;
        context.instantiated(began);
        Ok(Instance { store, proxy })
    }

    /// Answer one request of WASI 0.2, then end.
    async fn answer_only(mut self, job: Job) -> wasmtime::Result<()> {
        let Job { request, answer, permit } = job;
        let Proxy::P2(proxy) = &self.proxy else { return Ok(()) };
        let mut view = self.store.data_mut().http();
        let request = view.new_incoming_request(Scheme::Http, request)?;
        let response = view.new_response_outparam_from_callback(move |response| {
            // The requester may have left.
            answer.send(response.map_err(wasmtime::Error::from)).ok();
        })?;
        let called = proxy.wasi_http_incoming_handler().call_handle(&mut self.store, request, response).await;
        drop(permit);
        called
    }

    /// Answer any number of requests of WASI 0.3 at once, until there are no more senders or the guest traps.
    async fn serve(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> wasmtime::Result<()> {
        let proxy = &self.proxy;
        let serving = self.store.run_concurrent(async |accessor| {
            let mut answers = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(answered) = answers.next() => answered?,
                    job = jobs.recv() => match job {
                        Some(job) => answers.push(answer(accessor, proxy, job)),
                        None => break,
                    },
                }
            }
            while let Some(answered) = answers.next().await {
                answered?;
            }
            Ok(())
        });
        serving.await.flatten()
    }
}

/// Call the guest's handler. An error is a trap; what the guest itself answers, an error code included, goes to the
/// requester only.
async fn answer(accessor: &Accessor<GuestState>, proxy: &Proxy, job: Job) -> wasmtime::Result<()> {
    let Job { request, answer, permit } = job;
    let (sender, receiver) = oneshot::channel();
    let prepared = accessor.with(|mut store| Prepared::new(store.as_context_mut(), proxy, request, GuestState::http, sender))?;
    let forwarding = async {
        match receiver.await {
            Ok(Err(error)) if !is_error_code(&error) => Err(error),
            Ok(result) => {
                // The requester may have left.
                answer.send(result).ok();
                Ok(())
            }
            Err(oneshot::Canceled) => Ok(()),
        }
    };
    let (called, forwarded) = futures::join!(prepared.run(accessor, std::future::pending()), forwarding);
    drop(permit);
    called?;
    forwarded
}

fn is_error_code(error: &wasmtime::Error) -> bool {
    error.is::<P3Error>()
}
