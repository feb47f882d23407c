//! A command component: a process that runs until it returns, exits, traps or is ended.
use std::sync::Arc;
use std::time::Instant;

use minicloud_core::task::Exit;
use tokio::sync::oneshot;

use crate::component::{Component, Entry};
use crate::error::EngineError;
use crate::meter::Turn;
use crate::store::TaskContext;
use crate::trap;

/// Tells `start` that the task is up, or why it is not.
pub type Ready = oneshot::Sender<Result<(), EngineError>>;

/// Run to the end. The caller wraps it in `Metered` with the same `turn`.
pub async fn run(context: Arc<TaskContext>, component: Component, turn: Arc<Turn>, ready: Ready) -> Exit {
    let mut ready = Some(ready);
    let result = call(&context, &component, &turn, &mut ready).await;
    match (result, ready) {
        (Ok(result), _) => {
            let ready = context.lifecycle.take_ready();
            let exit = trap::exit_of(result, &context.memory);
            match exit {
                // It ended well without ever saying that it was ready: then it was.
                Exit::Completed | Exit::Failed { .. } => drop(ready.map(|ready| ready.send(Ok(())))),
                Exit::Trapped { .. } | Exit::Stopped => {}
            }
            match exit {
                Exit::Completed if context.lifecycle.is_stopping() => Exit::Stopped,
                exit => exit,
            }
        }
        (Err(error), ready) => {
            let message = error.to_string();
            if let Some(ready) = ready {
                // Nobody listens any more when `start` was given up.
                ready.send(Err(error)).ok();
            }
            Exit::Trapped { message, backtrace: String::new() }
        }
    }
}

/// Instantiate and call `run`: the outer error is a start that failed, the inner one a trap.
async fn call(
    context: &TaskContext,
    component: &Component,
    turn: &Arc<Turn>,
    ready: &mut Option<Ready>,
) -> Result<wasmtime::Result<Result<(), ()>>, EngineError> {
    let began = Instant::now();
    let mut store = context.store(turn)?;
    let mut announce = || {
        context.instantiated(began);
        match ready.take() {
            Some(ready) if component.says_ready() => context.lifecycle.await_ready(ready),
            Some(ready) => drop(ready.send(Ok(()))),
            None => {}
        }
    };
    let failed = |error: wasmtime::Error| trap::start_error(&error, context);
    match component.entry() {
        Entry::CommandP3(command) => {
            let command = command.instantiate_async(&mut store).await.map_err(failed)?;
            announce();
            let run = store.run_concurrent(async move |accessor| command.wasi_cli_run().call_run(accessor).await);
            Ok(run.await.flatten())
        }
        Entry::CommandP2(command) => {
            let command = command.instantiate_async(&mut store).await.map_err(failed)?;
            announce();
            Ok(command.wasi_cli_run().call_run(&mut store).await)
        }
        Entry::Http(_) => Err(EngineError::NothingToRun),
    }
}
